"""Wrong calls of the engines: one sentence and the right status, before any cluster or work."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from commands import photograph, run

from zoo.jobs.job import Place
from zoo.jobs.memory import limits

HIDDEN = "import sys; sys.modules['ray'] = None; "  # as if it was not installed


@pytest.fixture
def call(tiny_upscaler: Path, tmp_path: Path) -> tuple[object, ...]:
    photograph().save(tmp_path / "a.png")
    return ("upscale", tmp_path / "a.png", "-m", tiny_upscaler)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--engine", "rai"], "--engine rai is none of local, ray. Did you mean 'ray'?"),
        (["--workers", 2], "--workers needs --engine ray."),
        (["--gpus", 0.5], "--gpus needs --engine ray."),
        (["--address", "auto"], "--address needs --engine ray."),
        (["--report", "a.csv"], "--report needs --engine ray."),
    ],
)
def test_engines_and_their_options(
    options: list[object], said: str, call: tuple[object, ...], tmp_path: Path
) -> None:
    result = run(*call, "-o", tmp_path / "out", *options)
    assert (result.status, result.stderr.strip()) == (2, f"error: {said}")
    assert not (tmp_path / "out").exists()


def test_addresses_need_the_engine(call: tuple[object, ...]) -> None:
    result = run(*call, "-o", "s3://photos/out")
    assert result.status == 2
    assert "s3://photos/out: addresses need --engine ray" in result.stderr


@pytest.mark.parametrize(
    ("out", "options", "status", "said"),
    [
        ("out", ["--address", "no where"], 2, "is no address of a Ray cluster"),
        ("out", ["--address", "atuo"], 2, "Did you mean 'auto'?"),
        ("out", ["--address", "127.0.0.1:1"], 1, "Nothing answers at 127.0.0.1:1"),
        ("out", ["--report", "report.txt"], 2, "*.csv or *.parquet"),
        ("out", ["--format", "jpgg"], 2, "Did you mean 'jpeg'?"),
        ("out", ["--overwrite", "--skip-existing"], 2, "contradict"),
        ("out.png", [], 2, "writes to a folder"),
        ("-", [], 2, "takes files and folders"),
        ("s33://photos", [], 2, "Did you mean 's3'?"),
    ],
)
def test_wrong_calls_of_ray(
    out: str,
    options: list[str],
    status: int,
    said: str,
    call: tuple[object, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("ray")
    monkeypatch.chdir(tmp_path)
    result = run(*call, "-o", out, "--engine", "ray", *options)
    assert result.status == status
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert {file.name for file in tmp_path.iterdir()} == {"a.png"}


def test_a_missing_extra_is_told(call: tuple[object, ...], tmp_path: Path) -> None:
    line = [str(word) for word in (*call, "-o", tmp_path / "out", "--engine", "ray")]
    code = f"{HIDDEN}from zoo.cli import main; main({line!r})"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert result.returncode == 1
    assert result.stderr.startswith("error: Ray Data is needed")
    assert "pip install 'zoo-models[ray]'" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_zoo_loads_no_ray() -> None:
    code = "import sys, zoo.cli; zoo.upscale; assert not {'ray', 'pyarrow'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


@pytest.mark.parametrize(
    ("options", "place", "expected"),
    [
        ({"workers": None, "gpus": None}, {}, (3, 2, 1.0)),
        ({"workers": None, "gpus": 0.25}, {}, (12, 8, 0.25)),
        ({"workers": None, "gpus": 0.4}, {}, (6, 4, 0.4)),  # a GPU takes whole workers
        ({"workers": 5, "gpus": 0.25}, {}, (5, 5, 0.25)),
        ({"workers": None, "gpus": 0}, {}, (36, 16, 0)),
        ({"workers": None, "gpus": None}, {"device": "cpu"}, (36, 16, 0)),
        ({"workers": None, "gpus": None}, {"runtime": "openvino"}, (36, 16, 0)),
    ],
)
def test_a_cluster_is_shared_out(
    options: dict[str, float | None],
    place: dict[str, str],
    expected: tuple[int, int, float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Machines with two GPUs, with one, and with none; one that is gone does not count."""
    ray = pytest.importorskip("ray")
    from zoo.ray.cluster import shares

    machines = [
        {"CPU": 16.0, "GPU": 2.0},
        {"CPU": 4.0, "GPU": 1.0},
        {"CPU": 16.0},
    ]
    nodes = [{"Alive": True, "Resources": machine} for machine in machines]
    nodes.append({"Alive": False, "Resources": {"CPU": 64.0, "GPU": 8.0}})
    monkeypatch.setattr(ray, "nodes", lambda: nodes)
    assert shares(**options, place=Place(**place)) == expected


def test_workers_share_the_memory_of_their_machine() -> None:
    alone, shared = (limits(None, torch.device("cpu"), processes) for processes in (1, 4))
    assert shared.strips < alone.strips
    assert shared.refusal < alone.refusal / 3
    assert limits(2**33, torch.device("cpu"), 4) == limits(2**33, torch.device("cpu"))

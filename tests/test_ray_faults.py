"""What goes wrong on a Ray cluster: workers that die, a cluster that goes away, a full disk."""

from __future__ import annotations

import os
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import files, photograph, run
from PIL import Image
from ray_tools import LIMIT, Mortal, cluster, contents, finished, grey, rows, settings, when

ray = pytest.importorskip("ray")

import zoo.ray  # noqa: E402

pytestmark = [LIMIT, pytest.mark.slow]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with cluster() as made:
        yield made.address


def noisy(folder: Path, count: int, width: int, height: int, suffix: str) -> Path:
    folder.mkdir()
    for seed in range(count):
        photograph(width, height, seed=seed).save(folder / f"{seed}.{suffix}")
    return folder


def test_a_worker_that_dies_loses_and_repeats_nothing(address: str, tmp_path: Path) -> None:
    """One dies in the middle of a task; each that takes a photograph of level 100 dies."""
    levels = range(90, 138)  # three photographs a task
    folder, out, log = grey(tmp_path / "in", levels), tmp_path / "out", tmp_path / "log"
    model = Mortal(log, once=115, always=100)
    ray.init(address, log_to_driver=False, logging_level="ERROR")
    try:
        report = zoo.ray.upscale(folder, out, model, workers=2, overwrite=True, precision="fp32")
        found = {Path(row["source"]).stem: row for row in report.iter_rows()}
    finally:
        ray.shutdown()
    seen = Counter(map(int, log.read_text().split()))
    assert log.with_suffix(".died").exists()
    assert set(found) == {f"{level:03}" for level in levels}
    lost = found.pop("100")
    assert lost["status"] == "failed"
    assert "its worker died at it 3 times" in lost["error"]
    assert {row["status"] for row in found.values()} == {"done"}
    assert seen == {level: 1 for level in levels if level != 100}
    assert files(out) == {f"{name}.png" for name in found}
    for name in found:
        with Image.open(out / f"{name}.png") as image:
            assert image.size == (16, 16)
            assert image.getextrema() == (int(name), int(name))


def test_a_cluster_that_goes_away(tiny_upscaler: Path, tmp_path: Path) -> None:
    folder, out = noisy(tmp_path / "in", 64, 600, 400, "jpg"), tmp_path / "out"
    with settings() as patch:
        patch.setenv("RAY_gcs_rpc_server_reconnect_timeout_s", "5")  # instead of a minute
        with cluster() as made:
            node = made.head_node
            end = when(
                lambda: len(finished(out)) > 2,
                lambda: node.kill_all_processes(check_alive=False, allow_graceful=False),
            )
            call = ("upscale", folder, "-m", tiny_upscaler, "-o", out, "--engine", "ray")
            result = run(*call, "--workers", 2, "--address", made.address)
            end.join()
    assert result.status == 1
    assert result.stderr.splitlines()[-1].startswith("error: ")
    assert "Finished results are kept: run it again to go on." in result.stderr
    assert len(result.stderr.splitlines()) == 1
    done = finished(out)
    assert 2 < len(done) < 64
    for name in done:
        with Image.open(out / name) as image:
            image.load()
    assert {Path(row["result"]).name for row in rows(out / "report.csv").values()} <= set(done)


def test_ctrl_c_keeps_what_is_finished(address: str, tiny_upscaler: Path, tmp_path: Path) -> None:
    folder, out = noisy(tmp_path / "in", 64, 600, 400, "jpg"), tmp_path / "out"
    end = when(
        lambda: len(finished(out)) > 2,
        lambda: os.kill(os.getpid(), signal.SIGINT),
    )
    call = ("upscale", folder, "-m", tiny_upscaler, "-o", out, "--engine", "ray", "--workers", 2)
    result = run(*call, "--address", address, "--tta")  # which takes its time
    end.join()
    assert result.status == 130
    assert "interrupted." in result.stdout
    assert (out / "report.csv").is_file()
    assert not [name for name in files(out) if "part" in name]


def test_no_space_left_ends_the_job_with_one_sentence(
    address: str, tiny_upscaler: Path, tmp_path: Path
) -> None:
    folder, out = noisy(tmp_path / "in", 12, 120, 120, "png"), tmp_path / "out"
    out.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(out)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a small file system")
    try:
        call = ("upscale", folder, "-m", tiny_upscaler, "-o", out, "--engine", "ray")
        call += ("--address", address, "--workers", 2, "--report", tmp_path / "report.csv")
        result = run(*call)
        assert result.status == 1
        assert "No space left on device" in result.stderr
        assert len(result.stderr.splitlines()) == 1
        there = contents(out)
        assert 0 < len(there) < 12
        assert not [name for name in there if "part" in name]
        for name in there:
            with Image.open(out / name) as image:
                assert image.size == (240, 240)
                image.load()
    finally:
        subprocess.run(["umount", str(out)], check=True)

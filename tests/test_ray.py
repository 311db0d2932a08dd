"""Photographs on a local Ray cluster with two workers: results, reports, datasets."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from commands import files, run
from pyarrow import parquet
from ray_tools import LIMIT, cluster, contents, grey, holiday, rows

ray = pytest.importorskip("ray")

import zoo  # noqa: E402
import zoo.ray  # noqa: E402
from zoo.errors import InputError  # noqa: E402

pytestmark = LIMIT


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with cluster() as made:
        yield made.address


@pytest.fixture
def connected(address: str) -> Iterator[None]:
    ray.init(address, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()


@pytest.fixture
def trip(tmp_path: Path) -> Path:
    return holiday(tmp_path / "holiday")


def test_python_on_the_page(address: str, trip: Path, tmp_path: Path) -> None:
    """With folders for buckets, and no GPU."""
    page = Path(__file__).parents[1] / "docs" / "scaling.md"
    (code,) = re.findall(r"^```python\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
    trip.rename(tmp_path / "2024")
    code = code.replace("s3://photos/", f"{tmp_path}/").replace(", gpus=0.25", "")
    scope: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_ADDRESS", address)  # "auto" finds it
        try:
            exec(compile(code, page.name, "exec"), scope)
        finally:
            ray.shutdown()
    assert len(contents(tmp_path / "large")) == 6
    assert list((tmp_path / "reports").glob("*.parquet"))


def test_a_folder_gives_what_the_local_engine_gives(
    address: str, tiny_upscaler: Path, trip: Path, tmp_path: Path
) -> None:
    local, out = tmp_path / "local", tmp_path / "out"
    call = ("upscale", trip, "-m", tiny_upscaler, "--quality", 80, "-o")
    expected = run(*call, local)
    result = run(*call, out, "--engine", "ray", "--address", address, "--workers", 2)
    assert result.status == 1
    assert result.stdout.startswith(f"6 of 8 enlarged into {out} in ")
    assert ", 2 failed.\n" in result.stdout
    assert sorted(result.stderr.splitlines()) == sorted(expected.stderr.splitlines())
    assert contents(out) == contents(local)
    assert len(contents(out)) == 6
    report = rows(out / "report.csv")
    assert Counter(row["status"] for row in report.values()) == {"done": 6, "failed": 2}
    broken = report[str(trip / "text.png")]
    assert "text.png: the file is no picture" in broken["error"]
    assert broken["result"] == ""
    for source in ("turned.jpg", "cut out.png", "day 2/b.webp"):
        row = report[str(trip / source)]
        assert row["result"] == str(out / source)
        assert float(row["seconds"]) >= 0
        assert row["error"] == ""
    assert report[str(trip / "wrong.bmp")]["result"] == str(out / "wrong.jpg")


def test_what_the_cluster_lacks_is_told(
    connected: None, tiny_upscaler: Path, trip: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    for options, said in (
        ({"gpus": 0.5}, "The cluster has no GPU"),
        ({"gpus": 2}, "gpus=2 is no share of a GPU"),
        ({"device": "cuda"}, "The cluster has no GPU"),
        ({"device": "cuda:1"}, "is none of auto, cpu, cuda"),
        ({"device": "cpu", "gpus": 1}, "contradict"),
        ({"workers": 0}, "workers=0 is no number"),
        ({"precision": "fp16"}, "needs a GPU"),
        ({"format": "jpgg"}, "Did you mean 'jpeg'"),
        ({"quality": 0}, "1..100"),
        ({"runtime": "opnvino"}, "Did you mean 'openvino'"),
    ):
        with pytest.raises(InputError, match=said):
            zoo.ray.upscale(trip, out, str(tiny_upscaler), **options)
    with pytest.raises(InputError, match="can't hold a mask"):
        zoo.ray.segment(trip, out, format="jpg")
    with pytest.raises(InputError, match="column 'source'"):
        zoo.ray.upscale(ray.data.from_items([{"file": "a.png"}]), out, str(tiny_upscaler))
    assert not out.exists()


@pytest.mark.slow
def test_a_second_run_goes_on_where_the_first_ended(
    address: str, tiny_upscaler: Path, trip: Path, tmp_path: Path
) -> None:
    (trip / "twice.png").write_bytes((trip / "cut out.png").read_bytes())  # the name of twice.gif's
    out = tmp_path / "out"
    call = ("upscale", trip, "-o", out, "-m", tiny_upscaler, "--engine", "ray")
    call += ("--address", address, "--workers", 2)
    first = run(*call)
    assert "would replace that of" in first.stderr
    assert first.stdout.startswith("6 of 9 enlarged")
    before = {name: (out / name).stat().st_mtime_ns for name in contents(out)}
    (out / "turned.jpg").unlink()
    report = tmp_path / "second.parquet"
    second = run(*call, "--report", report)
    assert second.stdout.startswith("1 of 9 enlarged")
    assert "5 present already (--overwrite replaces), 3 failed." in second.stdout
    after = {name: (out / name).stat().st_mtime_ns for name in contents(out)}
    assert {name for name in before if after[name] == before[name]} == set(before) - {"turned.jpg"}
    table = parquet.read_table(report).to_pylist()
    assert list(table[0]) == ["source", "result", "seconds", "status", "error"]
    assert [row["source"] for row in table if row["status"] == "done"] == [str(trip / "turned.jpg")]
    assert all(row["seconds"] is None for row in table if row["status"] == "present")


@pytest.mark.slow
def test_a_dataset_of_addresses(connected: None, tiny_upscaler: Path, tmp_path: Path) -> None:
    folder, out = grey(tmp_path / "in", range(3)), tmp_path / "out"
    sources = [{"source": str(folder / f"00{i}.png"), "relative": f"{i}/x.png"} for i in range(3)]
    report = zoo.ray.upscale(ray.data.from_items(sources), out, str(tiny_upscaler), workers=1)
    assert {row["status"] for row in report.iter_rows()} == {"done"}
    assert files(out) == {"0/x.png", "1/x.png", "2/x.png"}
    escaping = ray.data.from_items([{"source": sources[0]["source"], "relative": "../a.png"}])
    with pytest.raises(InputError, match="leads out of the folder"):
        zoo.ray.upscale(escaping, out, str(tiny_upscaler))


@pytest.mark.slow
def test_cutouts_are_those_of_the_local_engine(address: str, trip: Path, tmp_path: Path) -> None:
    net = zoo.create_model("dynamic_unet", encoder="test_resnet", decoder_channels=(8,) * 5)
    model = zoo.save_model(net, tmp_path / "net")
    call = ("segment", trip, "-m", model, "--size", 64, "--as", "cutout", "-o")
    run(*call, tmp_path / "local")
    result = run(*call, tmp_path / "out", "--engine", "ray", "--address", address, "--workers", 2)
    assert result.status == 1
    assert "6 of 8 segmented" in result.stdout
    assert contents(tmp_path / "out") == contents(tmp_path / "local")
    assert len(contents(tmp_path / "out")) == 6

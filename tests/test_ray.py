"""Photographs on a local Ray cluster with two workers: results, reports, deaths, addresses."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from commands import files, photograph, run
from PIL import Image
from pyarrow import fs, parquet

ray = pytest.importorskip("ray")
from ray.cluster_utils import Cluster  # noqa: E402
from ray_models import Mortal  # noqa: E402

import zoo.ray  # noqa: E402
from zoo.errors import ClusterError, InputError  # noqa: E402

TESTS = str(Path(__file__).parent)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The address of a cluster on this machine; its workers find the modules of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        path = os.environ.get("PYTHONPATH", "")
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (path, TESTS))))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2})
        yield cluster.address
        cluster.shutdown()


@pytest.fixture
def connected(address: str) -> Iterator[None]:
    ray.init(address, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()


@pytest.fixture
def holiday(tmp_path: Path) -> Path:
    """Five good photographs, two broken ones, and two that would have the same result."""
    folder = tmp_path / "holiday"
    (folder / "day 2" / "[late]").mkdir(parents=True)
    turned = Image.Exif()
    turned[0x0112] = 6  # to be turned by a quarter
    photograph().save(folder / "turned.jpg", exif=turned, quality=90)
    photograph(mode="RGBA").save(folder / "cut out.png", dpi=(300, 300))
    photograph().save(folder / "day 2" / "b.webp")
    photograph().save(folder / "day 2" / "[late]" / "c.tif")
    photograph().save(folder / "wrong.bmp", "JPEG")
    photograph(mode="P").save(folder / "twice.gif")
    photograph(mode="P").save(folder / "twice.png")
    (folder / "text.png").write_text("This is no picture.")
    (folder / "empty.jpg").touch()
    (folder / "notes.txt").write_text("not meant")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in files(folder) if "report" not in name}


def rows(report: Path) -> dict[str, dict[str, str]]:
    with report.open(newline="") as file:
        return {row["source"]: row for row in csv.DictReader(file)}


def grey(folder: Path, levels: range) -> Path:
    folder.mkdir()
    for level in levels:
        Image.fromarray(np.full((8, 8), level, np.uint8)).save(folder / f"{level:03}.png")
    return folder


def test_a_folder_gives_what_the_local_engine_gives(
    address: str, tiny_upscaler: Path, holiday: Path, tmp_path: Path
) -> None:
    (holiday / "twice.png").unlink()
    local, out = tmp_path / "local", tmp_path / "out"
    call = ("upscale", holiday, "-m", tiny_upscaler, "--quality", 80, "-o")
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
    broken = report[str(holiday / "text.png")]
    assert "text.png: the file is no picture" in broken["error"]
    assert broken["result"] == ""
    for source in ("turned.jpg", "cut out.png", "day 2/b.webp"):
        row = report[str(holiday / source)]
        assert row["result"] == str(out / source)
        assert float(row["seconds"]) >= 0
        assert row["error"] == ""
    assert report[str(holiday / "wrong.bmp")]["result"] == str(out / "wrong.jpg")


def test_a_second_run_goes_on_where_the_first_ended(
    address: str, tiny_upscaler: Path, holiday: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    call = ("upscale", holiday, "-o", out, "-m", tiny_upscaler, "--engine", "ray")
    call += ("--address", address, "--workers", 2)
    first = run(*call)
    assert "would replace that of" in first.stderr  # twice.gif and twice.png
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
    assert [row["source"] for row in table if row["status"] == "done"] == [
        str(holiday / "turned.jpg")
    ]
    assert all(row["seconds"] is None for row in table if row["status"] == "present")


@pytest.mark.slow
def test_a_worker_that_dies_loses_and_repeats_nothing(connected: None, tmp_path: Path) -> None:
    """One dies in the middle of a task; each that takes a photograph of level 100 dies."""
    levels = range(90, 138)  # three photographs a task
    folder, out, log = grey(tmp_path / "in", levels), tmp_path / "out", tmp_path / "log"
    model = Mortal(log, once=115, always=100)
    report = zoo.ray.upscale(folder, out, model, workers=2, overwrite=True, precision="fp32")
    found = {Path(row["source"]).stem: row for row in report.iter_rows()}
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


@pytest.mark.slow
def test_a_dataset_of_addresses(connected: None, tiny_upscaler: Path, tmp_path: Path) -> None:
    folder, out = grey(tmp_path / "in", range(3)), tmp_path / "out"
    sources = [{"source": str(folder / f"00{i}.png"), "relative": f"{i}/x.png"} for i in range(3)]
    report = zoo.ray.upscale(ray.data.from_items(sources), out, str(tiny_upscaler), workers=1)
    assert {row["status"] for row in report.iter_rows()} == {"done"}
    assert files(out) == {"0/x.png", "1/x.png", "2/x.png"}
    with pytest.raises(InputError, match="column 'source'"):
        zoo.ray.upscale(ray.data.from_items([{"file": "a.png"}]), out, str(tiny_upscaler))
    escaping = ray.data.from_items([{"source": sources[0]["source"], "relative": "../a.png"}])
    with pytest.raises(InputError, match="leads out of the folder"):
        zoo.ray.upscale(escaping, out, str(tiny_upscaler))


@pytest.mark.slow
def test_what_the_cluster_lacks_is_told(
    connected: None, tiny_upscaler: Path, holiday: Path, tmp_path: Path
) -> None:
    for options, said in (
        ({"gpus": 0.5}, "The cluster has no GPU"),
        ({"gpus": 2}, "gpus=2 is no share of a GPU"),
        ({"device": "cuda"}, "The cluster has no GPU"),
        ({"device": "cuda:1"}, "is none of auto, cpu, cuda"),
        ({"device": "cpu", "gpus": 1}, "contradict"),
        ({"workers": 0}, "workers=0 is no number"),
        ({"precision": "fp16"}, "needs a GPU"),
        ({"format": "jpgg"}, "Did you mean 'jpg"),
        ({"quality": 0}, "1..100"),
    ):
        with pytest.raises(InputError, match=said):
            zoo.ray.upscale(holiday, tmp_path / "out", str(tiny_upscaler), **options)
    with pytest.raises(InputError, match="can't hold a mask"):
        zoo.ray.segment(holiday, tmp_path / "out", format="jpg")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_masks_are_those_of_the_local_engine(address: str, holiday: Path, tmp_path: Path) -> None:
    net = zoo.create_model("dynamic_unet", encoder="test_resnet", decoder_channels=(8,) * 5)
    model = zoo.save_model(net, tmp_path / "net")
    (holiday / "twice.png").unlink()
    call = ("segment", holiday, "-m", model, "--size", 64, "--as", "cutout", "-o")
    run(*call, tmp_path / "local")
    result = run(*call, tmp_path / "out", "--engine", "ray", "--address", address, "--workers", 2)
    assert result.status == 1
    assert "6 of 8 segmented" in result.stdout
    assert contents(tmp_path / "out") == contents(tmp_path / "local")
    assert len(contents(tmp_path / "out")) == 6


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[fs.FileSystem]:
    """An S3 server on this machine with an empty bucket "photos"."""
    server = pytest.importorskip("moto.server").ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    url = "http://{}:{}".format(*server.get_host_and_port())
    for name, value in (
        ("AWS_ENDPOINT_URL", url),
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("NO_PROXY", "127.0.0.1"),
    ):
        monkeypatch.setenv(name, value)
    filesystem = fs.S3FileSystem(allow_bucket_creation=True)
    filesystem.create_dir("photos")
    yield filesystem
    server.stop()


@pytest.mark.slow
def test_from_s3_to_s3(
    bucket: fs.FileSystem, tiny_upscaler: Path, holiday: Path, tmp_path: Path
) -> None:
    """The cluster is one of its own: workers get the address of the server by the environment."""
    local = tmp_path / "local"
    (holiday / "twice.png").unlink()
    run("upscale", holiday, "-m", tiny_upscaler, "-o", local)
    for name, content in contents(holiday).items():
        with bucket.open_output_stream(f"photos/in/{name}") as stream:
            stream.write(content)
    call = ("upscale", "s3://photos/in", "-o", "s3://photos/in/large", "-m", tiny_upscaler)
    call += ("--engine", "ray", "--workers", 2)
    result = run(*call)
    assert result.status == 1, result.stderr
    assert result.stdout.startswith("6 of 8 enlarged into s3://photos/in/large in ")
    found = bucket.get_file_info(fs.FileSelector("photos/in/large", recursive=True))
    names = {file.path.removeprefix("photos/in/large/") for file in found if file.is_file}
    assert names == set(contents(local)) | {"report.csv"}
    for name, content in contents(local).items():
        with bucket.open_input_stream(f"photos/in/large/{name}") as stream:
            assert stream.read() == content
    with bucket.open_input_stream("photos/in/large/report.csv") as stream:
        report = list(csv.DictReader(stream.read().decode().splitlines()))
    sources = {row["source"]: row for row in report}
    assert sources["s3://photos/in/turned.jpg"]["result"] == "s3://photos/in/large/turned.jpg"
    broken = sources["s3://photos/in/text.png"]
    assert broken["error"].startswith("s3://photos/in/text.png: the file is no picture")
    again = run(*call, "--report", tmp_path / "again.csv")
    assert again.stdout.startswith("0 of 8 enlarged")  # results within the folder are no sources
    assert "6 present already" in again.stdout


def when(there: Callable[[], bool], do: Callable[[], None]) -> threading.Thread:
    """Do something as soon as a condition holds, in a thread."""

    def wait() -> None:
        while not there():
            time.sleep(0.01)
        do()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


@pytest.mark.slow
def test_a_cluster_that_goes_away(
    tiny_upscaler: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_gcs_rpc_server_reconnect_timeout_s", "5")  # instead of a minute
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for seed in range(64):
        photograph(600, 400, seed=seed).save(folder / f"{seed}.jpg")
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2})
    end = when(
        lambda: out.exists() and len(contents(out)) > 2,
        lambda: cluster.head_node.kill_all_processes(check_alive=False, allow_graceful=False),
    )
    call = ("upscale", folder, "-m", tiny_upscaler, "-o", out, "--engine", "ray", "--workers", 2)
    result = run(*call, "--address", cluster.address)
    end.join()
    assert result.status == 1
    assert result.stderr.splitlines()[-1].startswith("error: ")
    assert "Finished results are kept: run it again to go on." in result.stderr
    assert len(result.stderr.splitlines()) == 1
    finished = contents(out)
    assert 2 < len(finished) < 64
    for name in finished:
        with Image.open(out / name) as image:
            image.load()
    assert {Path(row["result"]).name for row in rows(out / "report.csv").values()} <= set(finished)
    cluster.shutdown()


@pytest.mark.slow
def test_ctrl_c_keeps_what_is_finished(address: str, tiny_upscaler: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for seed in range(64):
        photograph(600, 400, seed=seed).save(folder / f"{seed}.jpg")
    end = when(
        lambda: out.exists() and len(contents(out)) > 2,
        lambda: os.kill(os.getpid(), signal.SIGINT),
    )
    call = ("upscale", folder, "-m", tiny_upscaler, "-o", out, "--engine", "ray", "--workers", 2)
    result = run(*call, "--address", address)
    end.join()
    assert result.status == 130
    assert "interrupted." in result.stdout
    assert (out / "report.csv").is_file()
    assert not [name for name in files(out) if "part" in name]


@pytest.mark.slow
def test_no_space_left_ends_the_job_with_one_sentence(
    address: str, tiny_upscaler: Path, tmp_path: Path
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    out.mkdir()
    for seed in range(12):
        photograph(120, 120, seed=seed).save(folder / f"{seed}.png")
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(out)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a small file system")
    try:
        call = ("upscale", folder, "-m", tiny_upscaler, "-o", out, "--engine", "ray")
        result = run(
            *call, "--address", address, "--workers", 2, "--report", tmp_path / "report.csv"
        )
        assert result.status == 1
        assert "No space left on device" in result.stderr
        assert len(result.stderr.splitlines()) == 1
        finished = contents(out)
        assert 0 < len(finished) < 12
        assert not [name for name in finished if "part" in name]
        for name in finished:
            with Image.open(out / name) as image:
                assert image.size == (240, 240)
                image.load()
    finally:
        subprocess.run(["umount", str(out)], check=True)


def test_an_address_where_nothing_answers(tiny_upscaler: Path, tmp_path: Path) -> None:
    photograph().save(tmp_path / "a.png")
    call = ("upscale", tmp_path / "a.png", "-m", tiny_upscaler, "-o", tmp_path / "out")
    result = run(*call, "--engine", "ray", "--address", "127.0.0.1:1")
    assert result.status == 1
    assert "Nothing answers at 127.0.0.1:1" in result.stderr
    assert not (tmp_path / "out").exists()


def test_errors_of_the_cluster_are_errors_of_zoo() -> None:
    assert issubclass(ClusterError, zoo.ZooError)

"""Photographs behind addresses: in a real S3 server on this machine, and in fsspec's memory."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import run
from PIL import Image
from pyarrow import fs
from ray_tools import LIMIT, contents, holiday, settings

pytest.importorskip("ray")
server = pytest.importorskip("moto.server")

from zoo.errors import ImageError, InputError  # noqa: E402
from zoo.ray.report import check_report, new_report  # noqa: E402
from zoo.ray.sources import list_sources  # noqa: E402
from zoo.ray.storage import child, open_storage, shown  # noqa: E402

pytestmark = LIMIT


@pytest.fixture(scope="module")
def s3() -> Iterator[fs.FileSystem]:
    """An S3 server with an empty bucket "photos"; the environment leads to it."""
    running = server.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    running.start()
    host = "{}:{}".format(*running.get_host_and_port())
    try:
        with settings() as patch:
            for name, value in (
                ("AWS_ENDPOINT_URL", f"http://{host}"),
                ("AWS_ACCESS_KEY_ID", "key"),
                ("AWS_SECRET_ACCESS_KEY", "secret"),
                ("AWS_DEFAULT_REGION", "us-east-1"),
                ("AWS_EC2_METADATA_DISABLED", "true"),
                ("NO_PROXY", "127.0.0.1"),
            ):
                patch.setenv(name, value)
            filesystem = fs.S3FileSystem(
                endpoint_override=host, scheme="http", allow_bucket_creation=True
            )
            filesystem.create_dir("photos")
            yield filesystem
    finally:
        running.stop()


def put(s3: fs.FileSystem, path: str, content: bytes) -> None:
    with s3.open_output_stream(path) as stream:
        stream.write(content)


def names(s3: fs.FileSystem, folder: str) -> set[str]:
    found = s3.get_file_info(fs.FileSelector(folder, recursive=True))
    return {file.path.removeprefix(f"{folder}/") for file in found if file.is_file}


def test_files_of_a_bucket_are_found_read_and_written(s3: fs.FileSystem, tmp_path: Path) -> None:
    Image.new("RGB", (3, 2)).save(tmp_path / "a.png")
    picture = (tmp_path / "a.png").read_bytes()
    for name in ("b.png", "day/a.png", "day/.hidden.png", "notes.txt", "out/b.png"):
        put(s3, f"photos/found/{name}", picture)
    table = list_sources("s3://photos/found", "s3://photos/found/out").table
    assert table["relative"].to_pylist() == ["b.png", "day/a.png"]
    assert table["source"].to_pylist() == ["s3://photos/found/b.png", "s3://photos/found/day/a.png"]
    storage, path = open_storage("s3://photos/found/b.png")
    with storage.reading(path) as file:
        assert file.read_bytes() == picture
    with pytest.raises(ImageError, match="no such file"):
        storage.find("photos/nowhere")
    with (
        pytest.raises(ImageError, match="s3://photos/found/c.png: there is no such file"),
        storage.reading("photos/found/c.png"),
    ):
        pass
    with storage.writing("photos/new/c.png") as place:
        place.write_bytes(picture)
        assert not storage.exists("photos/new/c.png")
    with pytest.raises(ImageError, match="^s3://photos/new/d.png: damaged"):  # noqa: PT012, SIM117
        with storage.writing("photos/new/d.png") as place:
            place.write_bytes(picture[:9])
            raise ImageError(f"{place}: damaged")
    assert names(s3, "photos/new") == {"c.png"}


def test_a_report_goes_to_a_bucket(s3: fs.FileSystem) -> None:
    with new_report("s3://photos/reports/a.csv"):
        pass
    with s3.open_input_stream("photos/reports/a.csv") as stream:
        assert stream.read() == b'"source","result","seconds","status","error"\n'
    with pytest.raises(InputError, match="Did you mean '.parquet'"):
        check_report("s3://photos/reports/a.parqet")


def test_addresses() -> None:
    with pytest.raises(InputError, match="s33:// is no kind of address.*Did you mean 's3'"):
        open_storage("s33://photos/a")
    assert open_storage("file:///a/b.png")[0].is_local
    storage, path = open_storage("memory://a/b")
    with storage.writing(f"{path}/c.txt") as place:
        place.write_text("c")
    assert storage.exists(f"{path}/c.txt")
    assert child("s3://a/b?scheme=http", "report.csv") == "s3://a/b/report.csv?scheme=http"
    assert shown("s3://key:secret@photos/a?endpoint_override=127.0.0.1:1") == "s3://photos/a"


@pytest.mark.slow
def test_from_s3_to_s3(s3: fs.FileSystem, tiny_upscaler: Path, tmp_path: Path) -> None:
    """The cluster is one of its own: workers get the address of the server by the environment."""
    folder, local = holiday(tmp_path / "holiday"), tmp_path / "local"
    run("upscale", folder, "-m", tiny_upscaler, "-o", local)
    for name, content in contents(folder).items():
        put(s3, f"photos/in/{name}", content)
    call = ("upscale", "s3://photos/in", "-o", "s3://photos/in/large", "-m", tiny_upscaler)
    call += ("--engine", "ray", "--workers", 2)
    result = run(*call)
    assert result.status == 1, result.stderr
    assert result.stdout.startswith("6 of 8 enlarged into s3://photos/in/large in ")
    assert names(s3, "photos/in/large") == set(contents(local)) | {"report.csv"}
    for name, content in contents(local).items():
        with s3.open_input_stream(f"photos/in/large/{name}") as stream:
            assert stream.read() == content
    with s3.open_input_stream("photos/in/large/report.csv") as stream:
        report = list(csv.DictReader(stream.read().decode().splitlines()))
    sources = {row["source"]: row for row in report}
    assert sources["s3://photos/in/turned.jpg"]["result"] == "s3://photos/in/large/turned.jpg"
    broken = sources["s3://photos/in/text.png"]
    assert broken["error"].startswith("s3://photos/in/text.png: the file is no picture")
    again = run(*call, "--report", tmp_path / "again.csv")
    assert again.stdout.startswith("0 of 8 enlarged")  # results within the folder are no sources
    assert "6 present already" in again.stdout

"""Standard input and output, pipes, devices, and consoles of a narrow encoding."""

from __future__ import annotations

import io
import os
import socket
import threading
from pathlib import Path

import pytest
from commands import files, photograph, piped, run
from PIL import Image

import zoo


@pytest.fixture(scope="module")
def tiny_segmenter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    net = zoo.create_model("dynamic_unet", encoder="test_resnet", decoder_channels=(8,) * 5)
    return zoo.save_model(net, tmp_path_factory.mktemp("models") / "masks")


def encoded(format: str, mode: str = "RGB") -> bytes:
    stream = io.BytesIO()
    photograph(40, 33, mode).save(stream, format)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("source", "options", "format"),
    [
        ("PNG", (), "PNG"),
        ("JPEG", ("--format", "png"), "PNG"),
        ("PNG", ("--format", "jpg"), "JPEG"),
        ("GIF", (), "PNG"),
        ("TIFF", (), "TIFF"),
    ],
)
def test_from_standard_input_to_standard_output(
    tiny_upscaler: Path, source: str, options: tuple[str, ...], format: str
) -> None:
    result = piped("upscale", "-", "-o", "-", "-m", tiny_upscaler, *options, stdin=encoded(source))
    assert result.status == 0, result.stderr
    with Image.open(io.BytesIO(result.stdout)) as image:  # nothing stands before the picture
        image.load()
        assert (image.format, image.size) == (format, (80, 66))
    assert "1 of 1 enlarged into the standard output" in result.stderr


@pytest.mark.parametrize(("kind", "mode"), [("mask", "L"), ("overlay", "RGB"), ("cutout", "RGBA")])
def test_segmentation_of_standard_input(tiny_segmenter: Path, kind: str, mode: str) -> None:
    call = ("segment", "-", "-o", "-", "--as", kind, "-m", tiny_segmenter, "--size", 64)
    result = piped(*call, "--format", "png", stdin=encoded("JPEG"))
    assert result.status == 0, result.stderr
    with Image.open(io.BytesIO(result.stdout)) as image:
        assert (image.mode, image.size) == (mode, (40, 33))


def test_what_is_printed_during_the_work_stays_out_of_the_picture(
    tiny_upscaler: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    enlarge = zoo.Upscaler.picture

    def chatty(self: zoo.Upscaler, *arguments: object) -> object:
        print("a word from a library")
        return enlarge(self, *arguments)

    monkeypatch.setattr(zoo.Upscaler, "picture", chatty)
    result = piped("upscale", "-", "-o", "-", "-m", tiny_upscaler, stdin=encoded("PNG"))
    assert result.stdout.startswith(b"\x89PNG")
    assert b"a word" not in result.stdout
    assert "a word from a library" in result.stderr


def test_one_of_both_streams(tiny_upscaler: Path, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encoded("PNG"))
    result = piped("upscale", tmp_path / "a.png", "-o", "-", "-m", tiny_upscaler)
    assert result.stdout.startswith(b"\x89PNG")
    for out in (tmp_path / "out", tmp_path / "b.jpg"):
        result = piped("upscale", "-", "-o", out, "-m", tiny_upscaler, stdin=encoded("PNG"))
        assert result.status == 0, result.stderr
    assert files(tmp_path) == {"a.png", "out/stdin.png", "b.jpg"}


@pytest.mark.parametrize(
    ("stdin", "said"),
    [
        (b"", "standard input: the file is empty"),
        (b"no picture", "standard input: the file is no picture"),
        (encoded("PNG")[:200], "standard input: the file is damaged"),
    ],
)
def test_bad_input_is_named_and_nothing_is_written(
    tiny_upscaler: Path, stdin: bytes, said: str
) -> None:
    result = piped("upscale", "-", "-o", "-", "-m", tiny_upscaler, stdin=stdin)
    assert (result.status, result.stdout) == (1, b"")
    assert said in result.stderr
    assert "/" not in result.stderr.partition(":")[2].partition("(")[0]  # no temporary path


def test_streams_that_cannot_serve(tiny_upscaler: Path, tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.png").write_bytes(encoded("PNG"))
    for inputs, said in (
        ([tmp_path / "a.png", tmp_path / "b.png"], "-o - takes one picture"),
        ([tmp_path], "-o - takes one picture"),
        (["-", "-"], "which can be read once"),
    ):
        result = piped("upscale", *inputs, "-o", "-", "-m", tiny_upscaler, stdin=encoded("PNG"))
        assert (result.status, result.stdout) == (2, b"")
        assert said in result.stderr


def test_a_pipe_by_name_is_read(tiny_upscaler: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "camera"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(encoded("JPEG"),))
    writer.start()
    result = run("upscale", pipe, "-o", tmp_path / "out", "-m", tiny_upscaler)
    writer.join()
    assert result.status == 0, result.stderr
    assert files(tmp_path / "out") == {"camera.jpg"}


def test_what_is_no_file_in_a_folder_is_left_out_and_named(
    tiny_upscaler: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    photograph().save(folder / "a.png")
    os.mkfifo(folder / "b.jpg")
    os.mkfifo(folder / "sub" / "c.png")
    (folder / "d.png").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(folder / "e.png"))
        result = run("upscale", folder, "-o", tmp_path / "out", "-m", tiny_upscaler)
    assert result.status == 0, result.stderr
    assert files(tmp_path / "out") == {"a.png"}
    assert "4 left out" in result.stdout
    for said in (
        "b.jpg: a named pipe",
        "c.png: a named pipe",
        "d.png: a device",
        "e.png: a socket",
    ):
        assert said in result.stdout


def test_a_device_by_name_is_refused(tiny_upscaler: Path, tmp_path: Path) -> None:
    result = run("upscale", "/dev/zero", "-o", tmp_path / "a.png", "-m", tiny_upscaler)
    assert result.status == 1
    assert "/dev/zero: it is a device" in result.stderr


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1", "utf-8"])
def test_a_narrow_console_costs_no_result(
    tiny_upscaler: Path, tmp_path: Path, encoding: str
) -> None:
    names = ["→ 写真.png", os.fsdecode(b"caf\xe9.png")]  # the second is no UTF-8
    for name in names:
        photograph().save(tmp_path / name)
    (tmp_path / "broken 写真.png").touch()
    out = tmp_path / "×"
    result = piped("upscale", tmp_path, "-o", out, "-m", tiny_upscaler, encoding=encoding)
    assert result.status == 1
    assert files(out) == set(names)
    assert "broken" in result.stderr
    for call, status in (
        (("export", tiny_upscaler, "-o", tmp_path / "写真.pt2"), 0),
        (("export", tiny_upscaler, "-o", tmp_path / "写真.pt2"), 1),
        (("demo", tmp_path / names[0], "-o", tmp_path / "写", "-m", tiny_upscaler), 0),
        (("info", "srresnet_x2"), 0),
        (("info", "写真"), 2),
        (("list",), 0),
        (("segment", "--help"), 0),
        (("verify", "写真"), 2),
    ):
        result = piped(*call, encoding=encoding)
        assert result.status == status, (call, result.stderr)
        assert "Traceback" not in result.stderr

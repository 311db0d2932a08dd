"""`zoo upscale` on real files: what is written, what is said, and the exit status."""

from __future__ import annotations

import io
import os
import re
from pathlib import Path

import numpy as np
import pytest
from commands import files, photograph, run
from PIL import Image

import zoo
from zoo.inference.upscaler import Upscaler


@pytest.fixture
def holiday(tmp_path: Path) -> Path:
    """Ten good photographs and three broken files."""
    folder = tmp_path / "holiday"
    (folder / "day 2" / "[late]").mkdir(parents=True)
    turned = Image.Exif()
    turned[0x0112] = 6  # to be turned by a quarter
    photograph().save(folder / "a.jpg")
    photograph().save(folder / "turned.jpg", exif=turned)
    photograph(mode="L").save(folder / "grey.JPEG")
    photograph(mode="CMYK").save(folder / "cmyk.jpg")
    photograph(mode="RGBA").save(folder / "cut out.png")
    photograph(mode="P").save(folder / "palette.png")
    photograph(1, 1).save(folder / "one pixel.png")
    photograph().save(folder / "day 2" / "b.webp")
    photograph().save(folder / "day 2" / "[late]" / "c.tif")
    Image.fromarray(np.arange(0, 63000, 1000, np.uint16).reshape(7, 9)).save(folder / "deep.png")
    (folder / "empty.png").touch()
    (folder / "text.png").write_text("This is no picture.")
    whole = io.BytesIO()
    photograph(60, 60).save(whole, "JPEG")
    (folder / "day 2" / "truncated.jpg").write_bytes(whole.getvalue()[: len(whole.getvalue()) // 2])
    (folder / "notes.txt").write_text("not meant")
    return folder


def test_names_do_not_command_the_terminal(tiny_upscaler: Path, tmp_path: Path) -> None:
    photograph().save(tmp_path / "good \x1b[31m.png")
    (tmp_path / "bad \x1b]0;title\x07\nerror: no.png").write_text("This is no picture.")
    result = run("upscale", tmp_path, "-o", tmp_path / "out \x1b[2J", "-m", tiny_upscaler)
    assert result.status == 1
    for said in (result.stdout, result.stderr):
        assert len(said.splitlines()) == 1
        assert said.strip().isprintable()
    assert r"bad \x1b]0;title\x07\nerror: no.png" in result.stderr
    assert r"out \x1b[2J" in result.stdout


def test_a_folder_with_broken_files(tiny_upscaler: Path, holiday: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "big"
    result = run("upscale", holiday, "-o", out, "-m", tiny_upscaler)
    broken = {"empty.png", "text.png", "day 2/truncated.jpg"}
    assert result.status == 1
    assert files(out) == files(holiday) - broken - {"notes.txt"}
    lines = result.stderr.splitlines()
    assert len(lines) == 3
    for name in broken:
        assert sum(str(holiday / name) in line for line in lines) == 1
    assert result.stdout.startswith(f"10 of 13 enlarged into {out} in ")
    assert result.stdout.endswith(", 3 failed.\n")
    for name in files(out):
        source, large = Image.open(holiday / name), Image.open(out / name)
        assert large.format == source.format
        width, height = source.size
        turned = name == "turned.jpg"
        assert large.size == ((2 * height, 2 * width) if turned else (2 * width, 2 * height))
        assert (large.mode == source.mode) or source.mode in ("P", "CMYK")
        assert large.getexif().get(0x0112, 1) == 1


def test_the_result_is_that_of_the_library(tiny_upscaler: Path, tmp_path: Path) -> None:
    source = tmp_path / "a.png"
    photograph(30, 25).save(source)
    options = ("--tile", "7", "--precision", "fp32", "--tta", "--device", "cpu")
    assert run("upscale", source, "-o", tmp_path / "out", "-m", tiny_upscaler, *options).status == 0
    expected = zoo.upscale(source, str(tiny_upscaler), precision="fp32", tta=True)
    with Image.open(tmp_path / "out" / "a.png") as large:
        np.testing.assert_array_equal(np.asarray(large), np.asarray(expected))


def test_one_file_into_a_named_file(tiny_upscaler: Path, tmp_path: Path) -> None:
    source, target = tmp_path / "a.png", tmp_path / "sub" / "b.JPG"
    photograph().save(source)
    tables = []
    for quality in (20, 90):
        options = ("--quality", quality, "--overwrite")
        assert run("upscale", source, "-o", target, "-m", tiny_upscaler, *options).status == 0
        assert Image.open(target).format == "JPEG"
        tables.append(sum(Image.open(target).quantization[0]))
    assert tables[0] > 4 * tables[1]
    assert files(tmp_path) == {"a.png", "sub/b.JPG"}


@pytest.mark.parametrize(("text", "tile"), [("auto", "auto"), ("whole", None), ("7", 7)])
def test_tiles_are_those_asked_for(
    tiny_upscaler: Path, tmp_path: Path, text: str, tile: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[object] = []

    class Recorder(Upscaler):
        def __init__(self, *arguments: object, **options: object) -> None:
            super().__init__(*arguments, **options)
            seen.append(self.tile)

    monkeypatch.setattr("zoo.inference.automatic.Upscaler", Recorder)
    photograph().save(tmp_path / "a.png")
    call = ("upscale", tmp_path / "a.png", "-o", tmp_path / "out", "-m", tiny_upscaler)
    assert run(*call, "--tile", text).status == 0
    assert seen == [tile]


def test_what_cannot_be_written_is_known_before_the_work(
    tiny_upscaler: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photograph(8192, 1).save(tmp_path / "a.webp")  # twice that is more than WebP takes
    monkeypatch.setattr(Upscaler, "picture", lambda *_: pytest.fail("it ran"))
    result = run("upscale", tmp_path / "a.webp", "-o", tmp_path / "out", "-m", tiny_upscaler)
    assert result.status == 1
    assert "WEBP ends at 16,383 pixels" in result.stderr


def test_format_changes_the_suffix(tiny_upscaler: Path, tmp_path: Path) -> None:
    photograph().save(tmp_path / "a.jpeg")
    photograph(mode="P").save(tmp_path / "b.gif")
    out = tmp_path / "out"
    call = ("upscale", tmp_path / "a.jpeg", "-o", out, "-m", tiny_upscaler, "--format", "tif")
    assert run(*call).status == 0
    assert run("upscale", tmp_path / "b.gif", "-o", out, "-m", tiny_upscaler).status == 0
    assert files(out) == {"a.tif", "b.png"}


def test_existing_files_stay(tiny_upscaler: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "a.png", tmp_path / "out"
    photograph().save(source)
    out.mkdir()
    (out / "a.png").write_text("dear")
    result = run("upscale", source, "-o", out, "-m", tiny_upscaler)
    assert result.status == 1
    assert "--overwrite" in result.stderr
    assert (out / "a.png").read_text() == "dear"
    assert run("upscale", source, "-o", out, "-m", tiny_upscaler, "--overwrite").status == 0
    assert Image.open(out / "a.png").size == (24, 18)


@pytest.mark.parametrize("option", [("--skip-existing",), ()])
def test_an_interrupted_folder_goes_on(
    tiny_upscaler: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: tuple[str, ...]
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    (folder / "sub").mkdir(parents=True)
    photograph().save(folder / "a.png")
    photograph().save(folder / "sub" / "b.jpg")
    photograph().save(folder / "c.jpg", format="PNG")  # its result is c.png
    call = ("upscale", folder, "-o", out, "-m", tiny_upscaler, *option)
    first = run(*call)
    assert (first.status, "present" in first.stdout) == (0, False)
    before = {name: (out / name).stat().st_mtime_ns for name in files(out)}
    assert set(before) == {"a.png", "sub/b.jpg", "c.png"}
    photograph().save(folder / "d.gif")
    again = run(*call)
    assert again.status == 0, again.stderr
    assert again.stdout.startswith(f"1 of 4 enlarged into {out} in ")
    assert "3 present already" in again.stdout
    assert files(out) == {*before, "d.png"}
    assert {name: (out / name).stat().st_mtime_ns for name in before} == before
    monkeypatch.setattr(Upscaler, "picture", lambda *_: pytest.fail("it ran"))
    assert run(*call).status == 0


def test_skipping_a_single_file(tiny_upscaler: Path, tmp_path: Path) -> None:
    photograph().save(tmp_path / "a.png")
    (tmp_path / "b.png").write_text("dear")
    call = ("upscale", tmp_path / "a.png", "-o", tmp_path / "b.png", "-m", tiny_upscaler)
    result = run(*call, "--skip-existing")
    assert (result.status, (tmp_path / "b.png").read_text()) == (0, "dear")
    assert "1 present already" in result.stdout
    assert run(*call, "--skip-existing", "--overwrite").status == 2
    assert run("upscale", tmp_path, "-o", tmp_path, "-m", tiny_upscaler).status == 1


def test_what_a_folder_leaves_out_is_told(tiny_upscaler: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    photograph().save(folder / "a.png")
    for name in ("b.psd", "sub/c.PSD", "notes.txt", ".hidden.psd", "README"):
        (folder / name).write_text("something")
    result = run("upscale", folder, "-o", tmp_path / "out", "-m", tiny_upscaler)
    assert result.status == 0
    said = "4 left out (2 .psd, 1 .txt, 1 README: not kinds that zoo reads)."
    assert result.stdout.rstrip().endswith(said)


@pytest.mark.parametrize("command", ["upscale", "segment", "demo", "export"])
@pytest.mark.parametrize(
    ("out", "said"),
    [
        ("file/big", "can't be made|does not exist"),
        ("x" * 300 + ".png", "no file can have this name|name must end in|can't be made"),
        ("closed/big", "can't be written to|does not exist"),
    ],
)
def test_places_are_refused_before_a_model_is_loaded(
    command: str, out: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photograph().save(tmp_path / "a.png")
    (tmp_path / "file").touch()
    (tmp_path / "closed").mkdir()
    access = os.access
    monkeypatch.setattr(
        "os.access",
        lambda path, mode: (
            not (Path(path).name == "closed" and mode & os.W_OK) and access(path, mode)
        ),
    )
    for place in ("zoo.inference.placement.load_model", "zoo.commands.export.load_model"):
        monkeypatch.setattr(place, lambda *_: pytest.fail("a model was loaded"))
    target = tmp_path / out
    if command == "export":
        call = ("export", "srresnet_x2", "-o", target.with_suffix(".pt2"))
    else:
        call = (command, tmp_path / "a.png", "-o", target)
    result = run(*call)
    assert result.status in (1, 2)
    assert re.search(said, result.stderr), result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert files(tmp_path) == {"a.png", "file"}


def test_a_result_never_replaces_its_source(tiny_upscaler: Path, tmp_path: Path) -> None:
    source = tmp_path / "a.png"
    photograph().save(source)
    for out in (tmp_path, source):
        result = run("upscale", source, "-o", out, "-m", tiny_upscaler, "--overwrite")
        assert result.status == 1
        assert "replace it" in result.stderr
        assert Image.open(source).size == (12, 9)


def test_two_results_never_share_a_name(tiny_upscaler: Path, tmp_path: Path) -> None:
    for name in ("a.png", "a.jpg"):
        photograph().save(tmp_path / name)
    out = tmp_path / "out"
    start = ("upscale", tmp_path, "-o", out, "-m", tiny_upscaler)
    result = run(*start, "--format", "png", "--overwrite")
    assert result.status == 1
    assert "would replace that of" in result.stderr
    assert files(out) == {"a.png"}


def test_earlier_results_are_no_input(tiny_upscaler: Path, tmp_path: Path) -> None:
    photograph().save(tmp_path / "a.png")
    arguments = ("upscale", tmp_path, "-o", tmp_path / "big", "-m", tiny_upscaler, "--overwrite")
    for _ in range(2):
        result = run(*arguments)
        assert result.status == 0
        assert result.stdout.startswith("1 of 1 enlarged")
    assert files(tmp_path) == {"a.png", "big/a.png"}
    (tmp_path / "a.png").unlink()
    result = run(*arguments)
    assert result.status == 1
    assert "the only pictures are earlier results" in result.stderr


def test_several_pictures_need_a_folder(tiny_upscaler: Path, tmp_path: Path) -> None:
    sources = [tmp_path / "a.png", tmp_path / "b.png"]
    for source in sources:
        photograph().save(source)
    result = run("upscale", *sources, "-o", tmp_path / "two.png", "-m", tiny_upscaler)
    assert result.status == 2
    assert "names one picture, and there are several" in result.stderr
    assert files(tmp_path) == {"a.png", "b.png"}


def test_folders_that_cannot_be_used(tiny_upscaler: Path, tmp_path: Path) -> None:
    photograph().save(tmp_path / "a.png")
    (tmp_path / "file").write_text("in the way")
    for out in (tmp_path / "file", tmp_path / "file" / "big"):
        result = run("upscale", tmp_path / "a.png", "-o", out, "-m", tiny_upscaler)
        assert result.status == 1
        assert "can't be made" in result.stderr
        assert len(result.stderr.splitlines()) == 1
    (tmp_path / "nothing").mkdir()
    result = run("upscale", tmp_path / "nothing", "-o", tmp_path / "big", "-m", tiny_upscaler)
    assert result.status == 1
    assert "no image" in result.stderr
    result = run("upscale", tmp_path / "missing.png", "-o", tmp_path / "big", "-m", tiny_upscaler)
    assert result.status == 1
    assert "no such file" in result.stderr
    assert not (tmp_path / "big").exists()


def test_max_pixels(tiny_upscaler: Path, tmp_path: Path) -> None:
    photograph().save(tmp_path / "a.png")
    arguments = ("upscale", tmp_path / "a.png", "-o", tmp_path / "out", "-m", tiny_upscaler)
    result = run(*arguments, "--max-pixels", 100)
    assert result.status == 1
    assert "limit of 100" in result.stderr
    assert run(*arguments, "--max-pixels", 108).status == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["-m", "srresnet_x5"], "Did you mean 'srresnet_x"),
        (["--tile", "0"], "tile=0"),
        (["--tile", "big"], "--tile big"),
        (["--precision", "fp8"], "fp32, bf16"),
        (["--device", "toaster"], "toaster"),
        (["--quality", "0"], "--quality"),
        (["--format", "jpge"], "Did you mean 'jpeg'"),
        (["--frmat", "jpeg"], "--frmat"),
    ],
)
def test_wrong_calls_exit_with_2(
    tiny_upscaler: Path, tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    photograph().save(tmp_path / "a.png")
    options = [*([] if "-m" in arguments else ["-m", tiny_upscaler]), *arguments]
    result = run("upscale", tmp_path / "a.png", "-o", tmp_path / "out", *options)
    assert result.status == 2
    assert sentence in result.stderr
    assert files(tmp_path) == {"a.png"}


def test_a_name_that_contradicts_the_format(tiny_upscaler: Path, tmp_path: Path) -> None:
    photograph().save(tmp_path / "a.png")
    start = ("upscale", tmp_path / "a.png", "-m", tiny_upscaler, "-o")
    assert run(*start, tmp_path / "b.jpg", "--format", "png").status == 2
    assert run(*start, tmp_path / "b.doc").status == 2
    assert files(tmp_path) == {"a.png"}


def test_interruption_leaves_whole_files(
    tiny_upscaler: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C arrives while the second result is being written."""
    for name in "abc":
        photograph().save(tmp_path / f"{name}.png")
    save, saved = Image.Image.save, []

    def interrupted(self: Image.Image, target: Path, **options: object) -> None:
        saved.append(target)
        if len(saved) == 2:
            Path(target).write_bytes(b"half of it")
            raise KeyboardInterrupt
        save(self, target, **options)

    monkeypatch.setattr(Image.Image, "save", interrupted)
    result = run("upscale", tmp_path, "-o", tmp_path / "out", "-m", tiny_upscaler)
    assert result.status == 130
    assert "1 of 3" in result.stdout
    assert "interrupted" in result.stdout
    assert files(tmp_path / "out") == {"a.png"}


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("CUDA error: an illegal memory access was encountered"),
        ValueError("out of memory.png is odd"),
        OSError("/pictures/memory/a.png"),
    ],
)
def test_not_every_error_about_memory_is_a_lack_of_it(
    tiny_upscaler: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: object) -> None:
        raise error

    photograph().save(tmp_path / "out of memory.png")
    monkeypatch.setattr(Upscaler, "picture", fail)
    result = run("upscale", tmp_path, "-o", tmp_path / "out", "-m", tiny_upscaler)
    assert "not enough memory" not in result.stderr
    assert type(error).__name__ in result.stderr


def test_a_library_error_is_named_and_stops_nothing(
    tiny_upscaler: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "ab":
        photograph(seed=ord(name)).save(tmp_path / f"{name}.png")
    enlarge, calls = Upscaler.picture, []

    def fails_once(self: Upscaler, *arguments: object) -> object:
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to ...")
        return enlarge(self, *arguments)

    monkeypatch.setattr(Upscaler, "picture", fails_once)
    result = run("upscale", tmp_path, "-o", tmp_path / "out", "-m", tiny_upscaler)
    assert result.status == 1
    assert result.stderr == (
        f"{tmp_path / 'a.png'}: there is not enough memory for it; try a smaller --tile.\n"
    )
    assert files(tmp_path / "out") == {"b.png"}


def test_links_in_a_circle_are_told(tiny_upscaler: Path, tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    photograph().save(source / "a.png")
    (source / "loop.png").symlink_to(source / "loop.png")
    (source / "around").symlink_to(source)
    for inputs in ([source], sorted(source.iterdir())):
        result = run("upscale", *inputs, "-o", source / "out", "-m", tiny_upscaler, "--overwrite")
        assert result.status == 1
        assert (
            "loop.png: the file can't be read (Too many levels of symbolic links)" in result.stderr
        )
        assert files(source / "out") == {"a.png"}

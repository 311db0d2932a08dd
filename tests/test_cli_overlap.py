"""A folder's pictures overlap: one is read and one is written while one is worked on."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from commands import run
from PIL import Image

from zoo.commands import many_files
from zoo.inference.upscaler import Upscaler
from zoo.jobs import files
from zoo.pictures.picture import Picture

PATIENCE = 30  # seconds, after which something hangs


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    for name in "abc":
        Image.new("RGB", (12, 9), "red").save(tmp_path / "in" / f"{name}.png")
    return tmp_path / "in"


def test_the_next_is_read_and_the_last_is_written_meanwhile(
    folder: Path, tiny_upscaler: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Work on each picture ends only when the next was read; each write only in the next work."""
    read = {name: threading.Event() for name in "abc"}
    working = {name: threading.Event() for name in "abcd"}
    working["d"].set()  # nothing follows the last
    order = iter("abc")
    read_image, write_image, picture = (
        files.read_image,
        files.write_image,
        Upscaler.picture,
    )

    def reading(path: Path, *, max_pixels: int) -> Picture:
        read[path.stem].set()
        return read_image(path, max_pixels=max_pixels)

    def work(self: Upscaler, source: Picture, report: object) -> Picture:
        name = next(order)
        working[name].set()
        following = chr(ord(name) + 1)
        assert following not in read or read[following].wait(PATIENCE)
        return picture(self, source)

    def writing(result: Picture, target: Path, *, quality: int, overwrite: bool) -> None:
        assert working[chr(ord(target.stem) + 1)].wait(PATIENCE)
        write_image(result, target, quality=quality, overwrite=overwrite)

    monkeypatch.setattr(files, "read_image", reading)
    monkeypatch.setattr(files, "write_image", writing)
    monkeypatch.setattr(Upscaler, "picture", work)
    result = run("upscale", folder, "-o", tmp_path / "out", "-m", tiny_upscaler)
    assert result.status == 0, result.stderr
    assert "3 of 3" in result.stdout


def test_large_results_are_not_held_beside_each_other(
    folder: Path, tiny_upscaler: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(many_files, "_LARGE", 100)  # bytes
    events: list[str] = []
    write_image, picture = files.write_image, Upscaler.picture

    def work(self: Upscaler, source: Picture, report: object) -> Picture:
        events.append("work")
        return picture(self, source)

    def writing(result: Picture, target: Path, *, quality: int, overwrite: bool) -> None:
        write_image(result, target, quality=quality, overwrite=overwrite)
        events.append("written")

    monkeypatch.setattr(files, "write_image", writing)
    monkeypatch.setattr(Upscaler, "picture", work)
    assert run("upscale", folder, "-o", tmp_path / "out", "-m", tiny_upscaler).status == 0
    assert events == ["work", "written"] * 3


def test_failures_are_told_in_the_order_of_the_files(
    folder: Path, tiny_upscaler: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first can't be written, the second not be read; the third is done."""
    (folder / "b.png").write_text("no picture")
    write_image = files.write_image

    def writing(result: Picture, target: Path, *, quality: int, overwrite: bool) -> None:
        if target.stem == "a":
            raise OSError(28, "No space left on device")
        write_image(result, target, quality=quality, overwrite=overwrite)

    monkeypatch.setattr(files, "write_image", writing)
    result = run("upscale", folder, "-o", tmp_path / "out", "-m", tiny_upscaler)
    assert result.status == 1
    first, second = result.stderr.splitlines()
    assert "a.png" in first
    assert "No space left" in first
    assert "b.png" in second
    assert "1 of 3 enlarged" in result.stdout
    assert "2 failed" in result.stdout
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["c.png"]

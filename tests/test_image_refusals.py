"""Image files that are refused, each with one sentence."""

from __future__ import annotations

import io
import os
import resource
import shutil
import struct
import tempfile
import warnings
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from pictures import SRGB, camera_exif, photo, random_pixels, refusal, save, smooth_pixels
from PIL import Image

from zoo.errors import ImageError
from zoo.pictures.files import find_images, read_image, write_image
from zoo.pictures.formats import WRITABLE
from zoo.pictures.picture import Picture
from zoo.pictures.pillow import from_pil


def test_files_that_are_no_pictures(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "letter.png").write_text("Dear Sir or Madam")
    (tmp_path / "P").write_text("P")
    assert "empty" in refusal(tmp_path / "empty.jpg")
    assert "JPEG, PNG" in refusal(tmp_path / "letter.png")
    assert "directory" in refusal(tmp_path).lower()
    assert "Did you mean 'letter.png'?" in refusal(tmp_path / "leter.png")
    assert "no such file" in refusal(tmp_path / "nowhere" / "a.png")
    refusal(tmp_path / "P")


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("name", [*WRITABLE, "GIF"])
def test_truncated_files(tmp_path: Path, name: str) -> None:
    stream = io.BytesIO()
    Image.fromarray(random_pixels(50, 60, 3)).save(stream, name)
    data = stream.getvalue()
    file = tmp_path / "a"
    for length in [1, 3, 9, 17, 20, 30, 60, len(data) // 3, len(data) * 2 // 3]:
        file.write_bytes(data[:length])
        refusal(file)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("name", [*WRITABLE, "GIF"])
def test_altered_files_are_read_or_refused(tmp_path: Path, name: str) -> None:
    stream = io.BytesIO()
    exif = {} if name in ("BMP", "PPM", "GIF") else {"exif": camera_exif(6), "icc_profile": SRGB}
    Image.fromarray(smooth_pixels(20, 30)).save(stream, name, **exif)
    random = np.random.default_rng(0)
    file = tmp_path / "a"
    outcomes = set()
    for _ in range(150):
        data = bytearray(stream.getvalue())
        for position in random.integers(0, min(len(data), 1500), 3):
            data[position] = random.integers(256)
        file.write_bytes(data)
        try:
            outcomes.add(read_image(file, max_pixels=10**6).pixels.dtype)
        except ImageError:
            outcomes.add(ImageError)
    assert ImageError in outcomes


def huge_headers() -> dict[str, bytes]:
    """60,000 x 60,000 pixels in the header, and nearly nothing behind it."""

    def patched(name: str, *changes: tuple[bytes, bytes]) -> bytes:
        stream = io.BytesIO()
        Image.new("RGB", (259, 261)).save(stream, name)
        data = stream.getvalue()
        for old, new in changes:
            assert old in data
            data = data.replace(old, new, 1)
        return data

    side = 60_000
    png = patched("PNG", (struct.pack(">II", 259, 261), struct.pack(">II", side, side)))
    header = png[12:29]
    return {
        "PNG": png[:29] + struct.pack(">I", zlib.crc32(header)) + png[33:],
        "JPEG": patched("JPEG", (struct.pack(">HH", 261, 259), struct.pack(">HH", side, side))),
        "GIF": patched("GIF", (struct.pack("<HH", 259, 261), struct.pack("<HH", side, side))),
        "BMP": patched("BMP", (struct.pack("<ii", 259, 261), struct.pack("<ii", side, side))),
        "PPM": b"P6 60000 60000 255\n",
        "TIFF": patched(
            "TIFF",
            (struct.pack("<HHII", 256, 4, 1, 259), struct.pack("<HHII", 256, 4, 1, side)),
            (struct.pack("<HHII", 257, 4, 1, 261), struct.pack("<HHII", 257, 4, 1, side)),
        ),
    }


@pytest.mark.parametrize("name", ["PNG", "JPEG", "GIF", "BMP", "PPM", "TIFF"])
def test_a_huge_header_is_refused_before_anything_is_decoded(tmp_path: Path, name: str) -> None:
    file = tmp_path / "bomb"
    file.write_bytes(huge_headers()[name])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert "60,000 × 60,000" in refusal(file)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert after - before < 64 * 1024  # KiB; the pixels would be 10 GiB


def test_max_pixels_replaces_pils_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [*WRITABLE, "GIF"]
    for name in names:
        file = tmp_path / f"a.{name.lower()}"
        Image.new("RGB", (30, 20)).save(file, name)
        assert "max_pixels" in refusal(file, max_pixels=599)
        assert read_image(file, max_pixels=600).pixels.shape == (20, 30, 3)
    for limit in (100, 500):  # PIL refuses from twice the limit on, and warns from the limit on
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for name in names:
                assert read_image(tmp_path / f"a.{name.lower()}").pixels.shape == (20, 30, 3)
        assert limit == Image.MAX_IMAGE_PIXELS


def test_pils_limit_comes_back_after_reading_in_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    files = [save(Image.new("RGB", (30, 20 + n)), tmp_path / f"{n}.tif") for n in range(40)]
    (tmp_path / "0.tif").write_bytes(b"II*\0 damaged")
    with ThreadPoolExecutor(8) as pool:
        heights = list(pool.map(lambda file: height_of(file), files))
    assert heights == [None, *range(21, 60)]
    assert Image.MAX_IMAGE_PIXELS == 100


def height_of(file: Path) -> int | None:
    try:
        return read_image(file).pixels.shape[0]
    except ImageError:
        return None


@pytest.mark.parametrize("name", ["GIF", "PNG", "WEBP", "TIFF"])
def test_animations_and_pages_are_refused(tmp_path: Path, name: str) -> None:
    frames = [Image.fromarray(random_pixels(8, 8, 3) // (n + 1)) for n in range(3)]
    file = tmp_path / "a"
    frames[0].save(file, name, save_all=True, append_images=frames[1:])
    assert "several frames or pages" in refusal(file)


def test_bundled_animation_and_pages_are_refused() -> None:
    for name in ("no_time_for_that_tiny.gif", "multipage.tif"):
        assert "several frames or pages" in refusal(photo(name))


def test_the_main_picture_of_a_multi_picture_jpeg(tmp_path: Path) -> None:
    pixels = smooth_pixels(16, 24)
    frames = [Image.fromarray(pixels), Image.new("RGB", (8, 8))]
    frames[0].save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=frames[1:])
    picture = read_image(tmp_path / "a.jpg")
    assert picture.format == "JPEG"
    assert np.abs(picture.pixels.astype(int) - pixels).max() < 20


def test_32_bit_pixels_are_refused(tmp_path: Path) -> None:
    floats = save(Image.new("F", (3, 2), 1.5), tmp_path / "f.tif")
    assert "32-bit float" in refusal(floats)
    with pytest.raises(ImageError, match="32-bit float"):
        from_pil(Image.new("F", (3, 2), 0.5))
    integers = save(Image.new("I", (3, 2), 70000), tmp_path / "i.tif")
    assert "32-bit" in refusal(integers)
    assert "32-bit" in refusal(save(Image.new("I", (3, 2), -1), tmp_path / "n.tif"))


def test_single_pixel(tmp_path: Path) -> None:
    for name in [*WRITABLE, "GIF"]:
        file = tmp_path / f"a.{name.lower()}"
        Image.new("RGB", (1, 1), "white").save(file, name)
        assert (read_image(file).pixels == np.full((1, 1, 3), 255)).all()


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """A folder that can be read and not written; root becomes nobody for as long."""
    folder = Path(tempfile.mkdtemp())
    Image.new("RGB", (2, 2)).save(folder / "locked.png")
    (folder / "locked.png").chmod(0)
    (folder / "locked").mkdir(mode=0)
    folder.chmod(0o555)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield folder
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o755)
        (folder / "locked").chmod(0o755)
        shutil.rmtree(folder)


def test_permission_denied(unprivileged: Path) -> None:
    assert "Permission denied" in refusal(unprivileged / "locked.png")
    with pytest.raises(ImageError, match=r"out\.png.*(can't be written|Permission denied)"):
        write_image(Picture(random_pixels(2, 2, 3)), unprivileged / "out.png")
    with pytest.raises(ImageError, match=r"out\.png.*Permission denied"):
        write_image(Picture(random_pixels(2, 2, 3)), unprivileged / "locked" / "out.png")
    with pytest.raises(ImageError, match="can't be listed"):
        find_images([unprivileged])
    assert sorted(file.name for file in unprivileged.iterdir()) == ["locked", "locked.png"]

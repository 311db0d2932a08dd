"""16 bits a channel in colour, read and written."""

from __future__ import annotations

import struct
import sys
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pictures import SRGB, assert_camera_exif, camera_exif, random_pixels
from PIL import Image

from zoo.errors import ImageError, MissingDependencyError
from zoo.pictures.files import read_image, write_image
from zoo.pictures.picture import Picture
from zoo.pictures.pillow import from_pil, to_pil


def png_of(values: np.ndarray) -> bytes:
    """A PNG of `[H, W, 2..4]` uint16, put together by the specification."""
    height, width, bands = values.shape

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 16, {2: 4, 3: 2, 4: 6}[bands], 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize("bands", [2, 3, 4])
@pytest.mark.parametrize("name", ["PNG", "TIFF"])
def test_16_bit_colour_and_alpha_survive_bit_by_bit(tmp_path: Path, bands: int, name: str) -> None:
    pyvips = pytest.importorskip("pyvips")
    values = random_pixels(6, 7, bands, dtype=np.uint16)
    (tmp_path / "photo[1].png").write_bytes(png_of(values))
    picture = read_image(tmp_path / "photo[1].png")
    colours = 1 if bands == 2 else 3
    assert picture.format == "PNG"
    np.testing.assert_array_equal(picture.pixels, values[..., :colours])
    assert (picture.alpha is None) == (bands == 3)

    write_image(replace(picture, format=name), tmp_path / "out")

    again = pyvips.Image.new_from_file(str(tmp_path / "out"))
    np.testing.assert_array_equal(again.numpy(), values)
    assert again.hasalpha() == (bands != 3)
    if (name, bands) != ("TIFF", 2):  # which PIL cannot open
        assert read_image(tmp_path / "out").format == name


@pytest.mark.parametrize("name", ["PNG", "TIFF"])
def test_16_bit_colour_keeps_profile_and_exif(tmp_path: Path, name: str) -> None:
    pytest.importorskip("pyvips")
    pixels = random_pixels(6, 7, 3, dtype=np.uint16)
    write_image(Picture(pixels, None, SRGB, camera_exif(), name), tmp_path / "out")
    again = read_image(tmp_path / "out")
    np.testing.assert_array_equal(again.pixels, pixels)
    assert again.icc_profile == SRGB
    assert_camera_exif(again.exif)


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_16_bit_colour_tiff_with_an_orientation(tmp_path: Path, orientation: int) -> None:
    pytest.importorskip("pyvips")
    values = random_pixels(4, 6, 3, dtype=np.uint16)
    picture = Picture(values, exif=camera_exif(orientation), format="TIFF")
    write_image(picture, tmp_path / "a.tif")
    expected = {1: values, 3: values[::-1, ::-1], 6: np.rot90(values, -1)}[orientation]
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels, expected)


def test_16_bit_colour_with_a_transparent_colour_key(tmp_path: Path) -> None:
    pytest.importorskip("pyvips")
    values = random_pixels(4, 6, 3, dtype=np.uint16)
    data = png_of(values)
    key = b"tRNS" + values[1, 2].astype(">u2").tobytes()
    chunk = struct.pack(">I", 6) + key + struct.pack(">I", zlib.crc32(key))
    (tmp_path / "a.png").write_bytes(data[:33] + chunk + data[33:])
    alpha = read_image(tmp_path / "a.png").alpha
    assert alpha is not None
    assert alpha[1, 2] == 0
    assert (alpha == 65535).sum() == 23


def deep_files(folder: Path) -> dict[str, Path]:
    values = random_pixels(4, 6, 3, dtype=np.uint16)
    (folder / "deep.png").write_bytes(png_of(values))
    (folder / "grey.png").write_bytes(png_of(values[..., :2]))
    (folder / "deep.ppm").write_bytes(b"P6 6 4 65535\n" + values.astype(">u2").tobytes())
    (folder / "text.ppm").write_bytes(b"P3 6 4 65535\n" + b"700 " * 72)
    write_image(Picture(values, format="TIFF"), folder / "deep.tif")
    return {file.name: file for file in folder.iterdir()}


def test_16_bit_colour_is_never_cut_to_8_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = deep_files(tmp_path)
    for name in ("deep.ppm", "text.ppm"):  # nobody reads these
        with pytest.raises(ImageError, match=rf"{name}.*16 bits"):
            read_image(files[name])
    for file in files.values():
        with Image.open(file) as image, pytest.raises(ImageError, match="8 bits"):
            from_pil(image)
    monkeypatch.setitem(sys.modules, "pyvips", None)  # as if it were not installed
    for name in ("deep.png", "grey.png", "deep.tif"):
        with pytest.raises(MissingDependencyError, match=rf"{name}.*pip install"):
            read_image(files[name])
    with pytest.raises(MissingDependencyError, match="pip install"):
        write_image(Picture(random_pixels(2, 2, 3, dtype=np.uint16)), tmp_path / "out.png")
    with pytest.raises(ImageError, match="16 bits"):
        to_pil(Picture(random_pixels(2, 2, 3, dtype=np.uint16)))


def test_truncated_16_bit_colour(tmp_path: Path) -> None:
    pytest.importorskip("pyvips")
    data = png_of(random_pixels(40, 40, 3, dtype=np.uint16))
    (tmp_path / "a.png").write_bytes(data[: len(data) // 2])
    with pytest.raises(ImageError, match=r"a\.png: .*damaged"):
        read_image(tmp_path / "a.png")

"""What colours mean is never lost: PNG's chunks, TIFF's tags, AVIF's code points, grey profiles."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from pictures import random_pixels, save, smooth_pixels
from PIL import Image, ImageCms

from zoo.errors import ImageError
from zoo.pictures.colour import make_profile
from zoo.pictures.files import check_output, read_image, write_image
from zoo.pictures.formats import FORMATS, WRITABLE
from zoo.pictures.metadata import Chunks
from zoo.pictures.picture import Picture
from zoo.pictures.pillow import from_pil, to_pil

GAMMA_1 = (b"gAMA", struct.pack(">I", 100_000))
GAMMA_22 = (b"gAMA", struct.pack(">I", 45_455))
P3 = (b"cHRM", struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000))
SRGB_PRIMARIES = (
    b"cHRM",
    struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000),
)
STATEMENTS: dict[str, Chunks] = {
    "linear": (GAMMA_1,),
    "P3": (GAMMA_22, P3),
    "linear P3": (GAMMA_1, P3),
    "P3 by cICP": ((b"cICP", bytes([12, 13, 0, 1])),),
    "linear by cICP": ((b"cICP", bytes([1, 8, 0, 1])),),
}
HDR = [bytes([9, 16, 0, 1]), bytes([9, 18, 0, 1]), bytes([1, 11, 0, 1])]
PLAIN: dict[str, Chunks] = {
    "sRGB": ((b"sRGB", b"\1"),),
    "its gamma": (GAMMA_22,),
    "its gamma and primaries": (GAMMA_22, SRGB_PRIMARIES),
    "sRGB before others": ((b"sRGB", b"\0"), GAMMA_1, P3),
}
TO_SRGB = np.array(  # linear P3 to linear sRGB
    [[1.2249402, -0.2249402, 0], [-0.0420570, 1.0420570, 0], [-0.0196376, -0.0786360, 1.0982736]]
)


def png(path: Path, chunks: Chunks, mode: str = "RGB") -> Path:
    bands = len(mode)
    image = Image.fromarray(smooth_pixels(16, 24)[..., :bands].squeeze())
    data = save(image, path).read_bytes()
    extra = b"".join(
        struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks
    )
    path.write_bytes(data[:33] + extra + data[33:])
    return path


def shown(pixels: np.ndarray, profile: bytes | None) -> np.ndarray:
    """The pixels in sRGB, by LittleCMS."""
    if profile is None:
        return pixels
    image = Image.fromarray(pixels.squeeze())
    source, target = io.BytesIO(profile), ImageCms.createProfile("sRGB")
    flags = ImageCms.Flags.NOOPTIMIZE
    return np.asarray(
        ImageCms.profileToProfile(image, source, target, 1, outputMode="RGB", flags=flags)
    )


def meant(pixels: np.ndarray, title: str) -> np.ndarray:
    """The pixels in sRGB, by hand."""
    values = pixels / 255
    light = (
        values
        if "linear" in title
        else np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    )
    light = (light @ TO_SRGB.T if "P3" in title else light).clip(0, 1)
    return 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("title", [*STATEMENTS, *PLAIN])
def test_png_keeps_its_chunks(tmp_path: Path, title: str, mode: str) -> None:
    chunks = (STATEMENTS | PLAIN)[title]
    write_image(read_image(png(tmp_path / "a.png", chunks, mode)), tmp_path / "b.png")
    data = (tmp_path / "b.png").read_bytes()
    for kind, value in chunks:
        assert data.index(kind + value) < data.index(b"IDAT")
    assert read_image(tmp_path / "b.png").metadata.colour == chunks


@pytest.mark.parametrize("name", [name for name in WRITABLE if FORMATS[name].profile])
@pytest.mark.parametrize("title", STATEMENTS)
def test_other_formats_get_a_profile_that_says_the_same(
    tmp_path: Path, title: str, name: str
) -> None:
    picture = read_image(png(tmp_path / "a.png", STATEMENTS[title]))
    if name == "PNG":
        image = to_pil(picture)
        pixels, profile = np.asarray(image), image.info["icc_profile"]
    else:
        write_image(replace(picture, format=name), tmp_path / "b", quality=100)
        again = read_image(tmp_path / "b")
        pixels, profile = picture.pixels, again.icc_profile
    assert profile is not None
    assert np.abs(shown(pixels, profile) - meant(pixels, title)).max() < 1


@pytest.mark.parametrize("title", PLAIN)
@pytest.mark.parametrize("name", WRITABLE)
def test_statements_of_srgb_need_no_profile(tmp_path: Path, title: str, name: str) -> None:
    picture = read_image(png(tmp_path / "a.png", PLAIN[title]))
    write_image(replace(picture, format=name), tmp_path / "b")
    assert read_image(tmp_path / "b").icc_profile is None


@pytest.mark.parametrize("name", [name for name in WRITABLE if not FORMATS[name].profile])
def test_formats_without_profile_refuse_other_colours(tmp_path: Path, name: str) -> None:
    picture = read_image(png(tmp_path / "a.png", STATEMENTS["P3"]))
    with pytest.raises(ImageError, match="colour profile"):
        check_output(replace(picture, format=name), tmp_path / "b")


@pytest.mark.parametrize("cicp", HDR)
def test_high_dynamic_range_stays_in_png(tmp_path: Path, cicp: bytes) -> None:
    chunks = ((b"cICP", cicp), (b"mDCV", bytes(24)), (b"cLLI", bytes(8)))
    picture = read_image(png(tmp_path / "a.png", chunks))
    write_image(picture, tmp_path / "b.png")
    assert read_image(tmp_path / "b.png").metadata.colour == chunks
    for name in WRITABLE:
        if name != "PNG":
            with pytest.raises(ImageError, match="H.273.*PNG"):
                check_output(replace(picture, format=name), tmp_path / "c")
    with pytest.raises(ImageError, match="H.273.*PNG"):
        to_pil(picture)


def test_a_profile_outranks_older_statements(tmp_path: Path) -> None:
    curve = np.linspace(0, 1, 256) ** 1.8
    profile = make_profile((0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06), [curve])
    icc = (b"iCCP", b"x\0\0" + zlib.compress(profile))
    file = png(tmp_path / "a.png", (icc, GAMMA_1, P3))
    assert (read_image(file).icc_profile, read_image(file).metadata.colour) == (profile, ())


@pytest.mark.parametrize("chrm", [bytes(32), struct.pack(">8I", *[30000] * 8)])
def test_primaries_that_span_no_colours(tmp_path: Path, chrm: bytes) -> None:
    picture = read_image(png(tmp_path / "a.png", ((b"cHRM", chrm), GAMMA_1)))
    write_image(picture, tmp_path / "b.png")
    with pytest.raises(ImageError, match="primary colours"):
        check_output(replace(picture, format="JPEG"), tmp_path / "b.jpg")


@pytest.mark.parametrize(
    ("tags", "title"),
    [
        ({301: (3, [round(65535 * n / 255) for n in range(256)])}, "linear"),
        ({318: (5, (3127, 10000, 329, 1000)),
          319: (5, (68, 100, 32, 100, 265, 1000, 69, 100, 15, 100, 6, 100))}, "P3, power 2.2"),
    ],
)  # fmt: skip
def test_colour_tags_of_tiff_become_a_profile(
    tmp_path: Path, tags: dict[int, tuple[int, tuple[int, ...]]], title: str
) -> None:
    pixels = smooth_pixels(16, 24)
    extra = [
        (tag, kind, len(values) // (2 if kind == 5 else 1), values, True)
        for tag, (kind, values) in tags.items()
    ]
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", extratags=extra)
    picture = read_image(tmp_path / "a.tif")
    assert picture.icc_profile is not None
    light: Callable[[np.ndarray], np.ndarray] = lambda v: v**2.2  # noqa: E731
    values = pixels / 255
    linear = values if title == "linear" else (light(values) @ TO_SRGB.T).clip(0, 1)
    expected = meant(255 * linear, "linear")
    assert np.abs(shown(pixels, picture.icc_profile) - expected).max() < 1.5
    write_image(picture, tmp_path / "b.tif")
    assert read_image(tmp_path / "b.tif").icc_profile == picture.icc_profile


@pytest.mark.parametrize(("points", "kept"), [((12, 13), True), ((9, 16), True), ((1, 13), False)])
def test_code_points_of_avif(tmp_path: Path, points: tuple[int, int], kept: bool) -> None:
    file = save(Image.fromarray(smooth_pixels(16, 24)), tmp_path / "a.avif")
    data = file.read_bytes()
    at = data.index(b"nclx") + 4
    file.write_bytes(data[:at] + struct.pack(">HH", *points) + data[at + 4 :])
    picture = read_image(file)
    assert picture.metadata.colour == (((b"cICP", bytes([*points, 0, 1])),) if kept else ())
    write_image(replace(picture, format="PNG"), tmp_path / "b.png")
    assert read_image(tmp_path / "b.png").metadata.colour == picture.metadata.colour
    if points == (12, 13):
        write_image(picture, tmp_path / "b.avif")
        assert read_image(tmp_path / "b.avif").icc_profile is not None


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("name", WRITABLE)
def test_grey_profiles(tmp_path: Path, name: str, alpha: bool) -> None:
    known = FORMATS[name]
    profile = make_profile(None, [np.linspace(0, 1, 256)])  # linear light
    grey = smooth_pixels(16, 24)[..., :1]
    plane = random_pixels(16, 24).clip(100) if alpha and known.alpha else None
    picture = Picture(grey, plane, profile, None, name)
    if not known.profile:
        with pytest.raises(ImageError, match="colour profile"):
            write_image(picture, tmp_path / "a")
        return
    write_image(picture, tmp_path / "a", quality=100)
    again = read_image(tmp_path / "a")
    if known.grey:
        assert again.icc_profile == profile
    else:
        assert again.icc_profile is None  # a grey profile means nothing in RGB
        assert np.abs(again.pixels - meant(grey, "linear")).max() < 6


def test_pil_images_of_png_keep_what_their_colours_mean(tmp_path: Path) -> None:
    with Image.open(png(tmp_path / "a.png", STATEMENTS["P3"])) as image:
        profile = to_pil(from_pil(image)).info["icc_profile"]
    pixels = smooth_pixels(16, 24)
    assert np.abs(shown(pixels, profile) - meant(pixels, "P3")).max() < 1

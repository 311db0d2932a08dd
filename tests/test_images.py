"""Image files in and out: nothing lost, nothing in silence, nothing half written."""

from __future__ import annotations

import io
import os
import resource
import shutil
import struct
import sys
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image, ImageCms, ImageOps

from zoo.errors import ImageError, InputError, MissingDependencyError
from zoo.images import (
    FORMATS,
    Picture,
    check_output,
    fill_transparent,
    find_images,
    from_pil,
    read_image,
    to_pil,
    to_pixels,
    to_tensor,
    write_image,
)

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
WRITABLE = [name for name in FORMATS if FORMATS[name].writable]


def random_pixels(*shape: int, dtype: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max + 1, shape).astype(dtype)


def smooth_pixels(height: int, width: int) -> np.ndarray:
    """`[H, W, 3]`, colours that survive JPEG."""
    y, x = np.mgrid[:height, :width]
    planes = [255 * x / width, 255 * y / height, 255 * (x + y) / (height + width)]
    return np.stack(planes, -1).astype(np.uint8)


def photo(name: str) -> Path:
    """One of the photographs that ship inside scikit-image's wheel."""
    data = pytest.importorskip("skimage.data")
    return Path(data.__file__).with_name(name)


def camera_exif(orientation: int | None = None) -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Zoo Cameras"
    exif[ExifTags.IFD.Exif] = {
        ExifTags.Base.ExposureTime: 0.01,
        ExifTags.Base.MakerNote: b"secret\0sauce",
        ExifTags.Base.ExifImageWidth: 99999,
    }
    exif[ExifTags.IFD.GPSInfo] = {1: "N", 2: (52.0, 31.0, 12.0)}
    if orientation is not None:
        exif[ExifTags.Base.Orientation] = orientation
    return exif.tobytes()


def assert_camera_exif(block: bytes | None) -> None:
    assert block is not None
    exif = Image.Exif()
    exif.load(block)
    assert exif[ExifTags.Base.Make] == "Zoo Cameras"
    assert exif.get(ExifTags.Base.Orientation, 1) == 1
    details = exif.get_ifd(ExifTags.IFD.Exif)
    assert details[ExifTags.Base.ExposureTime] == 0.01
    assert details[ExifTags.Base.MakerNote] == b"secret\0sauce"
    assert ExifTags.Base.ExifImageWidth not in details
    assert exif.get_ifd(ExifTags.IFD.GPSInfo)[2] == (52.0, 31.0, 12.0)


def save(image: Image.Image, path: Path, **options: object) -> Path:
    image.save(path, **options)
    return path


# Reading: what must survive


@pytest.mark.parametrize(
    "name", ["astronaut.png", "coffee.png", "chelsea.png", "rocket.jpg", "retina.jpg"]
)
def test_reads_photographs_as_pil_does(name: str) -> None:
    picture = read_image(photo(name))
    with Image.open(photo(name)) as image:
        np.testing.assert_array_equal(picture.pixels, np.asarray(image.convert("RGB")))
        assert picture.format == image.format
        assert picture.icc_profile == image.info.get("icc_profile")
    assert picture.alpha is None


def test_reads_grey_and_alpha_photographs() -> None:
    assert read_image(photo("camera.png")).pixels.shape == (512, 512, 1)
    logo = read_image(photo("logo.png"))
    assert logo.pixels.shape == (500, 500, 3)
    with Image.open(photo("logo.png")) as image:
        np.testing.assert_array_equal(logo.alpha, np.asarray(image)[..., 3])


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_orientation_is_applied_and_reset(tmp_path: Path, orientation: int, suffix: str) -> None:
    upright = smooth_pixels(24, 40)
    undo = {5: 5, 6: 8, 7: 7, 8: 6}.get(orientation, orientation)  # the turn that stores it
    stored = from_pil(_oriented(Image.fromarray(upright), undo)).pixels
    file = tmp_path / f"turned.{suffix}"
    options = {} if suffix == "tif" else {"quality": 100}
    Image.fromarray(stored).save(file, exif=camera_exif(orientation), **options)

    picture = read_image(file)

    assert picture.pixels.shape == (24, 40, 3)
    assert np.abs(picture.pixels.astype(int) - upright).max() < 12
    assert_camera_exif(picture.exif)
    write_image(picture, tmp_path / "again")
    again = read_image(tmp_path / "again")
    assert again.pixels.shape == (24, 40, 3)
    assert_camera_exif(again.exif)


def _oriented(image: Image.Image, orientation: int) -> Image.Image:
    """`image` as if it had come from a file with this orientation."""
    image.getexif()[ExifTags.Base.Orientation] = orientation
    return image


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_agrees_with_pil(orientation: int) -> None:
    image = _oriented(Image.fromarray(random_pixels(5, 7, 4)), orientation)
    image.getchannel("A").putpixel((0, 0), 255)
    picture = from_pil(image)
    expected = np.asarray(ImageOps.exif_transpose(image))
    np.testing.assert_array_equal(picture.alpha, expected[..., 3])
    visible = expected[..., 3] > 0
    np.testing.assert_array_equal(picture.pixels[visible], expected[visible, :3])
    assert image.getexif()[ExifTags.Base.Orientation] == orientation  # the caller's image is kept


def test_exif_that_describes_the_source_file_is_left_behind(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Zoo Cameras"
    exif[ExifTags.Base.ImageWidth] = 99999  # telephones write it; in a TIFF it would be the width
    file = save(Image.new("RGB", (3, 2)), tmp_path / "a.jpg", exif=exif)
    write_image(replace(read_image(file), format="TIFF"), tmp_path / "b.tif")
    assert read_image(tmp_path / "b.tif").pixels.shape == (2, 3, 3)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_damaged_exif_does_not_cost_the_photograph(tmp_path: Path) -> None:
    file = save(Image.new("RGB", (3, 2)), tmp_path / "a.jpg", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    picture = read_image(file)
    assert picture.pixels.shape == (2, 3, 3)
    assert picture.exif is None


@pytest.mark.parametrize("name", [name for name in WRITABLE if FORMATS[name].profile])
@pytest.mark.parametrize("channels", [1, 3])
def test_profile_exif_and_pixels_survive_a_round_trip(
    tmp_path: Path, name: str, channels: int
) -> None:
    exif = camera_exif()
    pixels = smooth_pixels(24, 40)[..., :channels]
    picture = Picture(pixels, None, SRGB, exif, name)
    write_image(picture, tmp_path / "out")
    again = read_image(tmp_path / "out")
    assert again.format == name
    assert again.icc_profile == SRGB
    assert_camera_exif(again.exif)
    assert again.pixels.shape[2] == (3 if name == "WEBP" else channels)
    assert np.abs(again.pixels.astype(int) - pixels).max() < (
        8 if FORMATS[name].max_side < 1e5 else 1
    )


@pytest.mark.parametrize("name", ["BMP", "PPM", "PNG", "TIFF"])
@pytest.mark.parametrize("channels", [1, 3])
def test_lossless_formats_keep_every_pixel(tmp_path: Path, name: str, channels: int) -> None:
    pixels = random_pixels(7, 5, channels)
    write_image(Picture(pixels, format=name), tmp_path / "out")
    again = read_image(tmp_path / "out")
    np.testing.assert_array_equal(again.pixels, pixels)
    assert (again.format, again.exif, again.icc_profile) == (name, None, None)


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("name", ["PNG", "TIFF", "WEBP"])
def test_alpha_is_a_plane_of_its_own(tmp_path: Path, mode: str, name: str) -> None:
    pixels = random_pixels(6, 8, len(mode))
    alpha = random_pixels(6, 8).clip(1)
    planes = np.dstack([pixels, alpha])
    options = {"lossless": True, "exact": True} if name == "WEBP" else {}
    file = save(Image.fromarray(planes), tmp_path / "a", format=name, **options)
    picture = read_image(file)
    np.testing.assert_array_equal(picture.alpha, alpha)
    np.testing.assert_array_equal(picture.pixels[..., : len(mode)], pixels)
    write_image(picture, tmp_path / "b")
    np.testing.assert_array_equal(read_image(tmp_path / "b").alpha, alpha)


def test_one_bit_becomes_grey(tmp_path: Path) -> None:
    bits = random_pixels(5, 9, 1) > 127
    file = save(Image.fromarray(bits[..., 0]), tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(file).pixels, bits * np.uint8(255))


@pytest.mark.parametrize("suffix", ["png", "gif", "tif", "bmp"])
def test_palettes_become_rgb(tmp_path: Path, suffix: str) -> None:
    image = Image.fromarray(smooth_pixels(16, 16)).quantize(32)
    picture = read_image(save(image, tmp_path / f"a.{suffix}"))
    np.testing.assert_array_equal(picture.pixels, np.asarray(image.convert("RGB")))
    assert picture.alpha is None


@pytest.mark.parametrize("suffix", ["png", "gif"])
def test_palette_with_a_transparent_entry_becomes_rgb_and_alpha(
    tmp_path: Path, suffix: str
) -> None:
    image = Image.new("P", (4, 3), 1)
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.putpixel((2, 1), 0)
    picture = read_image(save(image, tmp_path / f"a.{suffix}", transparency=0))
    expected = np.full((3, 4), 255, np.uint8)
    expected[1, 2] = 0
    np.testing.assert_array_equal(picture.alpha, expected)
    assert (picture.pixels == (0, 255, 0)).all()  # the hidden red has gone as well


@pytest.mark.parametrize(("mode", "key"), [("L", 7), ("RGB", (7, 8, 9)), ("I;16", 777)])
def test_a_transparent_colour_key_becomes_alpha(
    tmp_path: Path, mode: str, key: int | tuple[int, ...]
) -> None:
    image = Image.new(mode, (4, 3), 0)
    image.putpixel((1, 2), key)
    picture = read_image(save(image, tmp_path / "a.png", transparency=key))
    assert picture.alpha is not None
    assert picture.alpha[2, 1] == 0
    assert (np.delete(picture.alpha.ravel(), 9) == np.iinfo(picture.alpha.dtype).max).all()


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm"])
def test_16_bit_grey_stays_16_bit(tmp_path: Path, suffix: str) -> None:
    values = random_pixels(6, 7, 1, dtype=np.uint16)
    picture = read_image(save(Image.fromarray(values[..., 0]), tmp_path / f"a.{suffix}"))
    assert picture.pixels.dtype == np.uint16
    np.testing.assert_array_equal(picture.pixels, values)
    write_image(picture, tmp_path / "b")
    np.testing.assert_array_equal(read_image(tmp_path / "b").pixels, values)
    np.testing.assert_array_equal(from_pil(to_pil(picture)).pixels, values)


def test_big_endian_and_32_bit_containers_of_16_bit_grey(tmp_path: Path) -> None:
    values = random_pixels(4, 5, dtype=np.uint16)
    big = Image.frombytes("I;16B", (5, 4), values.astype(">u2").tobytes())
    wide = Image.fromarray(values.astype(np.int32))
    for image in (big, wide):
        np.testing.assert_array_equal(from_pil(image).pixels[..., 0], values)
    file = save(big, tmp_path / "a.tif")
    np.testing.assert_array_equal(read_image(file).pixels[..., 0], values)


@pytest.mark.parametrize("mode", ["YCbCr", "HSV", "RGBX", "RGBa", "La", "PA", "LAB"])
def test_other_modes_become_grey_or_rgb(mode: str) -> None:
    source = Image.new("LA" if mode == "La" else "RGBA", (3, 2), "white")
    if mode == "LAB":
        image = Image.new("LAB", (3, 2), (255, 128, 128))
    elif mode == "PA":
        image = source.convert("RGB").quantize(4).convert("PA")
    else:
        image = (
            source.convert(mode) if mode in ("La", "RGBa") else source.convert("RGB").convert(mode)
        )
    picture = from_pil(image)
    assert picture.pixels.shape == (2, 3, 1 if mode == "La" else 3)
    assert (picture.pixels >= 254).all()
    assert picture.alpha is None or (picture.alpha == 255).all()


# Reading: CMYK


def test_cmyk_without_a_profile_by_pils_formula(tmp_path: Path) -> None:
    image = Image.fromarray(smooth_pixels(16, 16)).convert("CMYK")
    file = save(image, tmp_path / "a.tif")
    expected = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(read_image(file).pixels, expected)
    jpeg = read_image(save(image, tmp_path / "a.jpg", quality=100, subsampling=0))
    assert b"Adobe" in (tmp_path / "a.jpg").read_bytes()  # stored inverted
    assert np.abs(jpeg.pixels.astype(int) - expected).max() < 12
    assert jpeg.format == "JPEG"


@pytest.mark.parametrize("suffix", ["jpg", "tif"])
def test_cmyk_goes_through_its_profile(tmp_path: Path, suffix: str) -> None:
    pyvips = pytest.importorskip("pyvips")
    pixels = smooth_pixels(32, 32) // 2 + 64  # colours inside what ink can show
    rgb = pyvips.Image.new_from_array(pixels, interpretation="srgb")
    inks = rgb.icc_transform(
        "cmyk", input_profile="srgb", intent="relative", black_point_compensation=True
    )
    profile = inks.get("icc-profile-data")
    image = Image.frombytes("CMYK", (32, 32), inks.numpy().tobytes())
    options = {"quality": 100, "subsampling": 0} if suffix == "jpg" else {}
    file = save(image, tmp_path / f"a.{suffix}", icc_profile=profile, exif=camera_exif(), **options)

    picture = read_image(file)

    assert np.abs(picture.pixels.astype(int) - pixels).mean() < 4
    naive = np.asarray(image.convert("RGB")).astype(int)
    assert np.abs(naive - pixels).mean() > 8  # without the profile the colours would be wrong
    assert picture.icc_profile is None  # sRGB now: the profile of the inks must not stay
    assert_camera_exif(picture.exif)


def test_cmyk_with_a_profile_that_is_damaged_or_for_rgb(tmp_path: Path) -> None:
    image = Image.new("CMYK", (3, 2), (0, 255, 255, 0))
    for profile in (b"no profile", SRGB):
        file = save(image, tmp_path / "a.tif", icc_profile=profile)
        picture = read_image(file)
        assert (picture.pixels == (255, 0, 0)).all()
        assert picture.icc_profile is None


# Reading and writing: 16 bits a channel in colour


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


# Transparency without halos


def test_fill_transparent_takes_the_nearest_visible_colours() -> None:
    pixels = np.zeros((33, 50, 3), np.uint8)
    alpha = np.zeros((33, 50), np.uint8)
    pixels[:, :5], alpha[:, :5] = (200, 10, 30), 255
    pixels[:, -5:], alpha[:, -5:] = (10, 200, 30), 40
    filled = fill_transparent(pixels, alpha)
    np.testing.assert_array_equal(filled[:, :5], pixels[:, :5])
    np.testing.assert_array_equal(filled[:, -5:], pixels[:, -5:])
    assert (filled[..., 2] == 30).all()  # no black anywhere
    assert (filled[:, 5] == (200, 10, 30)).all()
    assert (filled[:, -6] == (10, 200, 30)).all()
    assert pixels[:, 5:45].max() == 0  # the argument is left alone


def test_fill_transparent_prefers_opaque_neighbours() -> None:
    pixels = np.array([[[0], [90]], [[240], [7]]], np.uint16)
    alpha = np.array([[30000, 10000], [20000, 0]], np.uint16)
    filled = fill_transparent(pixels, alpha)
    assert filled[1, 1, 0] == round((90 * 1 + 240 * 2) / 6)
    np.testing.assert_array_equal(filled.ravel()[:3], pixels.ravel()[:3])


@pytest.mark.parametrize("value", [0, 255])
def test_fill_transparent_where_there_is_nothing_to_do(value: int) -> None:
    pixels = random_pixels(3, 4, 3)
    assert fill_transparent(pixels, np.full((3, 4), value, np.uint8)) is pixels


def test_no_dark_halo_around_an_enlarged_cutout(tmp_path: Path) -> None:
    planes = np.zeros((20, 20, 4), np.uint8)  # transparent black around a white disc
    y, x = np.mgrid[:20, :20]
    planes[(y - 9.5) ** 2 + (x - 9.5) ** 2 < 50] = 255
    picture = read_image(save(Image.fromarray(planes), tmp_path / "a.png"))
    enlarged = Image.fromarray(picture.pixels).resize((80, 80), Image.Resampling.BICUBIC)
    assert np.asarray(enlarged).min() == 255


# Reading: refusals


def refusal(path: Path, **options: int) -> str:
    """The one sentence that reading raises: it names the file and has no second line."""
    with pytest.raises(ImageError) as caught:
        read_image(path, **options)
    sentence = str(caught.value)
    assert sentence.startswith(f"{path}: ")
    assert "\n" not in sentence
    return sentence


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
    for name in FORMATS:
        file = tmp_path / f"a.{name.lower()}"
        Image.new("RGB", (30, 20)).save(file, name)
        assert "max_pixels" in refusal(file, max_pixels=599)
        assert read_image(file, max_pixels=600).pixels.shape == (20, 30, 3)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # refuses from 200 on
    for name in ("JPEG", "PNG", "BMP", "GIF", "PPM"):
        assert read_image(tmp_path / f"a.{name.lower()}").pixels.shape == (20, 30, 3)
    assert "MAX_IMAGE_PIXELS" in refusal(tmp_path / "a.tiff")  # the decoder itself asks
    assert Image.MAX_IMAGE_PIXELS == 100


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
    floats = save(Image.new("F", (3, 2), 0.5), tmp_path / "f.tif")
    assert "32-bit float" in refusal(floats)
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


# Writing: refusals and atomicity


def test_jpeg_has_full_colour_resolution_and_the_quality_asked_for(tmp_path: Path) -> None:
    picture = replace(read_image(photo("astronaut.png")), format="JPEG")
    for quality in (95, 60):
        write_image(picture, tmp_path / "a.jpg", quality=quality, overwrite=True)
        with Image.open(tmp_path / "a.jpg") as image:
            assert [layer[1:3] for layer in image.layer] == [(1, 1)] * 3  # 4:4:4
            stream = io.BytesIO()
            image.save(stream, "JPEG", qtables="keep", subsampling="keep")
            reference = io.BytesIO()
            Image.new("RGB", (8, 8)).save(reference, "JPEG", quality=quality)
            assert image.quantization == Image.open(reference).quantization
    for quality in (0, 101):
        with pytest.raises(InputError, match=str(quality)):
            write_image(picture, tmp_path / "b.jpg", quality=quality)


@pytest.mark.parametrize(
    ("picture", "sentence"),
    [
        (
            Picture(random_pixels(2, 2, 3), np.zeros((2, 2), np.uint8), format="JPEG"),
            "transparency",
        ),
        (Picture(random_pixels(2, 2, 3), np.zeros((2, 2), np.uint8), format="BMP"), "transparency"),
        (Picture(random_pixels(2, 2, 1, dtype=np.uint16), format="JPEG"), "16 bits"),
        (Picture(random_pixels(2, 2, 1, dtype=np.uint16), format="WEBP"), "16 bits"),
        (Picture(random_pixels(2, 2, 3, dtype=np.uint16), format="PPM"), "16 bits"),
        (Picture(random_pixels(2, 2, 3), icc_profile=SRGB, format="BMP"), "colour profile"),
        (Picture(random_pixels(2, 2, 3), format="GIF"), "doesn't write GIF"),
        (Picture(random_pixels(2, 2, 3), format="JPG"), "Did you mean 'JPEG'"),
        (Picture(random_pixels(1, 16384, 3), format="WEBP"), "16,383"),
        (Picture(random_pixels(1, 65501, 1), format="JPEG"), "65,500"),
    ],
)
def test_what_a_format_cannot_hold_is_refused(
    tmp_path: Path, picture: Picture, sentence: str
) -> None:
    with pytest.raises(ImageError, match=sentence) as caught:
        write_image(picture, tmp_path / "out")
    assert str(caught.value).startswith(f"{tmp_path / 'out'}: ")
    assert list(tmp_path.iterdir()) == []


def test_size_limits_are_known_before_the_work(tmp_path: Path) -> None:
    picture = Picture(random_pixels(1, 5000, 3), format="WEBP")
    check_output(picture, tmp_path / "out", scale=3)
    with pytest.raises(ImageError, match="20,000"):
        check_output(picture, tmp_path / "out", scale=4)
    large = Picture(np.zeros((3000, 3000, 3), np.uint8), format="TIFF")
    check_output(large, tmp_path / "out", scale=8)
    with pytest.raises(ImageError, match="bytes"):
        check_output(large, tmp_path / "out", scale=16)


def test_an_opaque_alpha_plane_may_go(tmp_path: Path) -> None:
    alpha = np.full((4, 4), 255, np.uint8)
    write_image(Picture(smooth_pixels(4, 4), alpha, format="JPEG"), tmp_path / "a.jpg")
    assert read_image(tmp_path / "a.jpg").alpha is None


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    picture = Picture(random_pixels(2, 2, 3))
    file = tmp_path / "a.png"
    write_image(picture, file)
    first = file.read_bytes()
    with pytest.raises(ImageError, match=r"a\.png: the file exists.*--overwrite"):
        write_image(Picture(random_pixels(3, 3, 3)), file)
    assert file.read_bytes() == first
    write_image(Picture(random_pixels(3, 3, 3)), file, overwrite=True)
    assert read_image(file).pixels.shape == (3, 3, 3)
    for place, sentence in [
        (tmp_path / "nowhere" / "b.png", "does not exist"),
        (file / "b.png", "does not exist"),
        (tmp_path, "is a folder"),
        (tmp_path / ("b" * 300), "too long"),
    ]:
        with pytest.raises(ImageError, match=sentence):
            write_image(picture, place, overwrite=True)
    assert [child.name for child in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
@pytest.mark.parametrize("exists", [False, True])
def test_nothing_half_written_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, exists: bool
) -> None:
    file = tmp_path / "a.png"
    if exists:
        file.write_bytes(b"the old one")

    def half_a_save(image: Image.Image, path: Path, **options: object) -> None:
        assert path.parent == tmp_path  # or the rename would not be atomic
        path.write_bytes(b"half")
        raise error

    monkeypatch.setattr(Image.Image, "save", half_a_save)
    expected = KeyboardInterrupt if error is KeyboardInterrupt else ImageError
    with pytest.raises(expected):
        write_image(Picture(random_pixels(2, 2, 3)), file, overwrite=True)
    assert [child.read_bytes() for child in tmp_path.iterdir()] == [b"the old one"] * exists


def test_written_files_have_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "usual").touch()
    write_image(Picture(random_pixels(2, 2, 3)), tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_mode == (tmp_path / "usual").stat().st_mode


# Finding files


def test_find_images(tmp_path: Path) -> None:
    names = ["b/z.JPG", "b/c/a.tiff", "a.png", "A2.WebP", "notes.txt", ".hidden.png", ".git/x.png"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = find_images([tmp_path])
    assert [str(relative) for _, relative in found] == ["A2.WebP", "a.png", "b/c/a.tiff", "b/z.JPG"]
    assert all(file == tmp_path / relative for file, relative in found)
    single = find_images([tmp_path / "b/z.JPG", str(tmp_path / "notes.txt"), tmp_path / "gone.png"])
    assert [str(relative) for _, relative in single] == ["z.JPG", "notes.txt", "gone.png"]
    assert len(find_images([tmp_path, tmp_path / "a.png", tmp_path / "b"])) == 4


def test_a_folder_named_by_a_dot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.png").touch()
    monkeypatch.chdir(tmp_path)
    assert find_images(["."]) == [(Path("a.png"), Path("a.png"))]


def test_a_folder_without_images(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ImageError, match="no image"):
        find_images([tmp_path])


# Tensors


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("working", [torch.float32, torch.float64])
def test_tensor_round_trip_is_exact(dtype: type, working: torch.dtype) -> None:
    levels = np.arange(np.iinfo(dtype).max + 1).astype(dtype).reshape(-1, 16, 1)
    pixels = np.concatenate([levels, levels[::-1], levels[:, ::-1]], axis=2)
    tensor = to_tensor(pixels)
    assert tensor.shape == (3, *pixels.shape[:2])
    assert tensor.dtype == torch.float32
    assert (tensor.min(), tensor.max()) == (0, 1)
    again = to_pixels(tensor.to(working), dtype)
    assert again.dtype == dtype
    np.testing.assert_array_equal(again, pixels)


def test_to_pixels_clamps_and_rounds_and_keeps_its_argument() -> None:
    tensor = torch.tensor([-0.5, 0.0, 0.49 / 255, 0.51 / 255, 1.0, 1.7]).reshape(1, 1, 6)
    kept = tensor.clone()
    assert to_pixels(tensor).ravel().tolist() == [0, 0, 0, 1, 255, 255]
    assert torch.equal(tensor, kept)
    assert to_pixels(torch.ones(3, 2, 1, dtype=torch.bfloat16)).shape == (2, 1, 3)


@pytest.mark.parametrize(
    "tensor",
    [torch.zeros(2, 2), torch.zeros(1, 3, 2, 2), torch.zeros(3, 2, 2, dtype=torch.uint8)],
)
def test_to_pixels_refuses_other_tensors(tensor: torch.Tensor) -> None:
    with pytest.raises(InputError, match="float tensor"):
        to_pixels(tensor)


def test_values_that_no_pixel_can_show() -> None:
    for value in (float("nan"), float("inf")):
        with pytest.raises(InputError, match="NaN or infinity"):
            to_pixels(torch.full((3, 2, 2), value))
    with pytest.raises(InputError, match="float32"):
        to_pixels(torch.zeros(3, 2, 2), np.float32)
    with pytest.raises(InputError, match="float64"):
        to_tensor(np.zeros((2, 2, 3)))


@pytest.mark.parametrize(
    ("pixels", "alpha"),
    [
        (np.zeros((2, 2), np.uint8), None),
        (np.zeros((2, 2, 4), np.uint8), None),
        (np.zeros((0, 2, 3), np.uint8), None),
        (np.zeros((2, 2, 3), np.float32), None),
        (np.zeros((2, 2, 3), np.uint8), np.zeros((3, 2), np.uint8)),
        (np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2), np.uint16)),
    ],
)
def test_pictures_of_impossible_shapes(pixels: np.ndarray, alpha: np.ndarray | None) -> None:
    with pytest.raises(InputError):
        Picture(pixels, alpha)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_pil_round_trip(mode: str) -> None:
    planes = random_pixels(5, 4, len(mode)).clip(1)
    image = Image.fromarray(planes[..., 0] if mode == "L" else planes)
    image.info["icc_profile"] = SRGB
    image.info["exif"] = camera_exif(3)
    again = to_pil(from_pil(image))
    assert again.mode == image.mode == mode
    np.testing.assert_array_equal(
        np.asarray(again), np.asarray(image.transpose(Image.Transpose.ROTATE_180))
    )
    assert again.info["icc_profile"] == SRGB
    assert_camera_exif(again.info["exif"])

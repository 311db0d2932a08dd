"""Reading image files: what must survive."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pictures import (
    SRGB,
    assert_camera_exif,
    camera_exif,
    photo,
    random_pixels,
    save,
    smooth_pixels,
)
from PIL import ExifTags, Image, ImageOps

from zoo.pictures.files import read_image, write_image
from zoo.pictures.formats import FORMATS, WRITABLE
from zoo.pictures.picture import Picture
from zoo.pictures.pillow import from_pil, to_pil


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
    assert again.pixels.shape[2] == (channels if FORMATS[name].grey else 3)
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

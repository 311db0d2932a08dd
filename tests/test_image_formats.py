"""Every format, channel count and depth that zoo writes, and what the docs say of each."""

from __future__ import annotations

import itertools
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from format_table import format_table
from pictures import SRGB, camera_exif, random_pixels, refusal, save, smooth_pixels
from PIL import Image, features

from zoo.errors import ImageError, MissingDependencyError
from zoo.pictures import tiff
from zoo.pictures.files import check_output, read_image, write_image
from zoo.pictures.formats import FORMATS, SUFFIXES, WRITABLE
from zoo.pictures.metadata import Metadata
from zoo.pictures.picture import Picture

EVERYTHING = Metadata(
    dpi=(300.0, 150.0),
    xmp=b"<x:xmpmeta xmlns:x='adobe:ns:meta/'></x:xmpmeta>",
    iptc=b"\x1c\x02\x05\x00\x05Title\x1c\x02\x50\x00\x02Me",
    comment=b"a comment",
    text=((b"tEXt", b"Title\0Sunset"), (b"iTXt", "Ort\0\0\0de\0Ort\0Küste".encode())),
)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", ["grey", "grey and alpha", "RGB", "RGBA"])
@pytest.mark.parametrize("name", WRITABLE)
def test_what_is_written_is_read(tmp_path: Path, name: str, channels: str, dtype: type) -> None:
    pytest.importorskip("pyvips")
    known, colours = FORMATS[name], 1 if "grey" in channels else 3
    full = np.iinfo(dtype).max
    smooth = (smooth_pixels(24, 40)[..., :colours] / 255 * full).astype(dtype)
    alpha = np.linspace(full // 9, full, 24 * 40).reshape(24, 40).astype(dtype)
    picture = Picture(smooth, alpha if "A" in channels or "alpha" in channels else None)
    picture = replace(picture, format=name)
    file = tmp_path / "out"
    deep = dtype == np.uint16
    if (picture.alpha is not None and not known.alpha) or (deep and colours not in known.deep):
        with pytest.raises(ImageError, match="transparency|16 bits"):
            write_image(picture, file)
        return
    if name == "JPEG2000" and deep and picture.alpha is not None:
        return
    write_image(picture, file)
    again = read_image(file)
    assert (again.format, again.pixels.dtype) == (name, dtype)
    assert again.pixels.shape[2] == (colours if known.grey else 3)
    error = np.abs(again.pixels.astype(int) - smooth)
    assert error.max() <= (0 if known.lossless else 12)
    if picture.alpha is not None:
        assert again.alpha is not None
        assert np.abs(again.alpha.astype(int) - alpha).max() <= (2 if name == "AVIF" else 0)
    write_image(again, tmp_path / "again")  # what has been read can be written


@pytest.mark.parametrize("name", WRITABLE)
def test_the_table_says_what_is_kept(tmp_path: Path, name: str) -> None:
    known, exif = FORMATS[name], camera_exif()
    profile = SRGB if known.profile else None
    picture = Picture(smooth_pixels(16, 24), None, profile, exif, name, EVERYTHING)
    write_image(picture, tmp_path / "out")
    again = read_image(tmp_path / "out")
    more = again.metadata
    assert again.icc_profile == profile
    # TIFF holds the same entries in another order; tests of its own follow
    assert (again.exif is not None) == ("exif" in known.keeps)
    if name != "TIFF" and again.exif:
        assert again.exif == exif
    assert more.xmp == (EVERYTHING.xmp if "xmp" in known.keeps else None)
    assert more.iptc == (EVERYTHING.iptc if "iptc" in known.keeps else None)
    assert more.comment == (EVERYTHING.comment if "comment" in known.keeps else None)
    assert more.text == (EVERYTHING.text if "text" in known.keeps else ())
    if "dpi" in known.keeps:
        assert more.dpi == pytest.approx(EVERYTHING.dpi, abs=0.02)
    else:
        assert more.dpi is None


def test_the_page_has_the_table() -> None:
    page = Path(__file__).parents[1].joinpath("docs", "command_line.md").read_text()
    written = re.search("<!-- formats -->\n(.*?)<!-- /formats -->", page, re.DOTALL)
    assert written is not None
    assert written[1] == format_table()


def test_every_suffix_can_be_written(tmp_path: Path) -> None:
    bits = Picture(random_pixels(4, 5, 1) // 128 * 255)
    for suffix, name in SUFFIXES.items():
        if FORMATS[name].writable:
            file = tmp_path / f"a{suffix}"
            write_image(replace(bits, format=name), file)
            assert read_image(file).format == name


@pytest.mark.parametrize("name", ["JPEG", "PNG", "TIFF", "AVIF", "WEBP"])
def test_formats_become_each_other(tmp_path: Path, name: str) -> None:
    """EXIF goes from each format that holds it to each other."""
    picture = Picture(smooth_pixels(16, 24), None, SRGB, camera_exif(), name, EVERYTHING)
    write_image(picture, tmp_path / "a")
    for other in WRITABLE:
        if not FORMATS[other].profile:
            with pytest.raises(ImageError, match="colour profile"):
                write_image(replace(read_image(tmp_path / "a"), format=other), tmp_path / other)
            continue
        write_image(replace(read_image(tmp_path / "a"), format=other), tmp_path / other)
        again = read_image(tmp_path / other)
        assert again.icc_profile == SRGB
        assert again.metadata.xmp == EVERYTHING.xmp
        assert again.exif is not None
        for text in (b"Zoo Cameras\0", b"secret\0sauce"):
            assert text in again.exif


# Limits


@pytest.mark.parametrize(
    ("field", "size"), [("exif", 65_534), ("xmp", 65_505), ("iptc", 65_507), ("comment", 65_534)]
)
def test_what_is_too_long_for_jpeg_is_refused_before_the_work(
    tmp_path: Path, field: str, size: int
) -> None:
    def with_length(length: int) -> Picture:
        picture = Picture(smooth_pixels(8, 8), format="JPEG")
        if field == "exif":
            head = camera_exif()
            return replace(picture, exif=head + bytes(length - len(head)))
        return replace(picture, metadata=Metadata(**{field: b"x" * length}))

    title = field if field == "comment" else field.upper()
    with pytest.raises(ImageError, match=f"{size:,}.*PNG and TIFF") as caught:
        check_output(with_length(size), tmp_path / "a.jpg")
    assert title in str(caught.value)
    fits = with_length(size - 1)
    write_image(fits, tmp_path / "a.jpg")
    again = read_image(tmp_path / "a.jpg")
    assert again.exif == fits.exif
    assert replace(again.metadata, quality=None) == fits.metadata
    for other in ("PNG", "TIFF", "WEBP", "AVIF"):
        write_image(replace(with_length(size), format=other), tmp_path / f"a.{other}")


def test_a_profile_too_long_for_jpeg(tmp_path: Path) -> None:
    picture = Picture(smooth_pixels(8, 8), icc_profile=SRGB.ljust(17_000_000), format="JPEG")
    with pytest.raises(ImageError, match="colour profile"):
        check_output(picture, tmp_path / "a.jpg")


def test_avif_limits_are_those_of_its_reader(tmp_path: Path) -> None:
    check_output(Picture(random_pixels(1, 8192, 3), format="AVIF"), tmp_path / "a", scale=4)
    with pytest.raises(ImageError, match="32,768"):
        check_output(Picture(random_pixels(1, 8193, 3), format="AVIF"), tmp_path / "a", scale=4)


# Lossless stays lossless, compressed stays compressed


def test_lossless_webp_stays_lossless(tmp_path: Path) -> None:
    pixels = random_pixels(20, 30, 3)
    for lossless, alpha in itertools.product([True, False], [None, random_pixels(20, 30)]):
        planes = pixels if alpha is None else np.dstack([pixels, alpha])
        file = save(
            Image.fromarray(planes), tmp_path / "a.webp", lossless=lossless, exact=True, quality=80,
            exif=camera_exif(),
        )  # fmt: skip
        picture = read_image(file)
        assert picture.metadata.lossless is lossless
        write_image(picture, tmp_path / "b.webp", quality=50, overwrite=True)
        again = read_image(tmp_path / "b.webp")
        assert again.metadata.lossless is lossless
        assert (again.pixels == picture.pixels).all() == lossless


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_compressed_tiff_stays_compressed(
    tmp_path: Path, channels: int, dtype: type, compression: str | None
) -> None:
    pytest.importorskip("pyvips")
    pixels = np.full((64, 64, channels), 7, dtype)
    if dtype == np.uint8 or channels == 1:
        image = Image.fromarray(pixels.squeeze())
        save(image, tmp_path / "a.tif", compression=compression)
    else:
        name = None if compression is None else "zlib"
        tifffile.imwrite(tmp_path / "a.tif", pixels, compression=name, planarconfig="contig",
            photometric="rgb" if channels > 2 else "minisblack",
            extrasamples=["unassalpha"] if channels in (2, 4) else None)  # fmt: skip
    write_image(read_image(tmp_path / "a.tif"), tmp_path / "b.tif")
    smaller = (tmp_path / "b.tif").stat().st_size < pixels.nbytes / 2
    assert smaller == (compression is not None)
    again = read_image(tmp_path / "b.tif")
    np.testing.assert_array_equal(again.pixels, pixels[..., : again.pixels.shape[2]])


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("endian", ["<", ">"])
def test_large_tiff_becomes_bigtiff_with_all_it_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compressed: bool, endian: str
) -> None:
    pytest.importorskip("pyvips")
    exif = camera_exif() if endian == ">" else little_endian(camera_exif())
    metadata = replace(EVERYTHING, compressed=compressed)
    pixels = random_pixels(20, 30, 3, dtype=np.uint16)
    picture = Picture(pixels, None, SRGB, exif, "TIFF", metadata)
    write_image(picture, tmp_path / "classic.tif")
    monkeypatch.setattr(tiff, "CLASSIC_BYTES", pixels.nbytes - 1)
    write_image(picture, tmp_path / "big.tif")
    with tifffile.TiffFile(tmp_path / "big.tif") as file:
        assert file.is_bigtiff
        assert file.pages[0].tags["ExifTag"].value["MakerNote"] == b"secret\0sauce"
    big, classic = read_image(tmp_path / "big.tif"), read_image(tmp_path / "classic.tif")
    np.testing.assert_array_equal(big.pixels, pixels)
    assert big.exif == classic.exif
    assert big.metadata == classic.metadata == replace(metadata, comment=None, text=())


def little_endian(block: bytes) -> bytes:
    exif = Image.Exif()
    exif.load(block)
    for group in (0x8769, 0x8825):
        exif.get_ifd(group)
    exif.endian = "<"
    return exif.tobytes()


# TIFF of many kinds


def test_tiff_with_a_preview_or_a_mask_is_one_picture(tmp_path: Path) -> None:
    pixels = random_pixels(16, 16, 3)
    for kind in (1, 4, 5):
        with tifffile.TiffWriter(tmp_path / f"{kind}.tif") as file:
            file.write(pixels, photometric="rgb")
            file.write(pixels[::4, ::4], photometric="rgb", subfiletype=1)
        with tifffile.TiffFile(tmp_path / f"{kind}.tif", mode="r+") as file:
            file.pages[1].tags["NewSubfileType"].overwrite(kind)
        np.testing.assert_array_equal(read_image(tmp_path / f"{kind}.tif").pixels, pixels)
    with tifffile.TiffWriter(tmp_path / "pages.tif") as file:
        file.write(pixels, photometric="rgb")
        file.write(pixels, photometric="rgb", subfiletype=2)
    assert "several frames or pages" in refusal(tmp_path / "pages.tif")


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_float_tiff_in_0_to_1_becomes_16_bits(tmp_path: Path, channels: int) -> None:
    pytest.importorskip("pyvips")
    values = np.linspace(0, 1, 8 * 9 * channels).reshape(8, 9, channels).astype(np.float32)
    options = {
        "photometric": "rgb" if channels > 2 else "minisblack",
        "extrasamples": ["unassalpha"] if channels in (2, 4) else None,
        "planarconfig": "contig" if channels > 1 else None,
    }
    tifffile.imwrite(tmp_path / "a.tif", values.squeeze(), **options)
    picture = read_image(tmp_path / "a.tif")
    expected = np.rint(values * 65535)[..., : picture.pixels.shape[2]]
    visible = slice(1, None)  # the first pixel is transparent where there is alpha
    np.testing.assert_array_equal(
        picture.pixels.reshape(72, -1)[visible], expected.reshape(72, -1)[visible]
    )
    assert (picture.alpha is not None) == (channels in (2, 4))
    for bad in (values + 0.5, values - 0.5, np.where(values > 0.9, np.float32(np.nan), values)):
        tifffile.imwrite(tmp_path / "bad.tif", bad.squeeze(), **options)
        assert "floats in [0, 1]" in refusal(tmp_path / "bad.tif")


@pytest.mark.parametrize(
    ("dtype", "channels", "words"),
    [
        (np.uint32, 3, "32-bit pixels in 3 channels"),
        (np.int16, 3, "16-bit signed pixels in 3 channels"),
        (np.float16, 3, "16-bit float pixels in 3 channels"),
        (np.float64, 1, "64-bit float pixels in 1 channel"),
        (np.int8, 3, "8-bit signed pixels in 3 channels"),
        (np.uint16, 6, "16-bit pixels in 6 channels"),
        (np.uint8, 7, "8-bit pixels in 7 channels"),
        (np.uint64, 1, "64-bit pixels in 1 channel"),
        (np.complex64, 1, "64-bit complex pixels in 1 channel"),
    ],
)
def test_tiff_of_other_pixels_is_not_called_damaged(
    tmp_path: Path, dtype: type, channels: int, words: str
) -> None:
    values = np.zeros((8, 9, channels), dtype).squeeze()
    tifffile.imwrite(
        tmp_path / "a.tif",
        values,
        photometric="rgb" if channels >= 3 else "minisblack",
        planarconfig="contig" if channels > 1 else None,
    )
    sentence = refusal(tmp_path / "a.tif")
    assert words in sentence
    assert "8 or 16 bits" in sentence


# Names that promise a kind of PPM


def test_pbm_and_pgm_hold_what_their_names_promise(tmp_path: Path) -> None:
    grey, bits = random_pixels(4, 5, 1), random_pixels(4, 5, 1) // 128 * 255
    colour = random_pixels(4, 5, 3)
    write_image(Picture(bits, format="PPM"), tmp_path / "a.pbm")
    assert (tmp_path / "a.pbm").read_bytes()[:2] == b"P4"
    np.testing.assert_array_equal(read_image(tmp_path / "a.pbm").pixels, bits)
    write_image(Picture(grey, format="PPM"), tmp_path / "a.pgm")
    assert (tmp_path / "a.pgm").read_bytes()[:2] == b"P5"
    for pixels, name in ((grey, "b.pbm"), (colour, "b.pbm"), (colour, "b.pgm")):
        with pytest.raises(ImageError, match=r"\.p[bg]m file holds"):
            write_image(Picture(pixels, format="PPM"), tmp_path / name)
    with pytest.raises(ImageError, match="black and white"):  # enlarged, they have greys
        check_output(Picture(bits, format="PPM"), tmp_path / "b.pbm", scale=2)


# Formats that need something


@pytest.mark.parametrize(("name", "feature"), [("AVIF", "avif"), ("JPEG2000", "jpg_2000")])
def test_builds_of_pillow_without_a_format(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, feature: str
) -> None:
    file = save(Image.new("RGB", (8, 8)), tmp_path / f"a.{name.lower()}", format=name)
    check = features.check
    monkeypatch.setattr(features, "check", lambda key: key != feature and check(key))
    with pytest.raises(MissingDependencyError, match=f"{name}.*pip install"):
        read_image(file)
    with pytest.raises(MissingDependencyError, match=f"{name}.*pip install"):
        check_output(Picture(random_pixels(2, 2, 3), format=name), tmp_path / "b")


@pytest.mark.parametrize(("name", "module"), [("HEIF", "pillow_heif"), ("JXL", "pillow_jxl")])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_formats_of_plugins_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, module: str, mode: str
) -> None:
    plugin = pytest.importorskip(module)
    if name == "HEIF":
        plugin.register_heif_opener()
    bands = {"L": 1, "RGB": 3, "RGBA": 4}[mode]
    pixels = np.dstack([smooth_pixels(32, 48), np.full((32, 48), 200, np.uint8)])[..., :bands]
    file = tmp_path / "a"
    Image.fromarray(pixels.squeeze()).save(file, name, quality=95, exif=camera_exif())
    picture = read_image(file)
    assert picture.format == name
    assert np.abs(picture.pixels.astype(int) - pixels[..., : min(bands, 3)]).max() < 16
    assert (picture.alpha is not None) == (mode == "RGBA")
    assert picture.exif is not None
    assert b"secret\0sauce" in picture.exif
    assert "48 × 32 pixels" in refusal(file, max_pixels=48 * 32 - 1)
    with pytest.raises(ImageError, match=f"doesn't write {name}"):
        write_image(picture, tmp_path / "b")
    monkeypatch.setitem(sys.modules, module, None)  # as if it were not installed
    with pytest.raises(MissingDependencyError, match=r"a: .*zoo-models\[formats\]"):
        read_image(file)


@pytest.mark.parametrize(("name", "options"), [("AVIF", {}), ("HEIF", {})])
def test_10_bits_are_never_cut_to_8(tmp_path: Path, name: str, options: dict[str, object]) -> None:
    pyvips = pytest.importorskip("pyvips")
    pixels = random_pixels(64, 64, 3, dtype=np.uint16)
    if name == "AVIF":
        image = pyvips.Image.new_from_array(pixels, interpretation="rgb16")
        image.heifsave(str(tmp_path / "a"), compression="av1", bitdepth=10)
    else:
        heif = pytest.importorskip("pillow_heif")
        heif.from_bytes(mode="RGB;16", size=(64, 64), data=pixels.tobytes()).save(tmp_path / "a")
    assert "10 bits a channel" in refusal(tmp_path / "a")


def test_tga_is_known_by_its_name_or_its_footer(tmp_path: Path) -> None:
    pixels = random_pixels(5, 6, 3)
    data = save(Image.fromarray(pixels), tmp_path / "a.tga").read_bytes()
    (tmp_path / "b").write_bytes(data)
    (tmp_path / "c.TGA").write_bytes(data[:-26])  # the older version has no footer
    (tmp_path / "d").write_bytes(data[:-26])
    for name in ("a.tga", "b", "c.TGA"):
        np.testing.assert_array_equal(read_image(tmp_path / name).pixels, pixels)
    assert "no picture" in refusal(tmp_path / "d")

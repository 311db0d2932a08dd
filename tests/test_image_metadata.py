"""EXIF and XMP go through byte for byte; only the orientation is set upright."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pictures import SRGB, save, smooth_pixels
from PIL import Image, PngImagePlugin

from zoo.pictures.directories import Directory, Entry, serialise
from zoo.pictures.exif import PREFIX, read_block
from zoo.pictures.files import read_image, write_image
from zoo.pictures.pillow import from_pil, to_pil

HOLDS_EXIF = ["JPEG", "PNG", "WEBP", "AVIF"]  # as a block; TIFF has its entries in directories
MAKER_NOTE = bytes(range(256)) * 5


def block(order: str, orientation: Entry | None) -> bytes:
    """An EXIF block with all that other programs' decoders stumble over."""

    def pack(code: str, *values: int) -> bytes:
        return struct.pack(order + code, *values)

    utf8, latin = "Ärtist 写真\0".encode(), "© Müller\0".encode("latin-1")
    details: Directory = {
        0x829A: Entry(5, 1, pack("II", 0, 0)),  # exposure time of 0/0
        0x9003: Entry(2, 3, b"no\0"),  # a date that is none
        0x9204: Entry(2, 5, b"text\0"),  # a number as text
        0x927C: Entry(7, len(MAKER_NOTE), MAKER_NOTE),
        0x9286: Entry(7, 12, b"UNICODE\0" + pack("HH", 0x5199, 0x771F)),
        0xA002: Entry(3, 1, pack("H", 4000)),
        0xA430: Entry(2, len(utf8), utf8),
        0xA005: Entry(4, 1, {0x0001: Entry(2, 4, b"R98\0")}),
    }
    entries: dict[int, Entry] = {
        0x010F: Entry(2, 5, b"Make\0"),
        0x011A: Entry(5, 1, pack("II", 0, 0)),
        0x013B: Entry(2, len(utf8), utf8),
        0x8298: Entry(2, len(latin), latin),
        0x8769: Entry(4, 1, details),
        0x8825: Entry(4, 1, {0x0002: Entry(5, 3, pack("6I", 52, 0, 31, 1, 12, 1))}),
        0x9C9B: Entry(1, 6, "写真\0".encode("utf-16-le")),
        0xC4A5: Entry(7, 6, b"PrintI"),
    }
    if orientation:
        entries[0x0112] = orientation
    header = {"<": b"II*\0\x08\0\0\0", ">": b"MM\0*\0\0\0\x08"}[order]
    return PREFIX + header + serialise(entries, order=order, big=False, at=8)


def orientations(order: str, value: int) -> dict[str, Entry | None]:
    return {
        "none": None,
        "SHORT": Entry(3, 1, struct.pack(order + "H", value)),
        "LONG": Entry(4, 1, struct.pack(order + "I", value)),
        "BYTE": Entry(1, 1, bytes([value])),
    }


@pytest.mark.parametrize("kind", ["none", "SHORT", "LONG", "BYTE"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("name", HOLDS_EXIF)
def test_exif_stays_byte_for_byte(tmp_path: Path, name: str, order: str, kind: str) -> None:
    told = block(order, orientations(order, 1 if name == "AVIF" else 6)[kind])
    upright = block(order, orientations(order, 1)[kind])
    plain = Image.fromarray(smooth_pixels(16, 24))
    if name == "AVIF":  # whose writer in PIL alters EXIF: ours puts it there
        picture = replace(from_pil(plain), exif=told, format=name)
        write_image(picture, tmp_path / "a")
    else:
        plain.save(tmp_path / "a", name, exif=told)
    turned = kind != "none" and name != "AVIF"
    picture = read_image(tmp_path / "a")
    assert picture.pixels.shape[:2] == ((24, 16) if turned else (16, 24))
    for other in HOLDS_EXIF:
        write_image(replace(picture, format=other), tmp_path / other)
        again = read_image(tmp_path / other)
        assert again.pixels.shape == picture.pixels.shape
        for exif in (picture.exif, again.exif):
            if "AVIF" in (name, other):  # keeps no orientation at all
                assert without_orientation(exif) == without_orientation(upright)
            else:
                assert exif == upright


def without_orientation(exif: bytes | None) -> Directory:
    tiff = read_block(exif)
    assert tiff is not None
    return {tag: entry for tag, entry in tiff.directories[0].items() if tag != 0x0112}


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_tiff_keeps_every_entry(tmp_path: Path, order: str, dtype: type) -> None:
    pytest.importorskip("pyvips")
    exif = block(order, orientations(order, 1)["SHORT"])
    pixels = smooth_pixels(16, 24).astype(dtype) * (257 if dtype == np.uint16 else 1)
    picture = replace(from_pil(Image.new("RGB", (1, 1))), pixels=pixels, exif=exif, format="TIFF")
    write_image(picture, tmp_path / "a.tif")
    again = read_image(tmp_path / "a.tif")
    write_image(again, tmp_path / "b.tif")
    for read in (again, read_image(tmp_path / "b.tif")):
        np.testing.assert_array_equal(read.pixels, pixels)
        expected, found = without_orientation(exif), without_orientation(read.exif)
        assert found.keys() - {0x011B, 0x0128} == expected.keys()
        assert {tag: found[tag] for tag in expected} == expected


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize(
    "wording", ['tiff:Orientation="{}"', "<tiff:Orientation>{}</tiff:Orientation>"]
)
@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_orientation_in_xmp_is_applied_and_reset(
    tmp_path: Path, name: str, wording: str, orientation: int
) -> None:
    packet = f"<x:xmpmeta {wording} Title='Küste'/>"
    xmp = packet.format(orientation).encode()
    image = Image.fromarray(smooth_pixels(16, 24))
    options = {"xmp": xmp}
    if name == "PNG":
        info = PngImagePlugin.PngInfo()
        info.add_itxt("XML:com.adobe.xmp", xmp.decode())
        options = {"pnginfo": info}
    if name == "TIFF":
        options = {"tiffinfo": {700: xmp}}
    image.save(tmp_path / "a", name, **options)
    picture = read_image(tmp_path / "a")
    assert picture.pixels.shape[:2] == ((16, 24) if orientation < 5 else (24, 16))
    assert picture.metadata.xmp == packet.format(1).encode()
    write_image(picture, tmp_path / "b")
    again = read_image(tmp_path / "b")
    assert again.pixels.shape == picture.pixels.shape
    assert again.metadata.xmp == packet.format(1).encode()


@pytest.mark.parametrize("suffix", ["jpg", "png", "bmp", "tif"])
@pytest.mark.parametrize("dpi", [(72, 72), (300, 300), (300, 150)])
def test_resolution_stays(tmp_path: Path, suffix: str, dpi: tuple[int, int]) -> None:
    file = save(Image.new("RGB", (8, 6)), tmp_path / f"a.{suffix}", dpi=dpi)
    write_image(read_image(file), tmp_path / f"b.{suffix}")
    with Image.open(file) as before, Image.open(tmp_path / f"b.{suffix}") as after:
        assert before.info["dpi"] == after.info["dpi"]


def test_resolution_of_16_bit_png(tmp_path: Path) -> None:
    pytest.importorskip("pyvips")
    pixels = smooth_pixels(8, 6).astype(np.uint16)
    plain = replace(from_pil(Image.new("RGB", (1, 1))), pixels=pixels)
    write_image(plain, tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").metadata.dpi is None  # libvips would tell 25.4
    told = replace(plain, metadata=replace(plain.metadata, dpi=(300.0, 300.0)))
    write_image(told, tmp_path / "b.png")
    assert read_image(tmp_path / "b.png").metadata.dpi == pytest.approx((300, 300), abs=0.02)


def test_no_resolution_is_made_up(tmp_path: Path) -> None:
    exif = block("<", None)
    file = save(Image.new("RGB", (8, 6)), tmp_path / "a.png", exif=exif)
    for name in ("JPEG", "PNG", "TIFF", "BMP"):
        picture = replace(read_image(file), format=name)
        assert picture.metadata.dpi is None
        write_image(picture, tmp_path / name)
        if name != "BMP":  # which always tells one, PIL's 96
            assert read_image(tmp_path / name).metadata.dpi is None


def test_png_texts_stay_as_they_are_wherever_they_stand(tmp_path: Path) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", "made by hand")
    info.add_text("workflow", "a long text " * 1000, zip=True)
    info.add_itxt("Title", "Küste", lang="de", tkey="Titel")
    info.add_text("parameters", "a second one")
    file = save(Image.new("L", (8, 6)), tmp_path / "a.png", pnginfo=info)
    data = file.read_bytes()
    end = data.index(b"IDAT") - 4
    texts = data[33:end]
    file.write_bytes(data[:33] + data[end:-12] + texts + data[-12:])  # behind the pixels
    write_image(read_image(file), tmp_path / "b.png")
    assert texts in (tmp_path / "b.png").read_bytes()


def test_pil_images_tell_the_same(tmp_path: Path) -> None:
    exif = block(">", orientations(">", 6)["SHORT"])
    file = save(
        Image.fromarray(smooth_pixels(16, 24)), tmp_path / "a.jpg", exif=exif, icc_profile=SRGB,
        comment=b"hello", dpi=(200, 200),
    )  # fmt: skip
    with Image.open(file) as image:
        result = to_pil(from_pil(image))
    assert result.size == (16, 24)
    assert result.info["exif"] == block(">", orientations(">", 1)["SHORT"])
    assert result.info["icc_profile"] == SRGB
    assert (result.info["comment"], result.info["dpi"]) == (b"hello", (200, 200))

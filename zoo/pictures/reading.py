"""From an open image file to a Picture: its format, whether it is taken, and who decodes it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import IO, NamedTuple

from PIL import Image, ImageFile

from zoo.errors import ImageError
from zoo.pictures import boxes
from zoo.pictures.formats import FORMATS, require_format
from zoo.pictures.header import Header, make_header, read_header
from zoo.pictures.picture import Picture
from zoo.pictures.pillow import decode, is_deep
from zoo.pictures.sixteen_bit import read_deep
from zoo.pictures.tiff import Page

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_HEIF = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")
_JXL = (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")
_TGA_FOOTER = b"TRUEVISION-XFILE.\0"


@dataclass(frozen=True)
class Description:
    """What the header of an image file tells.

    height, width: of the pixels in the file; the header's orientation is still to be applied.
    channels: 1 (grey) or 3 (RGB), besides alpha.
    bits: 8 or 16 a channel.
    streams: whether pyvips decodes the file row by row to the pixels that `read_picture` returns.
    """

    format: str
    height: int
    width: int
    channels: int
    bits: int
    has_alpha: bool
    header: Header
    streams: bool

    @property
    def nbytes(self) -> int:
        """Bytes of the pixels in memory."""
        return self.height * self.width * (self.channels + self.has_alpha) * self.bits // 8


class Opened(NamedTuple):
    """An open image file: what its header tells, and a function that returns the picture."""

    description: Description
    decode: Callable[[], Picture]


def read_picture(stream: IO[bytes], path: Path, *, max_pixels: int) -> Picture:
    """Read a picture from an open file; its name counts for TGA alone, which has no signature.

    Raises ImageError for what zoo doesn't take, MissingDependencyError for what needs a package,
    and what decoders raise for damaged files, which is almost anything.
    """
    with open_picture(stream, path, max_pixels=max_pixels) as opened:
        return opened.decode()


@contextmanager
def open_picture(stream: IO[bytes], path: Path, *, max_pixels: int) -> Iterator[Opened]:
    """Yield what the header of an open file tells; raises what `read_picture` raises."""
    with _without_pils_limit(), warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        format = _recognise(stream, path)
        require_format(format)
        if format == "TIFF":
            yield _open_tiff(stream, path, max_pixels)
            return
        if format == "JXL":  # whose plugin decodes when it opens
            _check_size(*boxes.jxl_size(stream), max_pixels)
        stream.seek(0)
        image = Image.OPEN[format][0](stream, "")
        _check_size(*image.size, max_pixels)
        if getattr(image, "is_animated", False) and image.format not in ("MPO", "HEIF"):
            raise ImageError(
                "the file holds several frames or pages, and zoo takes single pictures; "
                "save the one you want as a file of its own."
            )
        header = read_header(image, stream)
        if image.format == "PNG" and is_deep(image):
            told = _describe(image, header)
            yield Opened(told, lambda: read_deep(path, header, "PNG", has_alpha=told.has_alpha))
            return
        _check_depth(image, stream)
        yield Opened(_describe(image, header), lambda: decode(image, header))


def _describe(image: ImageFile.ImageFile, header: Header) -> Description:
    deep = is_deep(image) or image.mode[0] == "I"
    plain = "transparency" not in image.info and not image.info.get("interlace")
    rows = [options for _, _, _, options in getattr(image, "tile", ())]
    mode = "LA" if rows == ["LA;16B"] else image.mode  # which PIL would make RGBA
    streams = {
        "JPEG": image.mode in ("L", "RGB"),
        "MPO": image.mode in ("L", "RGB"),
        "PNG": (plain and rows in (["L"], ["LA"], ["RGB"], ["RGBA"])) or (plain and deep),
    }
    return Description(
        format="JPEG" if image.format == "MPO" else str(image.format),
        height=image.height,
        width=image.width,
        channels=1 if mode[0] in "1LI" and mode != "LAB" else 3,
        bits=16 if deep else 8,
        has_alpha=image.has_transparency_data,
        header=header,
        streams=streams.get(str(image.format), False),
    )


def _recognise(stream: IO[bytes], path: Path) -> str:
    """Return the name of the format of a file, by its first bytes."""
    Image.init()
    start = stream.read(32)
    if not start:
        raise ImageError("the file is empty.")
    for name in FORMATS:
        accepts = Image.OPEN[name][1] if name in Image.OPEN else None
        if accepts is not None and accepts(start[:16]) is True:
            return name
    if start[4:8] == b"ftyp" and start[8:12] in (b"avif", b"avis"):
        return "AVIF"
    if start[4:8] == b"ftyp" and start[8:12] in _HEIF:
        return "HEIF"
    if start.startswith(_JXL):
        return "JXL"
    if _is_tga(stream, path):
        return "TGA"
    raise ImageError(f"the file is no picture that zoo reads ({', '.join(FORMATS)}).")


def _is_tga(stream: IO[bytes], path: Path) -> bool:
    stream.seek(max(0, stream.seek(0, 2) - len(_TGA_FOOTER)))
    named = path.suffix.lower() in FORMATS["TGA"].suffixes
    return named or stream.read() == _TGA_FOOTER


def _open_tiff(stream: IO[bytes], path: Path, max_pixels: int) -> Opened:
    page = Page(stream)
    _check_size(*page.size, max_pixels)
    if page.pages > 1:
        raise ImageError(
            "the file holds several frames or pages, and zoo takes single pictures; "
            "save the one you want as a file of its own."
        )
    if page.is_deep:
        if not page.is_whole:
            raise ImageError("the file is damaged: its pixels end too early.")
        header = make_header(page.profile(), page.exif(), page.metadata())
        told = Description(
            format="TIFF",
            height=page.size[1],
            width=page.size[0],
            channels=1 if page.samples < 3 else 3,
            bits=16,
            has_alpha=page.has_alpha,
            header=header,
            streams=page.is_plain,
        )
        return Opened(told, lambda: read_deep(path, header, "TIFF", has_alpha=told.has_alpha))
    stream.seek(0)
    try:
        image = Image.OPEN["TIFF"][0](stream, "")
    except SyntaxError:
        image = None
    if image is None or is_deep(image) or (page.samples > 1 and page.formats != {1}):
        raise ImageError(
            f"the picture has {page.describe()}; zoo takes 8 or 16 bits a channel, grey or RGB, "
            "with or without transparency."
        )
    header = read_header(image, stream)
    width, height = page.size  # PIL tells those of the upright picture
    told = replace(
        _describe(image, header),
        width=width,
        height=height,
        streams=page.is_plain and page.is_whole,
    )
    return Opened(told, lambda: decode(image, header))


def _check_size(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise ImageError(
            f"the picture has {width:,} × {height:,} pixels, more than the limit of "
            f"{max_pixels:,}; raise max_pixels (--max-pixels) if you trust the file."
        )


def _check_depth(image: ImageFile.ImageFile, stream: IO[bytes]) -> None:
    """Raise ImageError if PIL would cut the colours of a file to 8 bits a channel."""
    bits = 16 if is_deep(image) else 8
    if image.format in ("AVIF", "HEIF"):
        bits = boxes.avif_bits(stream)
    if image.format == "JPEG2000" and image.mode[0] != "I":
        bits = boxes.jp2_bits(stream)
    if bits > 8:
        raise ImageError(
            f"the picture has {bits} bits a channel, which zoo doesn't read from {image.format}; "
            "save it as PNG or TIFF, in RGB or RGBA, with 16 bits a channel."
        )


_lock = Lock()
_readers = 0
_pils_limit: int | None = None


@contextmanager
def _without_pils_limit() -> Iterator[None]:
    """Suspend PIL's limit of pixels, which is one for the whole process; max_pixels replaces it."""
    global _readers, _pils_limit
    with _lock:
        if _readers == 0:
            _pils_limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        _readers += 1
    try:
        yield
    finally:
        with _lock:
            _readers -= 1
            if _readers == 0:
                Image.MAX_IMAGE_PIXELS = _pils_limit

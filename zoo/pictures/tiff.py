"""TIFF files: what their directories tell, and writing in every channel count and depth."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import tifffile

from zoo.pictures.colour import make_profile
from zoo.pictures.directories import Directory, Tiff, read_tiff, serialise
from zoo.pictures.exif import RESOLUTION_TAGS, block_of, descriptive, read_block
from zoo.pictures.metadata import Metadata
from zoo.pictures.picture import Array, Picture

# Pixels from here on go into a BigTIFF; the rest of 4 GiB is left to compression and metadata.
CLASSIC_BYTES = 2**32 - 2**26
TILE = 256  # pixels a side
_NAMES = tifffile.TIFF.TAGS
_NO_UNIT = 1
_REDUCED, _MASK = 1, 4  # bits of NewSubfileType


class Page:
    """The picture of a TIFF file, as its first directory describes it.

    Raises ImageError if the file has several pages; previews and masks behind the first page do
    not count. Raises ValueError or struct.error if the directory is damaged.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self.tiff: Tiff = read_tiff(stream)
        self._file_size = stream.seek(0, 2)
        if not self.tiff.directories:
            raise ValueError("no directory")
        self.directory: Directory = self.tiff.directories[0]
        self.pages = 1 + sum(
            not int(self._numbers("NewSubfileType", [0], directory)[0]) & (_REDUCED | _MASK)
            and self._numbers("SubfileType", [1], directory) != [2]
            for directory in self.tiff.directories[1:]
        )
        self.size = (
            int(self._numbers("ImageWidth", [0])[0]),
            int(self._numbers("ImageLength", [0])[0]),
        )
        self.samples = int(self._numbers("SamplesPerPixel", [1])[0])
        self.bits = {int(bits) for bits in self._numbers("BitsPerSample", [1])}
        self.formats = {int(kind) for kind in self._numbers("SampleFormat", [1])}
        self.photometric = int(self._numbers("PhotometricInterpretation", [1])[0])
        self.extra = [int(kind) for kind in self._numbers("ExtraSamples", [])]

    def _numbers(
        self, name: str, default: list[float], directory: Directory | None = None
    ) -> list[float]:
        directory = self.directory if directory is None else directory
        entry = directory.get(_NAMES[name])
        return (entry.numbers(self.tiff.order) if entry else []) or default

    def _bytes(self, name: str) -> bytes | None:
        entry = self.directory.get(_NAMES[name])
        return entry.data or None if entry and isinstance(entry.data, bytes) else None

    @property
    def is_deep(self) -> bool:
        """Whether this is grey or RGB of a depth that PIL can't hold: 16 bits, or float."""
        deep = self.bits == {16} and self.formats == {1} and self.samples > 1
        floats = self.bits == {32} and self.formats == {3}
        layouts = ((1, 1), (2, 1), (3, 2), (4, 2))
        premultiplied = 1 in self.extra
        layout = (self.samples, self.photometric)
        return (deep or floats) and layout in layouts and not premultiplied

    @property
    def is_plain(self) -> bool:
        """Whether this is grey or RGB of 8 or 16 bits, with alpha or not, and nothing else."""
        layouts = ((1, 1), (2, 1, 2), (3, 2), (4, 2, 2))
        layout = (self.samples, self.photometric, *self.extra)
        return self.bits in ({8}, {16}) and self.formats == {1} and layout in layouts

    @property
    def is_whole(self) -> bool:
        """Whether the pixels lie inside the file. libvips reads what is missing as black."""
        pieces = (
            zip(
                self._numbers(f"{kind}Offsets", []),
                self._numbers(f"{kind}ByteCounts", []),
                strict=False,
            )
            for kind in ("Strip", "Tile")
        )
        ends = [start + count for kind in pieces for start, count in kind]
        return 0 < max(ends, default=0) <= self._file_size

    @property
    def has_alpha(self) -> bool:
        return self.samples in (2, 4) and (self.extra in ([], [2]) or self.samples == 2)

    def describe(self) -> str:
        """Return what the pixels are, e.g. "32-bit float pixels in 3 channels"."""
        kind = {1: "", 2: "signed ", 3: "float ", 5: "complex ", 6: "complex "}
        names = "".join(kind.get(number, "unknown ") for number in sorted(self.formats))
        bits = "/".join(str(number) for number in sorted(self.bits))
        plural = "s" if self.samples > 1 else ""
        return f"{bits}-bit {names}pixels in {self.samples} channel{plural}"

    def exif(self) -> bytes | None:
        """Return the EXIF block of the descriptive entries; None if there are none."""
        unit = self._numbers("ResolutionUnit", [2])
        return block_of(self.tiff, without=RESOLUTION_TAGS if unit == [_NO_UNIT] else set())

    def metadata(self) -> Metadata:
        x, y = (self._numbers(name, [0])[0] for name in ("XResolution", "YResolution"))
        unit = {2: 1.0, 3: 2.54}.get(int(self._numbers("ResolutionUnit", [2])[0]), 0)
        return Metadata(
            dpi=(x * unit, y * unit) if x * y * unit > 0 else None,
            xmp=self._bytes("XMP"),
            iptc=self._bytes("IPTCNAA"),
            compressed=self._numbers("Compression", [1]) != [1],
        )

    def profile(self) -> bytes | None:
        """Return the profile of the colours, made from other tags where there is no profile."""
        if profile := self._bytes("InterColorProfile"):
            return profile
        white = self._numbers("WhitePoint", [0.3127, 0.3290])
        primaries = self._numbers("PrimaryChromaticities", [])
        curves = self._curves()
        if self.photometric not in (0, 1, 2) or not (len(primaries) == 6 or curves):
            return None
        if self.photometric < 2:
            return make_profile(None, curves[:1]) if curves else None
        known = primaries if len(primaries) == 6 else [0.64, 0.33, 0.30, 0.60, 0.15, 0.06]
        gamma = [np.linspace(0, 1, 4096) ** 2.2]  # what TIFF 6.0, section 20, assumes
        return make_profile((*white, *known), curves or gamma)  # type: ignore[arg-type]

    def _curves(self) -> list[Array]:
        values = np.array(self._numbers("TransferFunction", [])) / 65535
        length = 1 << min(max(self.bits), 16)
        if len(values) not in (length, 3 * length):
            return []
        step = max(1, length // 4096)
        return [curve[::step] for curve in values.reshape(-1, length)]


class Level(NamedTuple):
    """An image of a pyramid: its shape `[H, W, C]`, and its tiles of `TILE`² pixels in turn."""

    shape: tuple[int, int, int]
    tiles: Iterator[Array]


def write_tiff(picture: Picture, path: Path, *, levels: Iterator[Level] | None = None) -> None:
    """Write a picture with all its metadata, as BigTIFF where classic TIFF ends.

    levels: what to write instead of the picture's own pixels, by tiles: the same image at full
        size, then smaller ones, each half as large as the one before.
    """
    height, width, channels = picture.pixels.shape
    channels += picture.alpha is not None
    size = height * width * channels * picture.pixels.itemsize
    exif, more = read_block(picture.exif), picture.metadata
    extratags = [
        (_NAMES[name], kind, len(data), data, True)
        for name, kind, data in (("XMP", 1, more.xmp), ("IPTCNAA", 7, more.iptc))
        if data
    ]
    with tifffile.TiffWriter(
        path,
        bigtiff=size * (4 / 3 if levels else 1) > CLASSIC_BYTES,
        byteorder=">"
        if exif and exif.order == ">"
        else "<",  # then values of EXIF can stay as they are
    ) as file:

        def write(
            data: Any, *, shape: tuple[int, ...] | None = None, reduced: bool = False
        ) -> None:
            file.write(
                data,
                shape=shape,
                dtype=picture.pixels.dtype if shape else None,
                tile=(TILE, TILE) if shape else None,
                photometric="rgb" if channels > 2 else "minisblack",
                planarconfig="contig" if channels > 1 else None,
                extrasamples=["unassalpha"] if picture.alpha is not None else None,
                compression="zlib" if more.compressed else None,
                predictor=more.compressed,
                subfiletype=_REDUCED if reduced else 0,
                iccprofile=None if reduced else picture.icc_profile,
                resolution=None if reduced else more.dpi,
                resolutionunit="INCH" if more.dpi and not reduced else None,
                software=False,
                metadata=None,
                extratags=() if reduced else extratags,
            )

        if levels is None:
            write(_planes(picture))
        for index, (shape, tiles) in enumerate(levels or ()):
            write(tiles, shape=shape if channels > 1 else shape[:2], reduced=index > 0)
    if exif:
        _add_exif(path, exif.directories[0], keep_resolution=more.dpi is None)


def _planes(picture: Picture) -> Array:
    planes = picture.pixels
    if picture.alpha is not None:
        planes = np.concatenate([planes, picture.alpha[..., None]], axis=2)
    return planes if planes.shape[2] > 1 else planes[..., 0]


def _add_exif(path: Path, exif: Directory, *, keep_resolution: bool) -> None:
    """Replace the directory of a TIFF file by one, at its end, that holds EXIF's entries, too."""
    with path.open("r+b") as stream:
        tiff = read_tiff(stream, first_only=True)
        written = dict(tiff.directories[0])
        if keep_resolution and RESOLUTION_TAGS & exif.keys():
            written = {tag: entry for tag, entry in written.items() if tag not in RESOLUTION_TAGS}
        end = stream.seek(0, 2)
        at = end + -end % 8
        data = serialise(
            {**descriptive(exif), **written},
            order=tiff.order,
            big=tiff.big,
            at=at,
            following=tiff.following,
        )
        stream.write(bytes(at - end) + data)
        stream.seek(8 if tiff.big else 4)
        stream.write(struct.pack(tiff.order + ("Q" if tiff.big else "I"), at))

"""What each file format can hold when zoo writes it; docs/command_line.md has it as a table."""

from __future__ import annotations

import importlib
from dataclasses import dataclass

import numpy as np
from PIL import features

from zoo.errors import ImageError, MissingDependencyError, did_you_mean
from zoo.pictures.colour import profile_of
from zoo.pictures.exif import PREFIX
from zoo.pictures.picture import Picture
from zoo.pictures.sixteen_bit import require_pyvips


@dataclass(frozen=True)
class Format:
    """What one file format can hold as zoo writes it. What it can't hold is dropped or refused.

    suffixes: the usual one first.
    alpha, profile: refused if the format can't hold them; an opaque alpha plane is dropped.
    lossless: whether zoo writes it without loss.
    grey: False if grey pictures become RGB in it.
    deep: channel counts (1 grey, 3 RGB; alpha not counted) that can have 16 bits a channel; others
        are refused.
    keeps: what it holds of "exif", "xmp", "dpi", "iptc", "comment" and "text"; the rest is dropped.
    longest: in bytes, of what can be too long.
    max_side: in pixels.
    max_bytes: of the uncompressed pixels.
    peak: memory while zoo writes it in one piece, over that of the picture, which is included.
    feature: what PIL must be built with, as `PIL.features` names it.
    plugin: the module that adds the format to PIL, of the extra `formats`.
    """

    suffixes: tuple[str, ...]
    writable: bool = True
    alpha: bool = False
    profile: bool = False
    lossless: bool = False
    grey: bool = True
    deep: tuple[int, ...] = ()
    keeps: tuple[str, ...] = ()
    longest: tuple[tuple[str, int], ...] = ()
    max_side: int = 2**31 - 1
    max_bytes: int = 2**63
    peak: float = 2.5
    feature: str | None = None
    plugin: str | None = None


_MARKER = 65_533  # bytes in a marker of JPEG

FORMATS = {
    "JPEG": Format(
        (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
        profile=True,
        keeps=("exif", "xmp", "dpi", "iptc", "comment"),
        longest=(
            ("exif", _MARKER),
            ("xmp", _MARKER - 29),
            ("iptc", _MARKER - 27),
            ("comment", _MARKER),
            ("profile", 255 * (_MARKER - 14)),
        ),
        max_side=65_500,
    ),
    "PNG": Format(
        (".png",),
        alpha=True,
        profile=True,
        lossless=True,
        deep=(1, 3),
        keeps=("exif", "xmp", "dpi", "text"),
    ),
    "WEBP": Format(
        (".webp",),
        alpha=True,
        profile=True,
        grey=False,
        keeps=("exif", "xmp"),
        max_side=16_383,
        peak=6.5,
        feature="webp",
    ),
    "TIFF": Format(
        (".tif", ".tiff"),
        alpha=True,
        profile=True,
        lossless=True,
        deep=(1, 3),
        keeps=("exif", "xmp", "dpi", "iptc"),
    ),
    "AVIF": Format(
        (".avif",),
        alpha=True,
        profile=True,
        grey=False,
        keeps=("exif", "xmp"),
        max_side=32_768,
        max_bytes=3 * 2**28,  # libavif reads no more
        peak=16,
        feature="avif",
    ),
    "JPEG2000": Format(
        (".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx"),
        alpha=True,
        lossless=True,
        deep=(1,),
        keeps=("comment",),
        longest=(("comment", _MARKER),),
        peak=15,
        feature="jpg_2000",
    ),
    "BMP": Format((".bmp",), lossless=True, keeps=("dpi",), max_bytes=2**32 - 2**22),
    "TGA": Format((".tga",), alpha=True, lossless=True, max_side=65_535),
    "PPM": Format((".ppm", ".pgm", ".pbm", ".pnm"), lossless=True, deep=(1,)),
    "GIF": Format((".gif",), writable=False),  # its 256 colours are too few for a photograph
    "HEIF": Format((".heic", ".heif", ".hif"), writable=False, plugin="pillow_heif"),
    "JXL": Format((".jxl",), writable=False, plugin="pillow_jxl"),
}
WRITABLE = [name for name, known in FORMATS.items() if known.writable]

# File name suffix, in lower case -> the name of its format.
SUFFIXES = {suffix: name for name, known in FORMATS.items() for suffix in known.suffixes}


def require_format(name: str) -> None:
    """Raise MissingDependencyError unless PIL, as it is installed, knows the format."""
    known = FORMATS[name]
    if known.feature and not features.check(known.feature):
        raise MissingDependencyError(
            f"this build of Pillow can't do {name}: pip install --force-reinstall Pillow."
        )
    if known.plugin:
        try:
            plugin = importlib.import_module(known.plugin)
        except ImportError as error:
            raise MissingDependencyError(
                f"{name} needs {known.plugin}: pip install 'zoo-models[formats]'."
            ) from error
        if hasattr(plugin, "register_heif_opener"):  # the other registers itself
            plugin.register_heif_opener()


def check_format(picture: Picture, *, scale: int = 1) -> None:
    """Raise ImageError if picture.format can't hold the picture, enlarged `scale` times.

    Raises MissingDependencyError if writing needs a package that is missing.
    """
    name, pixels, alpha = picture.format, picture.pixels, picture.alpha
    if name not in WRITABLE:
        hint = did_you_mean(name, WRITABLE)
        raise ImageError(f"zoo doesn't write {name} files, but {', '.join(WRITABLE)}.{hint}")
    require_format(name)
    known = FORMATS[name]
    deep = pixels.dtype == np.uint16
    if alpha is not None and not known.alpha and alpha.min() < np.iinfo(alpha.dtype).max:
        raise ImageError(f"{name} can't hold the picture's transparency; PNG, WEBP and TIFF can.")
    if deep and pixels.shape[2] not in known.deep:
        raise ImageError(f"{name} can't hold the picture's 16 bits a channel; PNG and TIFF can.")
    if deep and alpha is not None and name == "JPEG2000":
        raise ImageError(f"{name} can't hold 16 bits with transparency; PNG and TIFF can.")
    if deep and name == "PNG" and (pixels.shape[2] == 3 or alpha is not None):
        require_pyvips()
    _check_metadata(picture, name)
    _check_size(picture, name, scale)


def _check_metadata(picture: Picture, name: str) -> None:
    known, more = FORMATS[name], picture.metadata
    profile = picture.icc_profile if name == "PNG" else profile_of(picture)
    if profile and not known.profile:
        raise ImageError(f"{name} can't hold the picture's colour profile; PNG and TIFF can.")
    exif = picture.exif and len(PREFIX) + len(picture.exif.removeprefix(PREFIX))
    lengths = {
        "exif": exif or 0,
        "profile": len(profile or b""),
        **{field: len(getattr(more, field) or b"") for field in ("xmp", "iptc", "comment")},
    }
    titles = {"exif": "EXIF", "xmp": "XMP", "iptc": "IPTC", "profile": "colour profile"}
    for field, limit in known.longest:
        if lengths[field] > limit:
            raise ImageError(
                f"{name} holds {limit:,} bytes of {titles.get(field, field)}, and the picture has "
                f"{lengths[field]:,}; PNG and TIFF have no such limit."
            )


def _check_size(picture: Picture, name: str, scale: int) -> None:
    known, pixels = FORMATS[name], picture.pixels
    height, width = (side * scale for side in pixels.shape[:2])
    if max(height, width) > known.max_side:
        raise ImageError(
            f"{name} ends at {known.max_side:,} pixels a side, and the picture would have "
            f"{width:,} × {height:,}; PNG has no such limit."
        )
    planes = pixels.shape[2] + (picture.alpha is not None)
    if height * width * planes * pixels.itemsize > known.max_bytes:
        raise ImageError(
            f"{name} ends at {known.max_bytes:,} bytes, and the picture would have "
            f"{width:,} × {height:,} pixels; PNG has no such limit."
        )

"""Image files: find them, read one into a Picture, write a Picture to one.

picture = read_image("photo.jpg")
write_image(picture, "copy.jpg")
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from zoo.errors import DataError, ImageError, InputError, ZooError, did_you_mean
from zoo.pictures.formats import FORMATS, SUFFIXES, check_format
from zoo.pictures.picture import Array, Picture
from zoo.pictures.reading import Description, open_picture, read_picture
from zoo.pictures.writing import check_suffix, write_picture
from zoo.store.atomic import obstacle, replacing

DEFAULT_MAX_PIXELS = 200_000_000  # the largest phone cameras have 200 megapixels
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def find_images(paths: Iterable[str | os.PathLike[str]]) -> list[tuple[Path, Path]]:
    """List image files as (file, its path relative to the folder it was found in).

    A file among `paths` is listed with its bare name; only `read_image` checks it. A folder is
    searched with its subfolders, see `list_images`. A file found twice is listed once.
    Raises ImageError for a folder without images or one that cannot be listed.
    """
    found: dict[Path, tuple[Path, Path]] = {}
    for root in map(Path, paths):
        for file in list_images(root) if root.is_dir() else [root]:
            relative = file.relative_to(root) if file != root else Path(root.name)
            found.setdefault(file.absolute(), (file, relative))
    return list(found.values())


def is_address(text: str) -> bool:
    """Return whether a text names its kind of file system, as "s3://bucket/a.jpg" does."""
    return _ADDRESS.match(text) is not None


def list_images(folder: Path, *, recursive: bool = True) -> list[Path]:
    """List the files of a folder whose suffix is in SUFFIXES, in upper or lower case; sorted.

    Hidden files and folders, and folders that are symbolic links, are skipped; subfolders too
    unless `recursive`. Raises ImageError for a folder that is missing, holds no image, or cannot be
    listed.
    """

    def refuse(error: OSError) -> None:
        raise ImageError(f"{error.filename}: the folder can't be listed ({error.strerror}).")

    files: list[Path] = []
    for parent, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if recursive and not name.startswith(".")]
        files += [
            Path(parent, name)
            for name in names
            if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES
        ]
    if not files:
        raise ImageError(f"{folder}: the folder has no image in it ({', '.join(FORMATS)}).")
    return sorted(files)


def read_image(path: str | os.PathLike[str], *, max_pixels: int = DEFAULT_MAX_PIXELS) -> Picture:
    """Read an image file into an upright Picture with all that the file tells.

    Reads the formats of `zoo.pictures.formats.FORMATS`, recognised by content, not by name.
    max_pixels: largest width × height, checked in the header before decoding. It replaces PIL's
        own limit, which is suspended while zoo reads.

    Raises ImageError, which names the file, if it is missing, unreadable, damaged, no picture, too
    large, an animation or has several pages; MissingDependencyError if a package is missing that
    its format, or 16 bits a channel in colour or with alpha, need.
    """
    path = Path(path)
    with reading(path) as stream:
        return read_picture(stream, path, max_pixels=max_pixels)


def read_description(
    path: str | os.PathLike[str], *, max_pixels: int = DEFAULT_MAX_PIXELS
) -> Description:
    """Read the header of an image file; raises what `read_image` raises, but for damaged pixels."""
    path = Path(path)
    with reading(path) as stream, open_picture(stream, path, max_pixels=max_pixels) as opened:
        return opened.description


@contextmanager
def reading(path: Path) -> Iterator[IO[bytes]]:
    """Yield an image file that is open; what goes wrong is raised as `read_image` says it."""
    try:
        with path.open("rb") as stream:
            yield stream
    except ZooError as error:
        raise type(error)(f"{path}: {error}") from error
    except FileNotFoundError as error:
        raise ImageError(f"{path}: there is no such file.{_nearest(path)}") from error
    except MemoryError as error:
        raise ImageError(f"{path}: it doesn't fit into memory.") from error
    except Exception as error:  # a damaged file makes decoders raise almost anything
        cause = getattr(error, "strerror", None)
        reason = (
            f"can't be read ({cause})"
            if cause
            else f"is damaged or of an unknown kind ({_text(error)})"
        )
        raise ImageError(f"{path}: the file {reason}.") from error


def read_rgb(path: str | os.PathLike[str]) -> Array:
    """Read an image file as a read-only array `[H, W, 3]`, uint8, for data sets.

    Grey becomes three equal channels, 16 bits are rounded to 8, alpha is dropped.
    Raises DataError, which names the file.
    """
    try:
        pixels = read_image(path).pixels
    except ZooError as error:
        raise DataError(str(error)) from error
    if pixels.dtype == np.uint16:
        pixels = np.rint(pixels / 257).astype(np.uint8)
    return np.broadcast_to(pixels, (*pixels.shape[:2], 3))


def check_output(
    picture: Picture,
    path: str | os.PathLike[str],
    *,
    scale: int = 1,
    overwrite: bool = False,
) -> None:
    """Raise ImageError, which names the file, if `write_image` would refuse the picture.

    scale: factor by which the picture is still to be enlarged, so that a missing folder or a limit
        of the format is found before long work.
    Raises MissingDependencyError if writing needs pyvips and it is missing.
    """
    path = Path(path)
    try:
        check_format(picture, scale=scale)
        check_suffix(picture, path, scale=scale)
        if reason := obstacle(path, overwrite=overwrite):
            raise ImageError(reason)
    except ZooError as error:
        raise type(error)(f"{path}: {error}") from error
    except OSError as error:
        raise ImageError(f"{path}: the file can't be written ({_text(error)}).") from error


def write_image(
    picture: Picture,
    path: str | os.PathLike[str],
    *,
    quality: int = 95,
    overwrite: bool = False,
) -> None:
    """Write a picture as `picture.format`; the file appears complete or not at all.

    quality: 1..100, for JPEG and AVIF (4:4:4 chroma) and WebP; the other formats are lossless, and
        so is a WebP file that was.
    Profile, alpha and 16 bits are kept; a format that can't hold one of them is refused, but a
    fully opaque alpha plane is dropped. EXIF, XMP, resolution and texts are kept where the format
    can hold them, see `Format.keeps`, and dropped elsewhere. The folder must exist.

    Raises InputError for another quality, what `check_output` raises, and ImageError if writing
    fails.
    """
    with writing(picture, Path(path), quality=quality, overwrite=overwrite) as part:
        write_picture(picture, part, quality=quality)


@contextmanager
def writing(picture: Picture, path: Path, *, quality: int, overwrite: bool) -> Iterator[Path]:
    """Yield the path of a file that becomes `path` if all goes well.

    What does not is raised as `write_image` says it.
    """
    if not 1 <= quality <= 100:
        raise InputError(f"The quality must lie in 1..100, not {quality}.")
    check_output(picture, path, overwrite=overwrite)
    try:
        with replacing(path) as part:
            yield part
    except ZooError:
        raise
    except Exception as error:
        raise ImageError(f"{path}: the file can't be written ({_text(error)}).") from error


def _nearest(path: Path) -> str:
    try:
        names = [file.name for file in path.parent.iterdir() if file.exists()]
        return did_you_mean(path.name, names)
    except OSError:
        return ""


def _text(error: Exception) -> str:
    """Return the message of another library's exception, to stand inside a sentence."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(text.split()).rstrip(".")

"""Resized copies of a folder of pairs, cached on disk because decoding dominates small sizes."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray
from tqdm import tqdm

from zoo.errors import DataError
from zoo.seg.data.folders import Pair, Runs, load_resized
from zoo.store.download import cache_folder

VERSION = 1  # raise it when the same files give other pixels
CHUNK = 64  # pairs decoded before they are written

Copies = tuple[NDArray[np.uint8], NDArray[np.uint8]]


def resized_copies(
    folder: Path,
    pairs: Sequence[Pair],
    size: int,
    *,
    classes: int = 1,
    allow_empty: bool = False,
    cache: Path | None = None,
) -> Copies:
    """All pairs of a folder as squares, from the cache, which is built if need be.

    The cache key holds the names, sizes and modification times of the files: after a change the
    copy is rebuilt and the old one deleted. A copy appears whole or not at all; if several
    processes want it at once, one builds it and the others wait.

    Args:
        folder: the folder of the pairs; one copy is kept per size and number of classes.
        pairs: all pairs that `list_pairs` returned; a split selects rows of the copy.
        size: side of the squares in pixels.
        classes, allow_empty: see `load_pair`.
        cache: where copies are kept, by default `resized/` in zoo's cache folder.

    Returns:
        Images `[N, 3, size, size]` and masks `[N, size, size]`, uint8, memory-mapped: pages are
        read on access and shared between processes; writing to them changes no file.

    Raises:
        DataError: a pair can't be used, or the cache can't be written.
    """
    root = cache_folder() / "resized" if cache is None else cache
    place = root / f"{folder.resolve().name}-{size}-{digest(folder.resolve(), classes)}"
    states = [state_of(part, folder) for pair in pairs for part in (pair.image, pair.mask)]
    entry = place / digest(VERSION, allow_empty, *states)
    if copies := open_copies(entry, len(pairs), size):
        return copies
    load = partial(load_resized, size=size, classes=classes, allow_empty=allow_empty)
    try:
        place.mkdir(parents=True, exist_ok=True)
        with FileLock(place / "lock"):
            copies = open_copies(entry, len(pairs), size)  # another process may have been faster
            if not copies:
                with replacing_all(entry) as part, ThreadPoolExecutor() as pool:
                    chunks = (pairs[i : i + CHUNK] for i in range(0, len(pairs), CHUNK))
                    squares = (square for chunk in chunks for square in pool.map(load, chunk))
                    bar = tqdm(squares, f"Resizing to {size} px", len(pairs), disable=None)
                    write_copies(bar, part, len(pairs), size)
                copies = open_copies(entry, len(pairs), size)
    except OSError as error:
        raise DataError(f"Resized copies can't be kept in {place}: {error.strerror}.") from error
    if not copies:
        raise DataError(f"The resized copies in {entry} can't be read back.")
    return copies


def digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def state_of(source: Path | Runs, folder: Path) -> tuple[object, ...]:
    """What changes whenever a file, or a row of a table, changes."""
    if isinstance(source, Runs):
        return (source.text,)
    try:
        state = source.stat()
    except OSError:
        return (source,)  # reading it later reports the error
    return source.relative_to(folder).as_posix(), state.st_size, state.st_mtime_ns


def open_copies(entry: Path, count: int, size: int) -> Copies | None:
    """The copies in a folder, or None if they are missing or incomplete."""
    try:
        images = np.load(entry / "images.npy", mmap_mode="c")
        masks = np.load(entry / "masks.npy", mmap_mode="c")
    except (OSError, ValueError):
        return None
    whole = images.shape == (count, 3, size, size) and masks.shape == (count, size, size)
    return (images, masks) if whole else None


def write_copies(
    squares: Iterator[Copies] | tqdm[Copies], folder: Path, count: int, size: int
) -> None:
    """Writes images.npy and masks.npy pair by pair; through mmap, a full disk would kill us."""
    header = {"descr": "|u1", "fortran_order": False}
    with (folder / "images.npy").open("wb") as images, (folder / "masks.npy").open("wb") as masks:
        np.lib.format.write_array_header_1_0(images, {**header, "shape": (count, 3, size, size)})
        np.lib.format.write_array_header_1_0(masks, {**header, "shape": (count, size, size)})
        for image, mask in squares:
            images.write(image.tobytes())
            masks.write(mask.tobytes())


@contextmanager
def replacing_all(entry: Path) -> Iterator[Path]:
    """A temporary folder that is renamed to `entry` if the block succeeds.

    All other folders beside `entry`, of earlier states or of killed processes, are deleted first,
    so that the disk never holds two copies.
    """
    for folder in entry.parent.iterdir():
        if folder.is_dir():  # all but the lock
            shutil.rmtree(folder)
    part = entry.with_suffix(f".{os.getpid()}.part")
    part.mkdir()
    try:
        yield part
        part.rename(entry)
    finally:
        shutil.rmtree(part, ignore_errors=True)

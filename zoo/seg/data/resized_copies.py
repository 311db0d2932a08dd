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
from zoo.seg.data.folders import Pair, Runs
from zoo.seg.data.masks import Mask
from zoo.seg.data.pairs import ONE_OBJECT, Reading, load_resized
from zoo.store.download import cache_folder

VERSION = 2  # raise it when the same files give other pixels
CHUNK = 64  # pairs decoded before they are written

Copies = tuple[NDArray[np.uint8], Mask]


def resized_copies(
    folder: Path,
    pairs: Sequence[Pair],
    size: int,
    reading: Reading = ONE_OBJECT,
    *,
    cache: Path | None = None,
) -> Copies:
    """All pairs of a folder as squares, from the cache, which is built if need be.

    The cache key holds the names, sizes and modification times of the files: after a change the
    copy is rebuilt and the old one deleted. A copy appears whole or not at all; if several
    processes want it at once, one builds it and the others wait.

    Args:
        folder: the folder of the pairs; one copy is kept per size, classes and channels.
        pairs: all pairs that `list_pairs` returned; a split selects rows of the copy.
        size: side of the squares in pixels.
        reading: how the files are read; a change rebuilds the copy.
        cache: where copies are kept, by default `resized/` in zoo's cache folder.

    Returns:
        Images `[N, channels, size, size]` uint8 and masks `[N, size, size]` of `read_mask`'s dtype,
        memory-mapped: pages are read on access and shared between processes; writing to them
        changes no file.

    Raises:
        DataError: a pair can't be used, or the cache can't be written.
    """
    shape = (len(pairs), reading.channels, size, size)
    root = cache_folder() / "resized" if cache is None else cache
    source = digest(folder.resolve(), reading.classes, reading.channels)
    place = root / f"{folder.resolve().name}-{size}-{source}"
    states = [state_of(part, folder) for pair in pairs for part in (pair.image, pair.mask)]
    entry = place / digest(VERSION, reading, *states)
    if copies := open_copies(entry, shape):
        return copies
    load = partial(load_resized, size=size, reading=reading)
    try:
        place.mkdir(parents=True, exist_ok=True)
        with FileLock(place / "lock"):
            copies = open_copies(entry, shape)  # another process may have been faster
            if not copies:
                with replacing_all(entry) as part, ThreadPoolExecutor() as pool:
                    chunks = (pairs[i : i + CHUNK] for i in range(0, len(pairs), CHUNK))
                    squares = (square for chunk in chunks for square in pool.map(load, chunk))
                    bar = tqdm(squares, f"Resizing to {size} px", len(pairs), disable=None)
                    write_copies(bar, part, shape)
                copies = open_copies(entry, shape)
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


def open_copies(entry: Path, shape: tuple[int, int, int, int]) -> Copies | None:
    """The copies in a folder, or None if they are missing or incomplete."""
    try:
        images = np.load(entry / "images.npy", mmap_mode="c")
        masks = np.load(entry / "masks.npy", mmap_mode="c")
    except (OSError, ValueError):
        return None
    whole = images.shape == shape and masks.shape == (shape[0], *shape[2:])
    return (images, masks) if whole else None


def write_copies(
    squares: Iterator[Copies] | tqdm[Copies], folder: Path, shape: tuple[int, int, int, int]
) -> None:
    """Writes images.npy and masks.npy pair by pair; through mmap, a full disk would kill us."""
    with (folder / "images.npy").open("wb") as images, (folder / "masks.npy").open("wb") as masks:
        for i, (image, mask) in enumerate(squares):
            for stream, array, whole in (
                (images, image, shape),
                (masks, mask, (shape[0], *shape[2:])),
            ):
                if i == 0:  # all have the first one's dtype
                    header = {"descr": array.dtype.str, "fortran_order": False, "shape": whole}
                    np.lib.format.write_array_header_1_0(stream, header)
                stream.write(array.tobytes())


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

"""An array in a file: as large as the disk, and no larger in memory than the part at hand."""

from __future__ import annotations

import math
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import numpy as np
import tifffile

from zoo.errors import ImageError
from zoo.pictures.directories import read_tiff
from zoo.pictures.picture import Array
from zoo.store.atomic import lock, temporary

_STRIP_OFFSETS = 273
_STRIP = 2**16  # bytes that libvips reads at once


class ScratchArray:
    """An array `[H, W, C]` in a hidden file of a folder; the file goes when the array does.

    array[rows, columns] reads a part, and an assignment to it writes it; both are slices without
    steps. What was never written is 0.

    The file is not mapped, for mapped pages count as memory of the process. It is an uncompressed
    TIFF, because libvips reads that in strips and would map a file of bare pixels.

    Raises ImageError, also while it is written, if the folder or its disk can't take it.
    """

    def __init__(self, folder: Path, shape: tuple[int, int, int], dtype: Any) -> None:
        self.folder, self.shape = folder, shape
        self.dtype: np.dtype[Any] = np.dtype(dtype)
        self.path = temporary(folder, "scratch")
        row = shape[1] * shape[2] * self.dtype.itemsize
        with self._disk():
            try:
                with tifffile.TiffWriter(self.path, bigtiff=True) as writer:
                    writer.write(
                        None,
                        shape=shape if shape[2] > 1 else shape[:2],
                        dtype=self.dtype,
                        photometric="rgb" if shape[2] == 3 else "minisblack",
                        planarconfig="contig" if shape[2] > 1 else None,
                        rowsperstrip=max(_STRIP // row, 1),
                        software=False,
                        metadata=None,
                    )
                self._file: IO[bytes] = self.path.open("r+b")
                lock(self._file.fileno())
            except BaseException:
                self.path.unlink(missing_ok=True)
                raise
        self.close = weakref.finalize(self, _remove, self._file, self.path)
        tiff = read_tiff(self._file, first_only=True)
        self._start = int(tiff.directories[0][_STRIP_OFFSETS].numbers(tiff.order)[0])

    @property
    def nbytes(self) -> int:
        return math.prod((*self.shape, self.dtype.itemsize))

    def __getitem__(self, part: tuple[slice, slice]) -> Array:
        rows, columns = self._ranges(part)
        block = np.empty((len(rows), len(columns), self.shape[2]), self.dtype)
        for place, run in self._runs(rows, columns, block):
            self._file.seek(place)
            self._file.readinto(run)  # type: ignore[attr-defined]
        return block

    def __setitem__(self, part: tuple[slice, slice], block: Array) -> None:
        rows, columns = self._ranges(part)
        shape = (len(rows), len(columns), self.shape[2])
        block = np.ascontiguousarray(np.broadcast_to(block, shape), self.dtype)
        with self._disk():
            for place, run in self._runs(rows, columns, block):
                self._file.seek(place)
                self._file.write(run)
            self._file.flush()

    def _ranges(self, part: tuple[slice, slice]) -> tuple[range, range]:
        rows, columns = part
        return range(self.shape[0])[rows], range(self.shape[1])[columns]

    def _runs(self, rows: range, columns: range, block: Array) -> Iterator[tuple[int, Any]]:
        """The parts of a block that lie in one piece of the file: (place, part)."""
        pixel = self.shape[2] * self.dtype.itemsize
        if len(columns) == self.shape[1]:
            yield self._start + rows.start * self.shape[1] * pixel, block.data
            return
        for row, run in zip(rows, block, strict=True):
            yield self._start + (row * self.shape[1] + columns.start) * pixel, run.data

    @contextmanager
    def _disk(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ImageError(
                f"{self.folder}: it can't hold the scratch file of a large picture"
                f" ({error.strerror or error})."
            ) from error


def _remove(file: IO[bytes], path: Path) -> None:
    with suppress(OSError):  # what could not be written is not wanted any more
        file.close()
    with suppress(OSError):
        path.unlink(missing_ok=True)

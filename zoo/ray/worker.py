"""A worker: an actor that holds one model, and takes photographs to the files of their results."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
import ray

from zoo.errors import ClusterError, ImageError, ZooError
from zoo.jobs.files import load, write
from zoo.jobs.job import Job
from zoo.pictures.files import read_description
from zoo.pictures.formats import SUFFIXES
from zoo.pictures.naming import result_format, result_name
from zoo.ray.ledger import REPORT, Row
from zoo.ray.storage import Storage, join

_ATTEMPTS = 3  # at a photograph of which workers die
_NO_SPACE = tuple(os.strerror(code) for code in (errno.ENOSPC, errno.EDQUOT))


@dataclass(frozen=True)
class Results:
    """Where results go, and how they are written.

    format: in FORMATS; None keeps that of each source.
    """

    storage: Storage
    folder: str
    format: str | None
    quality: int
    overwrite: bool
    max_pixels: int


class Worker:
    """Reads, works on and writes the photographs of batches; its model is made once.

    Raises, from the first batch on, if there can't be any result: the model can't be made, or no
    space is left.
    """

    def __init__(
        self,
        make_job: Callable[[], Job],
        storages: list[Storage],
        results: Results,
        ledger: Any,
    ) -> None:
        self.storages, self.results, self.ledger = storages, results, ledger
        self.job: Job | None = None
        try:
            self.job = make_job()
        except ZooError as error:  # Ray would only tell that the actor died
            self.refusal = error

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Return the report of a batch of `zoo.ray.sources.Sources.table`."""
        if self.job is None:
            raise self.refusal
        rows = [
            self._row(self.job, self.storages[entry["storage"]], entry)
            for entry in batch.to_pylist()
        ]
        return pa.Table.from_pylist([row._asdict() for row in rows], schema=REPORT)

    def _row(self, job: Job, storage: Storage, entry: dict[str, Any]) -> Row:
        source = entry["source"]
        row, begun = ray.get(self.ledger.begin.remote(source))
        if row is not None:
            return Row(*row)
        start = time.monotonic()
        try:
            if begun > _ATTEMPTS:
                raise ClusterError(f"its worker died at it {_ATTEMPTS} times.")
            result, is_new = self._process(job, storage, entry)
        except Exception as error:  # decoders raise almost anything; the next photograph follows
            sentence = job.sentence(source, error)
            if any(text in sentence for text in _NO_SPACE):
                raise ClusterError(f"{sentence} Make room.") from error
            row = Row(source, None, round(time.monotonic() - start, 3), "failed", sentence)
        else:
            seconds = round(time.monotonic() - start, 3) if is_new else None
            row = Row(source, result, seconds, "done" if is_new else "present", None)
        ray.get(self.ledger.finish.remote(row))
        return row

    def _process(self, job: Job, storage: Storage, entry: dict[str, Any]) -> tuple[str, bool]:
        """Return the address of a photograph's result, and whether it was made now."""
        results, relative = self.results, PurePosixPath(entry["relative"])
        known = SUFFIXES.get(relative.suffix.lower())
        if known and not results.overwrite:  # judged by its name, unread
            target, _ = self._target(job, storage, entry, known)
            if results.storage.exists(target):
                return results.storage.label(target), False
        with storage.reading(entry["path"]) as file:
            told = read_description(file, max_pixels=results.max_pixels)
            target, format = self._target(job, storage, entry, told.format)
            label = results.storage.label(target)
            if not results.overwrite and results.storage.exists(target):
                return label, False
            plan = job.plan(told, format)
            with results.storage.writing(target) as place:
                picture = load(
                    job,
                    file,
                    place,
                    format,
                    strips_of=told if plan.in_strips else None,
                    max_pixels=results.max_pixels,
                    overwrite=results.overwrite,
                )
                result = job.result(picture, lambda share: None)
                write(result, place, quality=results.quality, overwrite=results.overwrite)
        return label, True

    def _target(
        self, job: Job, storage: Storage, entry: dict[str, Any], format: str
    ) -> tuple[str, str]:
        """Return the path and the format of the result of a photograph in `format`.

        Raises ImageError if the path is that of the photograph, or of another one's result.
        """
        results, source = self.results, entry["source"]
        format = result_format(job.format(format), results.format)
        name = result_name(PurePosixPath(entry["relative"]), format)
        target = join(results.folder, str(name))
        if storage == results.storage and _same(storage, target, entry["path"]):
            raise ImageError(f"{source}: the result would replace it; choose another folder.")
        first = ray.get(self.ledger.claim.remote(target, source))
        if first != source:
            label = results.storage.label(target)
            raise ImageError(f"{source}: its result would replace that of {first}, {label}.")
        return target, format


def _same(storage: Storage, one: str, other: str) -> bool:
    if storage.is_local and os.path.exists(one) and os.path.exists(other):  # noqa: PTH110
        return os.path.samefile(one, other)  # noqa: PTH121
    return one == other

"""The report of a job as a file, Parquet or CSV: source, result, seconds, status, error."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
from pyarrow import csv, parquet

from zoo.errors import ImageError, InputError, ZooError, did_you_mean
from zoo.ray.ledger import REPORT, Row
from zoo.ray.storage import open_storage, shown
from zoo.store.atomic import replacing

_WRITERS: dict[str, Any] = {".csv": csv.CSVWriter, ".parquet": parquet.ParquetWriter}
_ROWS = 10_000  # that are written together


def check_report(address: str) -> None:
    """Raise InputError if the suffix of a report is none of .csv and .parquet, or for a folder."""
    storage, path = open_storage(address)
    suffix = PurePosixPath(path).suffix.lower()
    if suffix not in _WRITERS:
        hint = did_you_mean(suffix, _WRITERS)
        raise InputError(f"A report is a file *.csv or *.parquet, not {shown(address)}.{hint}")
    if storage.is_local and Path(path).is_dir():
        raise InputError(f"{address} is a folder, and a report is a file *.csv or *.parquet.")


class Report:
    """A report that is being written."""

    def __init__(self, file: Path) -> None:
        self._writer = _WRITERS[file.suffix.lower()](str(file), REPORT)
        self._rows: list[Row] = []

    def add(self, rows: Sequence[Row]) -> None:
        self._rows += rows
        if len(self._rows) >= _ROWS:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        table = pa.Table.from_pylist([row._asdict() for row in self._rows], schema=REPORT)
        self._writer.write_table(table)
        self._rows = []


@contextmanager
def new_report(address: str) -> Iterator[Report]:
    """Yield a report; it is at the address, whole, when the block succeeds.

    address: *.csv or *.parquet, local or at an address; a report that is there is replaced.
    Raises ImageError if it can't be written.
    """
    storage, path = open_storage(address)
    try:
        with storage.writing(path) as file, replacing(file) as part:
            report = Report(part)
            try:
                yield report
            finally:
                report.close()
    except ZooError:
        raise
    except OSError as error:
        reason = error.strerror or error
        raise ImageError(f"{shown(address)}: the report can't be written ({reason}).") from error

"""What is known of each photograph, in an actor that the death of a worker does not touch."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

import pyarrow as pa
import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

REPORT = pa.schema(
    {
        "source": pa.string(),
        "result": pa.string(),
        "seconds": pa.float64(),
        "status": pa.string(),
        "error": pa.string(),
    }
)


class Row(NamedTuple):
    """A row of the report.

    source, result: addresses; the result is None if it failed.
    seconds: for reading, work and writing; None if the photograph was not worked on.
    status: "done", "present" (the result was there before) or "failed".
    error: the sentence for a failure.
    """

    source: str
    result: str | None
    seconds: float | None
    status: str
    error: str | None


class Ledger:
    """Rows of finished photographs, how often each was begun, and whose result has which name.

    When a worker dies, Ray gives all photographs of its task to another one. The ledger tells
    which are finished, and which photograph workers die of.
    """

    def __init__(self) -> None:
        self._rows: dict[str, Row] = {}
        self._begun: Counter[str] = Counter()
        self._owners: dict[str, str] = {}

    def begin(self, source: str) -> tuple[Row | None, int]:
        """Note that a worker begins; return the row, if finished, and how often it was begun."""
        row = self._rows.get(source)
        if row is None:
            self._begun[source] += 1
        return row, self._begun[source]

    def claim(self, result: str, source: str) -> str:
        """Return the source that the name of a result belongs to: the first that claimed it."""
        return self._owners.setdefault(result, source)

    def finish(self, row: Row) -> None:
        self._begun.pop(row.source, None)
        self._rows[row.source] = row


def start_ledger() -> Any:
    """Return the handle of a new ledger, an actor on this machine, so that it lives as long."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(Ledger).options(num_cpus=0, scheduling_strategy=here).remote()

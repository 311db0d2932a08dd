"""The README's table of speed: the closest other package for each of our jobs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from speed.page import circumstances, results

WAYS = ("defaults", "tuned by hand")
ELSE = "PyTorch, as it comes"  # beside which our own runtimes stand


def summary(folder: Path) -> str:
    """Ratios of what users call, beside the fastest of the others, and where they were measured."""
    parts = results(folder)
    rows = [
        (part, row, way)
        for part, measured in parts.items()
        for row in measured["rows"]
        if "ratio" in row and (way := way_of(part, row))
    ]
    closest: dict[tuple[str, str, str], dict[str, Any]] = {}
    for _, row, way in rows:
        key = (row["case"], row["ours"], way)
        if key not in closest or row["ratio"] < closest[key]["ratio"]:
            closest[key] = row
    lines = ["| job | ours | the fastest other | times as fast |", "|---|---|---|---|"]
    lines += [
        f"| {row['case']} | {row['ours']} | {row['other']} | **{row['ratio']:.2f}** |"
        for row in closest.values()
    ]
    told = dict.fromkeys(circumstances(parts[part]) for part, _, _ in rows)
    return "\n".join([*lines, "", *told])


def way_of(part: str, row: dict[str, Any]) -> str | None:
    """How the other package runs in a row that belongs onto the first page, else None."""
    if part == "runtimes":
        return row["other"] if row["other"] == ELSE else None
    called = row["ours"].startswith(("zoo.upscale", "zoo.segment")) or part in ("fast", "training")
    ways = [way for way in WAYS if row["other"].endswith(way)]
    if not called or not (ways or part == "training"):
        return None
    return ways[0] if ways else WAYS[0]

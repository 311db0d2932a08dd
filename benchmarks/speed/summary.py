"""The README's table of speed: the closest other package for each of our jobs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from speed.page import circumstances, results

WAYS = ("defaults", "tuned by hand")
OTHER_SHAPE = "spandrel Compact"  # convolves nothing at the result's size; docs/speed.md has it


def summary(folder: Path) -> str:
    """Ratios of what users call, beside the fastest of the others, and where they were measured."""
    lines = [f"| job | ours | {' | '.join(f'beside others, {way}' for way in WAYS)} |"]
    lines += ["|---|---|---|---|"]
    lines += [
        f"| {case} | {ours} | {' | '.join(cell(ways.get(way)) for way in WAYS)} |"
        for (case, ours), ways in closest(folder).items()
    ]
    told = [
        circumstances(measured, peak=False)
        for part, measured in results(folder).items()
        if any(way_of(part, row) for row in measured["rows"])
    ]
    return "\n".join([*lines, "", *dict.fromkeys(told)])


def closest(folder: Path) -> dict[tuple[str, str], dict[str, dict[str, Any]]]:
    """By job and what of ours does it: the row with the lowest ratio, by way."""
    jobs: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
    for part, measured in results(folder).items():
        for row in measured["rows"]:
            if way := way_of(part, row):
                ways = jobs.setdefault((row["case"], row["ours"]), {})
                ways[way] = min(ways.get(way, row), row, key=lambda made: made["ratio"])
    return jobs


def cell(row: dict[str, Any] | None) -> str:
    return f"**{row['ratio']:.2f}** {row['other'].split(',')[0]}" if row else ""


def way_of(part: str, row: dict[str, Any]) -> str | None:
    """How the other package runs in a row that belongs onto the first page, else None."""
    if "ratio" not in row:
        return None
    called = row["ours"].startswith(("zoo.upscale", "zoo.segment")) or part in ("fast", "training")
    ways = [way for way in WAYS if row["other"].endswith(way)]
    if not called or not (ways or part == "training") or row["other"].startswith(OTHER_SHAPE):
        return None
    return ways[0] if ways else WAYS[0]

"""The figures in docs/reliability.md, from what benchmarks/torture wrote."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

UNKNOWN = (
    "Nothing was run at length yet. `make torture` does, and `python benchmarks/publish.py pages`\n"
    "writes the figures here."
)


def torture(folder: Path) -> str:
    """Files read, commands run and processes killed; and how it ended."""
    parts = [
        table(json.loads(file.read_text()))
        for part, table in PARTS.items()
        if (file := folder / f"torture_{part}.json").is_file()
    ]
    return "\n\n".join(parts) or UNKNOWN


def fuzz(result: dict[str, Any]) -> str:
    limits = result["limits"]
    return _table(
        f"Damaged files, {when(result)}; {limits['seconds_for_a_file']} s and "
        f"{limits['bytes_for_a_file'] / 2**30:.0f} GiB are the limits for one file",
        ("reader", "files", "read", "refused", "the slowest", "memory above idle", "defects"),
        [
            (
                row["case"],
                f"{row['tried']:,}",
                f"{row['read']:,}",
                f"{row['refused']:,}",
                f"{row['slowest']:.1f} s",
                f"{row['peak'] / 1e6:,.0f} MB",
                len(row["defects"]),
            )
            for row in result["rows"]
        ],
    )


def guided(result: dict[str, Any]) -> str:
    return _table(
        "Files whose damage is guided by the branches of zoo that they reach (Atheris), "
        f"{when(result)}",
        ("reader", "files", "branches that whole files reach", "all reach", "defects"),
        [
            (
                row["case"],
                f"{row['tried']:,}",
                row["branches_of_whole_files"],
                row["branches"],
                len(row["defects"]),
            )
            for row in result["rows"]
        ],
    )


def commands(result: dict[str, Any]) -> str:
    (row,) = result["rows"]
    return (
        f"Whole commands on such files, among links, pipes and odd names, {when(result)}: "
        f"{row['tried']:,} run, {row['succeeded']:,} succeeded, {row['refused_or_failed']:,} "
        f"refused or failed in order, {len(row['defects'])} defects, each within "
        f"{result['limits']['seconds_for_a_command']} s."
    )


def kills(result: dict[str, Any]) -> str:
    return _killed(result, "Processes killed by SIGKILL at random moments")


def ray(result: dict[str, Any]) -> str:
    return _killed(result, "Jobs on Ray whose first process is killed")


def _killed(result: dict[str, Any], title: str) -> str:
    return _table(
        f"{title}, {when(result)}",
        ("work", "rounds", "kills", "defects"),
        [(row["case"], row["rounds"], row["kills"], len(row["defects"])) for row in result["rows"]],
    )


def load(result: dict[str, Any]) -> str:
    (row,) = result["rows"]
    return (
        f"`zoo web` under eight visitors at once and one who always leaves in the middle, "
        f"{when(result)}: {row['seconds']:.0f} s, {row['served']:,} pictures served, "
        f"{row['refused']:,} visitors refused in order, {row['left']:,} left; the longest wait "
        f"{row['slowest']:.1f} s; memory {row['warm'] / 1e6:,.0f} MB when warm, "
        f"{row['end'] / 1e6:,.0f} MB at the end, {row['peak'] / 1e6:,.0f} MB at most; "
        f"{len(row['defects'])} defects."
    )


def mutants(result: dict[str, Any]) -> str:
    return _table(
        f"Errors put into the code, one at a time (mutmut), {when(result)}; why nobody notices the "
        "others stands in `benchmarks/results/torture_mutants.json`",
        ("file", "errors", "noticed by a test", "explained", "unexplained"),
        [
            (
                f"`{row['case']}`",
                row["mutants"],
                f"{row['killed']} ({row['killed'] / row['mutants']:.0%})",
                len(row["survivors"]) - len(row["defects"]),
                len(row["defects"]),
            )
            for row in result["rows"]
        ],
    )


PARTS = {
    "fuzz": fuzz,
    "guided": guided,
    "commands": commands,
    "kills": kills,
    "ray": ray,
    "load": load,
    "mutants": mutants,
}


def _table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [f"{title}:", "", _line(columns), "|" + "---|" * len(columns), *map(_line, rows)]
    return "\n".join(lines)


def _line(cells: Sequence[object]) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def when(result: dict[str, Any]) -> str:
    machine = result["environment"]
    return f"{result['date']} on {machine['cpu']}, Python {machine['python']}"

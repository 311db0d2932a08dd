"""Torture: what must hold whatever comes, tried thousands of times.

    python benchmarks/torture                          # everything; takes hours on two cores
    python benchmarks/torture fuzz --files 2000        # a part of it, and less
    python benchmarks/torture replay picture 4711      # read one damaged file again

Each part writes OUT/torture_PART.json. `publish.py pages` makes the figures of docs/reliability.md
of them. The exit status is 1 if there are defects.
"""

from __future__ import annotations

import datetime
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import print

sys.path.insert(0, str(Path(__file__).parents[1]))  # the other benchmarks

from common import RESULTS, Dirty, check_results, write_result
from environment import environment

from torture import commands, kills, load
from torture.fuzz import MEMORY, SECONDS, attempt, fuzz
from torture.guided import guided
from torture.mutants import SUBJECTS, mutants
from torture.readers import READERS
from torture.scenarios import RAY, SCENARIOS
from zoo.errors import OptionError, ZooError, did_you_mean

PARTS = ("fuzz", "guided", "commands", "kills", "ray", "load", "mutants")


def main(
    parts: Annotated[list[str], typer.Argument(help=", ".join(PARTS))] = [],  # noqa: B006
    files: Annotated[int, typer.Option(min=1, help="Damaged files for each reader.")] = 100_000,
    runs: Annotated[int, typer.Option(min=1, help="Whole commands.")] = 2000,
    rounds: Annotated[int, typer.Option(min=1, help="Of up to 3 kills, for each work.")] = 50,
    seconds: Annotated[float, typer.Option(min=1, help="Of visitors to the page.")] = 120,
    first: Annotated[int, typer.Option(min=0, help="Number of the first file or command.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder for the JSON.")] = RESULTS,
    dirty: Dirty = False,
) -> None:
    """Run parts, or all of them, and write OUT/torture_PART.json."""
    if parts[:1] == ["replay"]:
        replay(*parts[1:])
        return
    check_results(out, dirty=dirty)
    for part in parts:
        if part not in PARTS:
            raise OptionError(f"{part!r} is none of {', '.join(PARTS)}.{did_you_mean(part, PARTS)}")
    defects = 0
    for part in parts or PARTS:
        rows = []
        counts = {"files": files, "runs": runs, "rounds": rounds, "seconds": seconds}
        for row in measure(part, **counts, first=first):
            rows.append(row)
            defects += len(row["defects"])
            print(row)
        result = {
            "model": f"torture_{part}",
            "weights_sha256": None,
            "start_sha256": None,
            "limits": {
                "seconds_for_a_file": SECONDS,
                "bytes_for_a_file": MEMORY,
                "seconds_for_a_command": commands.SECONDS,
                "seconds_for_a_run_that_goes_on": kills.SECONDS,
            },
            "first": first,
            "rows": rows,
            "date": datetime.date.today().isoformat(),
            "environment": environment(),
        }
        write_result(result, out, dirty=dirty)
    raise typer.Exit(int(defects > 0))


def measure(
    part: str, *, files: int, runs: int, rounds: int, seconds: float, first: int
) -> Iterator[dict[str, Any]]:
    """Yield the rows of a part as they come."""
    if part == "fuzz":
        for name in READERS:
            yield fuzz(name, files, first=first)
    elif part == "guided":
        for name in READERS:
            yield guided(name, files, seed=first)
    elif part == "commands":
        yield commands.torture(runs, first=first)
    elif part == "load":
        yield load.torture(seconds)
    elif part == "mutants":
        for file in SUBJECTS:
            yield mutants(file)
    elif part == "ray":
        yield kills.torture("folder run with Ray", RAY, rounds, seed=first)
    else:
        for name, scenario in SCENARIOS.items():
            yield kills.torture(name, scenario, rounds, seed=first)


def replay(name: str, number: str) -> None:
    """Read one damaged file again, and show what comes of it."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        print(attempt(name, place, READERS[name].prepare(place), int(number)))


if __name__ == "__main__":
    try:
        typer.run(main)
    except ZooError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)

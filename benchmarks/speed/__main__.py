"""Speed, start and memory beside other packages.

    pip install -r benchmarks/speed/requirements.txt
    python benchmarks/speed                      # everything; takes half an hour on two cores
    python benchmarks/speed start memory         # parts of it

Each part writes OUT/speed_PART.json. `publish.py pages` makes docs/speed.md of them. Let nothing
else run on the machine.
"""

from __future__ import annotations

import datetime
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, get_args

import typer
from rich import print

sys.path.insert(0, str(Path(__file__).parents[1]))  # the other benchmarks

from common import RESULTS, Dirty, check_results, write_result
from environment import environment

from speed import Part, processes
from zoo.errors import OptionError, ZooError, did_you_mean
from zoo.inference.device import pick_device, pick_precision

PEERS = ("fastai", "segmentation-models-pytorch", "spandrel", "super-image", "torchsr")


def main(
    parts: Annotated[list[str], typer.Argument(help=", ".join(get_args(Part)))] = [],  # noqa: B006
    photographs: Annotated[int, typer.Option(min=1, help="In the folder.")] = 200,
    out: Annotated[Path, typer.Option(help="Folder for the JSON.")] = RESULTS,
    dirty: Dirty = False,
) -> None:
    """Measure parts, or all of them, and write OUT/speed_PART.json."""
    check_results(out, dirty=dirty)
    for part in parts:
        if part not in get_args(Part):
            hint = did_you_mean(part, get_args(Part))
            raise OptionError(f"{part!r} is none of {', '.join(get_args(Part))}.{hint}")
    for part in parts or get_args(Part):
        rows, beside = measure(part, photographs=photographs)
        result = {
            "model": f"speed_{part}",
            "weights_sha256": None,
            "start_sha256": None,
            "rows": rows,
            **beside,
            "date": datetime.date.today().isoformat(),
            "environment": environment(),
        }
        write_result(result, out, dirty=dirty)
        print(result["model"], rows)


def measure(part: str, *, photographs: int) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The rows of a part, and what else belongs into its result."""
    if part == "start":
        return processes.start(), {}
    if part == "folder":
        return processes.folder(photographs=photographs), {}
    if part == "memory":
        rows = processes.memory()
        return rows, {"exponents": processes.exponents(rows)}
    if part == "runtimes":
        from speed import runtimes

        return runtimes.measure(), {}
    if part == "tiles":
        from speed import tiles

        return tiles.measure(), {}
    from speed import segmentation, super_resolution, training  # which need the peers
    from speed.timing import matmul_peak

    peak = matmul_peak(pick_precision("auto", pick_device("cpu")))
    beside = {"peak_operations_per_second": peak, "peers": {name: version(name) for name in PEERS}}
    if part == "fast":
        return super_resolution.measure_fast(), beside
    if part == "training":
        return training.measure(), beside
    module = {"super-resolution": super_resolution, "segmentation": segmentation}[part]
    return module.measure(peak), beside


if __name__ == "__main__":
    try:
        typer.run(main)
    except ModuleNotFoundError as error:
        advice = "pip install -r benchmarks/speed/requirements.txt"
        sys.exit(f"error: {error.name} is not installed: {advice}")
    except ZooError as error:
        sys.exit(f"error: {error}")

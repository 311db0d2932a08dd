"""The cost of ten million photographs in docs/scaling.md, from what benchmarks/scaling.py wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

PHOTOGRAPHS = 10_000_000
UNKNOWN = (
    "Nothing was measured yet. `python benchmarks/scaling.py` measures on the machine that it\n"
    "runs on, and `python benchmarks/publish.py pages` writes the figures here."
)


def scaling(folder: Path) -> str:
    """Seconds for one photograph, and hours, bytes and operations for all, by network."""
    file = folder / "scaling.json"
    if not file.is_file():
        return UNKNOWN
    measured = json.loads(file.read_text())
    machine, photograph = measured["environment"], measured["photograph"]
    pixels = measured["height"] * measured["width"]
    parts = [
        f"Measured on {measured['date']} with {machine['threads']} threads of {machine['cpu']}, "
        f"torch {machine['libraries']['torch']}, on a photograph of {pixels / 1e6:.1f} megapixels. "
        f"The network worked on {measured['crop']}×{measured['crop']} pixels; its time is scaled "
        "by the pixels.",
        f"The photograph is a JPEG of {photograph['bytes'] / 1e6:.1f} MB. It takes "
        f"{photograph['read']:.3g} s to read from S3 and {photograph['decode']:.3g} s to decode.",
        seconds(measured),
        f"For {PHOTOGRAPHS:,} photographs:",
        totals(measured),
        f"How: {measured['protocol']}. [All figures](../benchmarks/results/scaling.json).",
    ]
    return "\n\n".join(parts)


def whole(measured: dict[str, Any], row: dict[str, float]) -> float:
    """Seconds for one photograph from S3 to S3, one step after the other as in a worker."""
    photograph = measured["photograph"]
    before = photograph["read"] + photograph["decode"]
    return float(before + row["network"] + row["encode"] + row["write"])


def seconds(measured: dict[str, Any]) -> str:
    lines = [
        "| seconds for one photograph | network | encode | write to S3 | all, from S3 to S3 |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| `{name}` | {row['network']:.3g} | {row['encode']:.3g} | {row['write']:.3g}"
        f" | **{whole(measured, row):.3g}** |"
        for name, row in measured["networks"].items()
    ]
    return "\n".join(lines)


def totals(measured: dict[str, Any]) -> str:
    threads = measured["environment"]["threads"]
    pixels = measured["height"] * measured["width"]
    lines = [
        "| weights | hours of this machine | hours of a thread | without the network | results"
        " | operations of the network |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in measured["networks"].items():
        hours = whole(measured, row) * PHOTOGRAPHS / 3600
        rest = hours - row["network"] * PHOTOGRAPHS / 3600
        operations = 2 * row["multiply_adds_per_pixel"] * pixels * PHOTOGRAPHS
        lines.append(
            f"| `{name}` | {hours:,.0f} | {hours * threads:,.0f} | {rest:,.0f}"
            f" | {row['bytes'] * PHOTOGRAPHS / 1e12:,.0f} TB | {operations:.2g} |"
        )
    return "\n".join(lines)

"""docs/speed.md and its figure, from the results that `python benchmarks/speed` wrote."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

from speed import Part

HEAD = """# Speed

`python benchmarks/speed` measures all of this, and `benchmarks/publish.py` writes this page. All \
ways of doing one job run in turns inside one process. A ratio is the other's time by ours. Above \
1 ours is faster. It is the median over the turns; the lowest and the highest turn are the spread.

- *Defaults* is another package as it comes, in fp32.
- *Tuned by hand* is the same network with channels_last and bf16 set by hand.
- *Peak* is the share of the machine's best matrix product in the same precision that ours has."""

TITLES: dict[str, str] = {
    "super-resolution": "Super-resolution",
    "fast": "The fast weights",
    "tiles": "Tiles",
    "segmentation": "Segmentation",
    "runtimes": "Other runtimes",
    "training": "Training",
    "start": "Start",
    "folder": "A folder",
    "memory": "Memory",
}


def results(folder: Path) -> dict[str, dict[str, Any]]:
    """What was measured so far, by part."""
    files = {part: folder / f"speed_{part}.json" for part in get_args(Part)}
    return {part: json.loads(file.read_text()) for part, file in files.items() if file.is_file()}


def page(folder: Path) -> str:
    """The text of docs/speed.md."""
    parts = [HEAD, "![Each job beside the fastest of equal shape](speed.svg)"]
    for part, measured in results(folder).items():
        rows = measured["rows"]
        ratios = [row for row in rows if "ratio" in row]
        others = [row for row in rows if "ratio" not in row]
        parts += [f"## {TITLES[part]}", circumstances(measured)]
        parts += [ratio_table(ratios)] if ratios else []
        parts += [plain_table(others)] if others else []
        if growth := measured.get("exponents"):
            parts += [grown(growth), "![Peak memory over the size of the result](memory.svg)"]
        parts.append(f"All figures: [JSON](../benchmarks/results/speed_{part}.json).")
    return "\n\n".join(parts) + "\n"


def circumstances(measured: dict[str, Any], *, peak: bool = True) -> str:
    machine = measured["environment"]
    text = (
        f"{measured['date']}, {machine['threads']} threads of {machine['cpu']}, torch "
        f"{machine['libraries']['torch']}."
    )
    if peers := measured.get("peers"):
        text += f" Beside {', '.join(f'{name} {version}' for name, version in peers.items())}."
    if peak and (best := measured.get("peak_operations_per_second")):
        text += f" Best matrix product: {best / 1e9:.0f} billion operations a second."
    return text


def ratio_table(rows: Sequence[dict[str, Any]]) -> str:
    lines = [
        "| job | ours | beside | ratio | spread | seconds, ours | seconds, other | peak |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        share = f"{row['peak_share']:.0%}" if row["peak_share"] else ""
        lines.append(
            f"| {row['case']} | {row['ours']} | {row['other']} | **{row['ratio']:.2f}**"
            f" | {row['lowest']:.2f}–{row['highest']:.2f} | {row['seconds_ours']:.3g}"
            f" | {row['seconds_other']:.3g} | {share} |"
        )
    return "\n".join(lines)


def plain_table(rows: Sequence[dict[str, Any]]) -> str:
    """Rows of one part that have no peer; their keys are the columns."""
    columns = [key for key in rows[0] if key not in ("case", "way", "megapixels")]
    titles = " | ".join(column.replace("_", " ") for column in columns)
    lines = [f"| | {titles} |", f"|---|{'---|' * len(columns)}"]
    lines += [
        f"| {row['case']} | {' | '.join(number(column, row[column]) for column in columns)} |"
        for row in rows
    ]
    return "\n".join(lines)


def grown(exponents: dict[str, float]) -> str:
    told = [f"{power:.2f} ({way})" for way, power in exponents.items()]
    return f"Time grows with the pixels to the power of {' and '.join(told)}."


def number(column: str, value: float) -> str:
    if column.endswith("bytes"):
        return f"{value / 1e6:,.0f} MB"
    return str(value) if isinstance(value, int) else f"{value:.3g}"


def draw(rows: Sequence[dict[str, Any]], file: Path) -> None:
    """A bar for each ratio, with its spread, as an SVG."""
    with figure(file, height=1.2 + 0.25 * len(rows)) as axes:
        labels = [f"{row['case']}: {row['ours']} beside {row['other']}" for row in rows]
        ratios = [row["ratio"] for row in rows]
        spread = [
            [row["ratio"] - row["lowest"] for row in rows],
            [row["highest"] - row["ratio"] for row in rows],
        ]
        axes.barh(labels, ratios, xerr=spread, color="#4878a8", ecolor="#1c1e21")
        axes.axvline(1, color="black", linewidth=1)
        axes.set(xlabel="times as fast")
        axes.tick_params(axis="y", labelsize=7)
        axes.invert_yaxis()


def draw_memory(folder: Path, file: Path) -> None:
    """Peak memory over the size of the result, a line for each way, as an SVG."""
    rows = results(folder)["memory"]["rows"]
    with figure(file, height=4) as axes:
        for way in dict.fromkeys(row["way"] for row in rows):
            points = [
                (each["megapixels"], each["peak_bytes"]) for each in rows if each["way"] == way
            ]
            sizes, peaks = zip(*points, strict=True)
            axes.plot(sizes, [peak / 1e9 for peak in peaks], marker="o", label=way)
        axes.set(xlabel="megapixels of the result", ylabel="peak memory in GB", ylim=(0, None))
        axes.legend()


@contextmanager
def figure(file: Path, *, height: float) -> Iterator[Any]:
    """Axes to draw on; the same figures make the same file."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "zoo"
    from matplotlib import pyplot

    drawn, axes = pyplot.subplots(figsize=(8, height), layout="constrained")
    yield axes
    drawn.savefig(file, metadata={"Date": None})
    pyplot.close(drawn)

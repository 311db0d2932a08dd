"""The model card, as text, from the registry and the result files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from common import scored
from tables import DEGRADED_SET, degraded, result

from zoo.registry import Weights, get_model, get_weights, list_models, list_weights
from zoo.seg.measure.evaluate import METRICS
from zoo.train.chain import is_recipe

ROOT = Path(__file__).parents[1]

HEAD = """# Model card

`benchmarks/publish.py` writes this page. The facts come from the registry, the figures from \
`benchmarks/results/`. Nobody types a figure by hand.

Weights are chosen on images held out from training. The sets on this page have no part in that \
choice. `--sets FOLDER` measures on any other set.

## Columns

| column | meaning |
|---|---|
| PSNR-Y, SSIM-Y | Closeness to the original on luma. Higher is better. |
| luma rounded | PSNR-Y on luma rounded to whole levels, as older tables have it. |
| distance in ResNet50 | Difference of feature maps, nearer to what the eye sees. Lower is better. |
| bicubic PSNR-Y | The same images enlarged by bicubic interpolation. |
| accuracy | Share of pixels with the right class. |
| dice_pooled | Dice coefficient of all pixels of the set together. |
| dice, iou | Dice coefficient and intersection over union per image, then the mean. |
| boundary_f_2px | F-score of the outline. Up to 2 pixels away counts as right. |
| s / image | Seconds per image on the machine that the section names. |"""


def model_card(folder: Path) -> str:
    """One section for each model that has weights."""
    sections = [HEAD]
    for model in list_models(pretrained=True):
        what = (get_model(model).build.__doc__ or "").strip().splitlines()[0]
        sections.append(f"## {model}\n\n{what}")
        sections += [section(name, folder) for name in list_weights(model)]
    return "\n\n".join(sections) + "\n"


def section(name: str, folder: Path) -> str:
    """One file of weights: use and limits, data and terms, training, cost, metrics."""
    declared, measured = get_weights(name), result(name, folder)
    meta, machine = declared.meta, measured["environment"]
    enlarges = measured["task"] == "super-resolution"
    cost, table = (enlargement if enlarges else masks)(measured, folder)
    if rows := degraded(name, folder):
        table += "\n\n" + restored(name, rows, measured["scale"], folder)
    low, high = meta.input_range
    return f"""### {name}

- **Intended use**: {meta.use}
- **Limits**: {meta.limits}
- **Licence of the weights**: {meta.license}
- **Input**: RGB from {low:g} to {high:g}. Any size from {"1×1" if enlarges else "32×32"}.
- **File**: `zoo/pretrained/{declared.file}`, version {meta.version}. fp16 safetensors, \
{declared.size / 1e6:.1f} MB. sha256 `{declared.sha256}`.
- **Training data**: {meta.training_data}
- **Terms of the data**: {meta.training_data_terms}
- **Training**: {training(declared, folder)}
- **Cost**: {measured["parameters"]:,} parameters. {cost}.

{table}

Protocol: {measured["protocol"]}.

Measured in fp32 with {machine["threads"]} {"thread" if machine["threads"] == 1 else "threads"} of \
{machine["cpu"]} and torch {machine["libraries"]["torch"]}. \
[All figures](benchmarks/results/{name}.json)."""


def training(declared: Weights, folder: Path) -> str:
    """The recipe, how long it ran, and how the weights were chosen."""
    name, recipe = declared.name, declared.meta.recipe
    history = json.loads((folder / f"{name}.history.json").read_text())
    metric, rows = scored(history)
    last = history[-1].get("run", 0)  # number of the last run, if it continued others
    best = max((row for row in rows if row.get("run", 0) == last), key=lambda row: row[metric])
    chain = recipes_to(recipe)
    means = history[-1].get("mean_of_models")
    sentences = [
        f"Recipe [{recipe}]({recipe}).",
        beginning(recipe, history[-1].get("start_sha256")),
        f"From random weights on: {' → '.join(f'`{Path(file).name}`' for file in chain)}."
        if len(chain) > 1
        else "",
        f"{history[-1]['step']:,} steps{', with the runs before it' if last else ''}.",
        f"The averaged weights of step {best['step']:,} scored best on the images held out "
        f"({score(metric, best[metric])}).",
        f"The file is the mean of {means} models, which the recipe names." if means else "",
        f"[Curve](docs/curves/{name}.svg), [its figures](benchmarks/results/{name}.history.json).",
    ]
    return " ".join(filter(None, sentences))


def beginning(recipe: str, sha256: str | None) -> str:
    """Where a recipe starts, in words. sha256: of the weights that the run began with, if known."""
    start = start_of(recipe)
    if start is None:
        return ""
    if is_recipe(start):
        earlier = Path(recipe).with_name(start).as_posix()
        return f"It starts from the result of [{earlier}]({earlier})."
    version = "" if sha256 == get_weights(start).sha256 else " of that time"
    return f"It starts from `{start}`{version}."


def start_of(recipe: str) -> str | None:
    start: str | None = yaml.safe_load((ROOT / recipe).read_text())["model"].get("start")
    return start


def recipes_to(recipe: str) -> list[str]:
    """All recipes on the way from random weights to the result of this one, in order."""
    start = start_of(recipe)
    if start is None:
        return [recipe]
    earlier = (
        Path(recipe).with_name(start).as_posix()
        if is_recipe(start)
        else get_weights(start).meta.recipe
    )
    return [*recipes_to(earlier), recipe]


def score(metric: str, value: float) -> str:
    """A held-out score in words."""
    if metric in ("psnr_y", "psnr_y_rounded"):
        return f"PSNR-Y {value:.2f} dB{', luma rounded' if metric.endswith('rounded') else ''}"
    if metric == "minus_feature_loss":
        return f"feature loss {-value:.5f}"
    name, _, size = metric.partition("@")
    return f"{name} {value:.5f} at {size}×{size} pixels"


def enlargement(measured: dict[str, Any], folder: Path) -> tuple[str, str]:
    """Cost and table of figures of super-resolution weights, with bicubic for comparison."""
    scale = measured["scale"]
    bicubic = result(f"bicubic_x{scale}", folder)["sets"] if scale > 1 else {}
    lines = [
        "| set | images | PSNR-Y (dB) | luma rounded | SSIM-Y | bicubic PSNR-Y (dB) | s / image |",
        "|---|---|---|---|---|---|---|",
    ]
    for title, row in measured["sets"].items():
        beside = f"{bicubic[title]['psnr_y']:.2f}" if bicubic else "–"
        lines.append(
            f"| {title} | {len(row['images'])} | {row['psnr_y']:.2f} | {row['psnr_y_rounded']:.2f}"
            f" | {row['ssim_y']:.4f} | {beside} | {row['seconds']:.2f} |"
        )
    billions = measured["multiply_adds_720p"] / 1e9
    return f"{billions:.1f} billion multiply-adds for a result of 1280×720 pixels", "\n".join(lines)


def restored(name: str, rows: dict[str, dict[str, float]], scale: int, folder: Path) -> str:
    """Table of figures on degraded images; beside them bicubic and the weights for clean ones."""
    others = {"bicubic": degraded(f"bicubic_x{scale}", folder)}
    clean = f"{get_weights(name).architecture}.psnr"
    if name != clean and (figures := degraded(clean, folder)):
        others[f"`{clean}`"] = figures
    lines = [
        f"| {DEGRADED_SET}, degraded | PSNR-Y (dB) | SSIM-Y | distance in ResNet50"
        f" | {' | '.join(f'{name} PSNR-Y (dB)' for name in others)} |",
        f"|---|---|---|---|{'---|' * len(others)}",
    ]
    for kind, row in rows.items():
        beside = " | ".join(f"{other[kind]['psnr_y']:.2f}" for other in others.values())
        lines.append(
            f"| {kind} | {row['psnr_y']:.2f} | {row['ssim_y']:.4f}"
            f" | {row['distance_resnet50']:.4f} | {beside} |"
        )
    return "\n".join(lines)


def masks(measured: dict[str, Any], folder: Path) -> tuple[str, str]:
    """Cost and table of figures of segmentation weights."""
    size = measured["size"]
    lines = [
        f"| set | images | {' | '.join(METRICS)} | s / image |",
        f"|---|---|{'---|' * len(METRICS)}---|",
    ]
    for title, row in measured["sets"].items():
        at = "native" if title.endswith("native") else str(size)
        figures = " | ".join(f"{row[f'{metric}@{at}']:.5f}" for metric in METRICS)
        lines.append(f"| {title} @{at} | {len(row['images'])} | {figures} | {row['seconds']:.2f} |")
    billions = measured[f"multiply_adds_{size}"] / 1e9
    return f"{billions:.1f} billion multiply-adds for {size}×{size} pixels", "\n".join(lines)

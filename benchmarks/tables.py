"""The tables of figures of the first page and docs/figures.md, from the registry and results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from common import RESULTS

from zoo.registry import list_models, list_weights

SR_SETS = ("Set5", "Set14", "B100")
DEGRADED_SET = "B100"

# The lesson's validation figures by network and size: accuracy, Dice. Its Dice pools the pixels of
# a batch; its accuracy counts a pixel as car if the logit (not the probability) exceeds 0.5.
LESSON: dict[tuple[str, int], tuple[float, float | None]] = {
    ("simple_up34", 128): (0.99173, None),
    ("simple_up34", 512): (0.99639, None),
    ("simple_up34", 1024): (0.99817, None),
    ("unet34", 128): (0.99361, 0.98520),
    ("unet34", 512): (0.99744, 0.99412),
    ("unet34", 1024): (0.99829, 0.99599),
}

LESSON_CARS = "e2f0c261d7a5f854"  # `fingerprint` of its 63 validation cars


def result(name: str, folder: Path = RESULTS) -> dict[str, Any]:
    """Reads a result that a benchmark wrote."""
    content: dict[str, Any] = json.loads((folder / f"{name}.json").read_text())
    return content


def shipped(task: str | None = None) -> list[str]:
    """The names of all registered weights, or of those for a task."""
    return [name for model in list_models(task=task) for name in list_weights(model)]


def degraded(name: str, folder: Path) -> dict[str, dict[str, float]]:
    """Figures on DEGRADED_SET by degradation; empty if weights were not measured so."""
    if not (folder / f"{name}_degraded.json").is_file():
        return {}
    kinds = result(f"{name}_degraded", folder)["degraded"]
    return {kind: content["sets"][DEGRADED_SET] for kind, content in kinds.items()}


def super_resolution(folder: Path) -> str:
    """PSNR of bicubic and of all weights that enlarge, on the benchmark sets."""
    lines = [
        f"| Y-PSNR (dB) | parameters | {' | '.join(SR_SETS)} |",
        f"|---|---|{'---|' * len(SR_SETS)}",
    ]
    for scale in (2, 4):
        names = [n for n in shipped("super-resolution") if result(n, folder)["scale"] == scale]
        for name in [f"bicubic_x{scale}", *names]:
            row = result(name, folder)
            size = f"{row['parameters'] / 1e6:.2f} M" if "parameters" in row else "–"
            figures = " | ".join(f"{row['sets'][title]['psnr_y']:.2f}" for title in SR_SETS)
            lines.append(f"| `{name}` | {size} | {figures} |")
    return "\n".join(lines)


def degradations(folder: Path) -> str:
    """PSNR on clean and on degraded images, of bicubic and of all that was measured so."""
    kinds = result("bicubic_x4_degraded", folder)["degraded"]
    lines = [
        f"| Y-PSNR (dB), {DEGRADED_SET} | clean | {' | '.join(kinds)} | mean |",
        f"|---|---|{'---|' * len(kinds)}---|",
    ]
    for scale in (1, 2, 4):
        names = [n for n in shipped("super-resolution") if result(n, folder)["scale"] == scale]
        names += [f"srresnet_x{scale}.{way}" for way in ("auto", "strength_0.5")]
        names = [name for name in names if degraded(name, folder)]
        for name in [f"bicubic_x{scale}", *names] if names else []:
            figures = [row["psnr_y"] for row in degraded(name, folder).values()]
            if name == "bicubic_x1":  # a clean image is its own original
                shown = ["–", *map(number, figures)]
            else:
                figures = [result(name, folder)["sets"][DEGRADED_SET]["psnr_y"], *figures]
                shown = [*map(number, figures)]
            # At scale 1 a clean image, nearly kept, would outweigh all.
            mean = number(sum(figures) / len(figures)) if scale > 1 else "–"
            lines.append(f"| `{name}` | {' | '.join(shown)} | {mean} |")
    what = [f"- `{kind}`: {content['degradation']}" for kind, content in kinds.items()]
    return "\n".join([*lines, "", *what])


def number(figure: float) -> str:
    return f"{figure:.2f}"


def segmentation(folder: Path) -> str:
    """All weights on the lesson's 63 validation cars, and the lesson's figures."""
    lines = ["| 63 cars | pixels | parameters | accuracy | Dice, pooled |", "|---|---|---|---|---|"]
    sizes = set()
    for name in shipped("segmentation"):
        row = result(name, folder)
        size, figures = row["size"], row["sets"]["validation"]
        sizes.add(size)
        accuracy, dice = figures[f"accuracy@{size}"], figures[f"dice_pooled@{size}"]
        cost = f"{row['parameters'] / 1e6:.2f} M"
        lines.append(f"| `{name}` | {size} | {cost} | {accuracy:.5f} | {dice:.5f} |")
    for (net, size), (accuracy, pooled) in LESSON.items():
        if size in sizes:
            shown = "–" if pooled is None else f"{pooled:.5f}"
            lines.append(f"| the lesson's {net} | {size} | | {accuracy:.5f} | {shown} |")
    return "\n".join(lines) if sizes else "No weights for segmentation yet."

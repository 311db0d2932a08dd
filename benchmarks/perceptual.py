"""A study of perceptual quality: sharpness and perceptual distance of enlargements beside PSNR.

python benchmarks/perceptual.py srresnet_x4 --data DIR --resnet50 FILE --lite0 FILE

Measures bicubic enlargement and all weights of a model on the same sets. Distances are taken in
networks that no loss has used: ResNet50 (stem, layer1, layer2) and EfficientNet-Lite0 (strides 2 to
8), trained on ImageNet and downloaded unless a file is named; and LPIPS if the package lpips is
installed and finds its network. Writes OUT/MODEL.perceptual_study.json.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from common import RESULTS, Dirty, check_results, start_sha256, write_result
from environment import environment
from feature_distance import networks
from numpy.typing import NDArray
from rich import print
from rich.table import Table
from spectrum import grid_power, top_octave
from tqdm import tqdm

from zoo.create import create_model
from zoo.errors import OptionError, ZooError
from zoo.predict import upscale
from zoo.registry import get_weights, list_weights
from zoo.sr.data.imresize import bicubic_upscale
from zoo.sr.measure.evaluate import SETS, Distance, benchmark_pairs, find_set, told_apart
from zoo.sr.measure.metrics import psnr_y, rgb_to_y, ssim_y

PROTOCOL = (
    "psnr_y and ssim_y as in super_resolution.py; distance_NETWORK: squared distance of feature "
    "vectors of length 1, mean over places and over maps of strides 2, 4 and 8; top_octave: energy "
    "of waves 2 to 4 pixels long, relative to the original's; grid: power at multiples of 1/scale "
    "cycles per pixel over that of their neighbourhood, grid_absolute: that power itself, relative "
    "to the original's; all on uint8 images, spectra on their luma; per image, then mean (relative "
    "to the original's: geometric mean)"
)
RATIOS = ("top_octave", "grid", "grid_absolute")

Pixels = NDArray[np.uint8]


def main(
    model: Annotated[str, typer.Argument(help="A super-resolution model with weights.")],
    data: Annotated[Path, typer.Option(help="Folder that holds the benchmark sets.")],
    resnet50: Annotated[str, typer.Option(help="*.safetensors file of ResNet50.")] = "default",
    lite0: Annotated[str, typer.Option(help="*.safetensors file of Lite0.")] = "default",
    sets: Annotated[list[str], typer.Option(help="Sets to measure on.")] = list(SETS),  # noqa: B006
    out: Annotated[Path, typer.Option(help="Folder for the JSON.")] = RESULTS,
    dirty: Dirty = False,
) -> None:
    """Measure all weights of a model and bicubic enlargement; prints a table."""
    check_results(out, dirty=dirty)
    names = list_weights(model)
    if not names:
        raise OptionError(f"{model} has no weights to measure.")
    distances = networks(resnet50, lite0)
    scale = int(create_model(names[0]).scale)  # type: ignore[arg-type]
    rows = {f"bicubic_x{scale}": partial(bicubic_upscale, scale=scale)}
    for name in names:
        net = create_model(name).eval()
        rows[name] = partial(upscale, model=net, precision="fp32", tile=None)
    result = {
        "model": f"{model}.perceptual_study",
        "scale": scale,
        "protocol": PROTOCOL,
        "weights_sha256": {name: get_weights(name).sha256 for name in names},
        "start_sha256": {name: start_sha256(name) for name in names},
        "sets": {
            title: {
                name: measure(enlarge, find_set(data, title), scale, distances)
                for name, enlarge in rows.items()
            }
            for title in sets
        },
        "environment": environment(),
    }
    write_result(result, out, dirty=dirty)
    print(table(result))


def measure(
    enlarge: Callable[[Pixels], Pixels], folder: Path, scale: int, distances: dict[str, Distance]
) -> dict[str, Any]:
    """Means over a set, and "images": the figures of each."""
    rows = {}
    for name, target, low in tqdm(benchmark_pairs(folder, scale), folder.name, disable=None):
        result = enlarge(low)
        y, reference = rgb_to_y(result), rgb_to_y(target)
        rows[name] = {
            "psnr_y": psnr_y(result, target, crop=scale),
            "psnr_y_rounded": psnr_y(result, target, crop=scale, rounded=True),
            "ssim_y": ssim_y(result, target, crop=scale),
            **{title: distance(result, target) for title, distance in distances.items()},
            "top_octave": top_octave(y) / top_octave(reference),
            "grid": grid_power(y, scale) / grid_power(reference, scale),
            "grid_absolute": grid_power(y, scale, relative=False)
            / grid_power(reference, scale, relative=False),
        }
    metrics = list(next(iter(rows.values())))
    columns = {metric: np.array([row[metric] for row in rows.values()]) for metric in metrics}
    means = {
        metric: float(np.exp(np.log(column).mean()) if metric in RATIOS else column.mean())
        for metric, column in columns.items()
    }
    names = told_apart([Path(name).stem for name in rows], list(rows))
    return {**means, "images": dict(zip(names, rows.values(), strict=True))}


def table(result: dict[str, Any]) -> Table:
    first = next(iter(next(iter(result["sets"].values())).values()))
    metrics = [metric for metric in first if metric != "images"]
    grid = Table("set", "", *metrics, title=result["model"])
    for title, rows in result["sets"].items():
        for name, row in rows.items():
            grid.add_row(title, name, *(f"{row[metric]:.4f}" for metric in metrics))
    return grid


if __name__ == "__main__":
    try:
        typer.run(main)
    except ZooError as error:
        sys.exit(f"error: {error}")

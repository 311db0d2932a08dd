"""`zoo verify`: compare the hash and the metrics of local weights with the published ones."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple, cast

from rich.console import Console
from rich.table import Table
from torch import nn

from zoo.commands.plain import say
from zoo.create import create_model
from zoo.errors import DataError, ImageError, ZooError
from zoo.inference.segmenter import Segmenter
from zoo.inference.upscaler import Upscaler
from zoo.registry import Weights, get_model, get_weights, list_models, list_weights
from zoo.seg.data.folders import list_pairs
from zoo.seg.data.pairs import Reading
from zoo.seg.measure import evaluate as segmentation
from zoo.sources import is_present
from zoo.sr.measure import evaluate as super_resolution

_ROUNDING = 5e-4  # relative: 0.02 dB at 38 dB, 0.0005 at a Dice coefficient of 0.99


class Figure(NamedTuple):
    """One metric on one data set: the measured value, and the published one or None."""

    set: str
    metric: str
    measured: float
    published: float | None

    @property
    def agrees(self) -> bool:
        """Whether the two values are equal up to rounding; True if none is published."""
        return self.published is None or math.isclose(
            self.measured, self.published, rel_tol=_ROUNDING
        )


def run(
    name: str | None, data: Path | None, sets: list[str], native: Path | None, console: Console
) -> int:
    """Check weights, measure them if `data` is given, print results, return the exit status.

    A damaged file does not stop the rest. Raises UnknownNameError.
    """
    failed = measured = 0
    for weights in select(name):
        if name is None and not is_present(weights):
            console.print(f"not here: {weights.name}, fetched when first used", highlight=False)
            continue
        try:
            model = check(weights)
        except ZooError as error:
            failed += 1
            console.print(f"[red]failed[/] {weights.name}: ", end="", highlight=False)
            say(console, str(error))
            continue
        console.print(f"[green]ok[/] {weights.name} {weights.sha256}", highlight=False)
        if data is None:
            continue
        try:
            figures = measure(weights, model, data, sets, native)
        except (DataError, ImageError) as error:  # a folder seldom holds the data of both tasks
            failed += name is not None
            say(console, f"not measured: {error}")
            continue
        console.print(table(figures, weights.name))
        measured += 1
        failed += not all(figure.agrees for figure in figures)
    return int(failed > 0 or (data is not None and not measured))


def select(name: str | None) -> list[Weights]:
    """Return the weights "model.tag", all weights of a model, or for None all bundled weights.

    Raises UnknownNameError, also for a model without weights.
    """
    if name is None:
        everything = [get_weights(w) for model in list_models() for w in list_weights(model)]
        return [w for w in everything if w.file]
    if "." in name:
        return [get_weights(name)]
    return [get_weights(w) for w in list_weights(name) or [name]]  # raises if there are none


def check(weights: Weights) -> nn.Module:
    """Return the model with these weights, in eval mode.

    Raises WeightsError when their hash is not the pinned one or they do not fit the model.
    """
    return create_model(weights.name).eval()


def measure(
    weights: Weights, model: nn.Module, data: Path, sets: list[str], native: Path | None = None
) -> list[Figure]:
    """Measure a model, and return its figures beside the published ones.

    data: for super-resolution the folder of the benchmark sets, where `sets` are measured; for
        segmentation Carvana's folder, where the lesson's validation cars are measured.
    native: a folder with some of these cars at full size, which are measured, too.
    Raises DataError if the data are missing.
    """
    if get_model(weights.architecture).task == "super-resolution":
        measured = _enlargement(model, data, sets)
    else:
        measured = _masks(model, data, native)
    return [
        Figure(title, metric, figure, weights.metrics.get(title, {}).get(metric))
        for title, figures in measured.items()
        for metric, figure in figures.items()
        if metric not in ("seconds", "images", "classes")
    ]


def table(figures: list[Figure], title: str) -> Table:
    """Return a table with a row per figure; it marks those that differ from the published ones."""
    grid = Table("set", "metric", "measured", "published", "", title=title, box=None)
    for figure in figures:
        published = "-" if figure.published is None else f"{figure.published:.5f}"
        mark = "" if figure.agrees else "[red]differs[/]"
        grid.add_row(figure.set, figure.metric, f"{figure.measured:.5f}", published, mark)
    return grid


def _enlargement(model: nn.Module, data: Path, sets: list[str]) -> dict[str, dict[str, Any]]:
    upscaler = Upscaler(model, precision="fp32")
    return {
        name: super_resolution.evaluate(
            upscaler.array, super_resolution.find_set(data, name), scale=upscaler.scale
        )
        for name in sets
    }


def _masks(model: nn.Module, data: Path, native: Path | None) -> dict[str, dict[str, Any]]:
    segmenter = Segmenter(model, precision="fp32")
    split = cast("dict[str, Any] | None", model.split)
    pairs = segmentation.validation_pairs(data, split)
    reading = Reading(cast(int, model.classes), segmenter.channels)
    figures = segmentation.evaluate(segmenter.logits, pairs, size=segmenter.size, reading=reading)
    if native is None:
        return {"validation": figures}
    groups = {pair.group for pair in pairs}
    large = [pair for pair in list_pairs(native) if pair.group in groups]
    if not large:
        raise DataError(f"{native} has no image of a validation car of {data}.")
    full_size = segmentation.evaluate(segmenter.logits, large, size=None, reading=reading)
    return {"validation": figures, "validation-native": full_size}

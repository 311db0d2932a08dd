"""Whether the weights on this machine are what the package says: their hash, and their figures."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, cast

from rich.table import Table
from torch import nn

from zoo.predict import upscale
from zoo.registry import create_model, get_model, list_models
from zoo.segmenter import Segmenter
from zoo.weights import Weights, get_weights, list_weights


def select(name: str | None) -> list[Weights]:
    """Return the weights "model.tag", those of a model, or for None all that come in the package.

    Raises UnknownNameError, also for a model without weights.
    """
    if name is None:
        everything = [get_weights(w) for model in list_models() for w in list_weights(model)]
        return [w for w in everything if w.file]
    if "." in name:
        return [get_weights(name)]
    return [get_weights(w) for w in list_weights(name) or [name]]  # the name alone says none exist


def check(weights: Weights) -> nn.Module:
    """Return the model with these weights, in eval mode.

    Raises WeightsError when their hash is not the pinned one or they do not fit the model.
    """
    return create_model(weights.name).eval()


def measure(weights: Weights, model: nn.Module, data: Path, sets: list[str]) -> Table:
    """Return a table of figures, measured now and as published with the weights.

    data: for super-resolution the folder of the benchmark sets, of which `sets` are measured; for
        segmentation Carvana's, of which the lesson's validation cars are.
    """
    table = Table("set", "metric", "measured", "published", title=weights.name)
    if get_model(weights.architecture).task == "super-resolution":
        measured = _enlargement(model, data, sets)
    else:
        measured = _masks(model, data)
    for title, figures in measured.items():
        published = weights.metrics.get(title, {})
        for metric, figure in figures.items():
            if metric not in ("seconds", "images"):
                shown = f"{published[metric]:.5f}" if metric in published else "-"
                table.add_row(title, metric, f"{figure:.5f}", shown)
    return table


def _enlargement(model: nn.Module, data: Path, sets: list[str]) -> dict[str, dict[str, Any]]:
    from zoo.sr.evaluate import evaluate, find_set

    enlarge = partial(upscale, model=model, precision="fp32")
    scale = cast(int, model.scale)
    return {name: evaluate(enlarge, find_set(data, name), scale=scale) for name in sets}


def _masks(model: nn.Module, data: Path) -> dict[str, dict[str, Any]]:
    from zoo.seg.evaluate import evaluate, validation_pairs

    segmenter = Segmenter(model, precision="fp32")
    pairs = validation_pairs(data)
    classes = cast(int, model.classes)
    figures = evaluate(segmenter.logits, pairs, size=segmenter.size, classes=classes)
    return {"validation": figures}

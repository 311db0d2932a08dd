"""Whether the weights on this machine are what the package says: their hash, and their figures."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import cast

from rich.table import Table
from torch import nn

from zoo.predict import upscale
from zoo.registry import create_model, list_models
from zoo.sr.evaluate import evaluate, find_set
from zoo.weights import PRETRAINED, Weights, get_weights, list_weights


def select(name: str | None) -> list[Weights]:
    """Return the weights "model.tag", those of a model, or for None all that lie in the package.

    Raises UnknownNameError.
    """
    if name is None:
        everything = [get_weights(w) for model in list_models() for w in list_weights(model)]
        return [w for w in everything if w.file and (PRETRAINED / w.file).is_file()]
    return [get_weights(w) for w in ([name] if "." in name else list_weights(name))]


def check(weights: Weights) -> nn.Module:
    """Return the model with these weights, in eval mode.

    Raises WeightsError when their hash is not the pinned one or they do not fit the model.
    """
    return create_model(weights.name).eval()


def measure(weights: Weights, model: nn.Module, data: Path, sets: list[str]) -> Table:
    """Return a table of benchmark figures, measured now and as published with the weights."""
    table = Table("set", "PSNR-Y (dB)", "published", "SSIM-Y", "published", title=weights.name)
    enlarge = partial(upscale, model=model, precision="fp32")
    for name in sets:
        figures = evaluate(enlarge, find_set(data, name), scale=cast(int, model.scale))
        published = weights.metrics.get(name, {})
        table.add_row(
            name,
            f"{figures['psnr_y']:.2f}",
            _figure(published.get("psnr_y")),
            f"{figures['ssim_y']:.4f}",
            _figure(published.get("ssim_y"), 4),
        )
    return table


def _figure(figure: float | None, digits: int = 2) -> str:
    return "-" if figure is None else f"{figure:.{digits}f}"

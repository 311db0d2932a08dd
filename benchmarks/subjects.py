"""What the super-resolution benchmark measures: bicubic, weights, a blend, or a choice of two."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from common import cost, open_model, start_sha256
from torch import nn

from zoo.errors import OptionError
from zoo.inference.automatic import AUTO, AutoUpscaler
from zoo.inference.blending import CLEAN, TREATED
from zoo.inference.upscaler import Upscaler
from zoo.predict import upscale
from zoo.registry import get_weights
from zoo.sr.data.imresize import bicubic_upscale
from zoo.sr.measure.evaluate import Enlarge

BICUBIC = "bicubic"


@dataclass(frozen=True)
class Subject:
    """A name for results, the factor, the enlargement itself, and what is written beside figures.

    facts: "weights_sha256" and "start_sha256"; of networks also parameters and multiply-adds.
    """

    name: str
    scale: int
    enlarge: Enlarge
    facts: dict[str, Any]


def subjects(
    model: str, *, scale: int | None, weights: str | None, strength: float | None
) -> list[Subject]:
    """Find what is to be measured.

    model: "bicubic", for scale 2 and 4 if none is given; a name, "srresnet_x4.auto" or a saved
        folder.
    weights, strength: of a model, see `common.open_model` and `zoo.Upscaler`.
    Raises OptionError for no super-resolution model or another scale than the model's.
    """
    if model == BICUBIC:
        return [bicubic(at) for at in ((2, 4) if scale is None else (scale,))]
    found = network(model, weights, strength)
    if scale not in (None, found.scale):
        raise OptionError(f"{found.name} enlarges by {found.scale}, not by {scale}.")
    return [found]


def bicubic(scale: int) -> Subject:
    facts = {"weights_sha256": None, "start_sha256": None}
    return Subject(f"bicubic_x{scale}", scale, partial(bicubic_upscale, scale=scale), facts)


def network(model: str, weights: str | None, strength: float | None) -> Subject:
    if model.endswith(f".{AUTO}"):
        chooser = AutoUpscaler(model, precision="fp32", tile=None)
        return Subject(model, chooser.scale, chooser.array, both(chooser.architecture))
    if strength is not None:
        upscaler = Upscaler(model, strength=strength, precision="fp32", tile=None)
        architecture = model.partition(".")[0]
        facts = {**both(architecture), **cost_720p(upscaler.model, upscaler.scale)}
        name = f"{architecture}.strength_{strength:g}"
        return Subject(name, upscaler.scale, upscaler.array, facts)
    name, sha256, net = open_model(model, weights)
    if not hasattr(net, "scale"):
        raise OptionError(f"{name} is no super-resolution model: it has no scale.")
    facts = {
        **cost_720p(net, net.scale),
        "weights_sha256": sha256,
        "start_sha256": start_sha256(model if Path(model).is_dir() else name),
    }
    enlarge = partial(upscale, model=net, precision="fp32", tile=None, device="auto")
    return Subject(name, net.scale, enlarge, facts)


def both(architecture: str) -> dict[str, Any]:
    """The sha256 of a model's weights for clean and for treated photographs."""
    names = [f"{architecture}.{tag}" for tag in (CLEAN, TREATED)]
    return {
        "weights_sha256": {name: get_weights(name).sha256 for name in names},
        "start_sha256": {name: start_sha256(name) for name in names},
    }


def cost_720p(net: nn.Module, scale: int) -> dict[str, int]:
    """Parameters, and multiply-adds for a result of 1280×720, as in the literature."""
    return cost(net, 720 // scale, 1280 // scale, label="720p")

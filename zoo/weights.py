"""Weights by name: typed constants that stand beside the builder of their model.

register_weights(
    Weights(
        name="srresnet_x4.psnr",
        file="srresnet_x4.psnr.safetensors",
        sha256="…64 hexadecimal digits…",
        size=3_049_984,
        meta=WeightsMeta(version=1, license="…", training_data="…", ...),
    ),
    default=True,
)
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zoo.errors import UnknownNameError, did_you_mean
from zoo.registry import get_model

PRETRAINED = Path(__file__).parent / "pretrained"


@dataclass(frozen=True, kw_only=True)
class WeightsMeta:
    """What a user should know about a weight file before using it."""

    version: int  # raised when the file behind a tag is replaced
    license: str  # of the weights: it follows the training data, not the code
    training_data: str
    training_data_terms: str
    recipe: str  # path of the recipe inside the repository
    input_range: tuple[float, float] = (0.0, 1.0)
    options: Mapping[str, Any] = field(default_factory=dict)  # builder options the weights fix
    image_size: int | None = None  # side of the squares that segmentation was trained on


@dataclass(frozen=True, kw_only=True)
class Weights:
    """One safetensors file of pretrained weights, found in the package or at one of its URLs."""

    name: str  # "architecture.tag"
    sha256: str  # of the whole file
    size: int  # bytes
    meta: WeightsMeta
    file: str | None = None  # name inside zoo/pretrained/
    urls: tuple[str, ...] = ()  # https mirrors, tried in order

    def __post_init__(self) -> None:
        if not re.fullmatch(r"\w+\.\w+", self.name):
            raise ValueError(f"the name of weights is 'architecture.tag', not {self.name!r}")
        if not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise ValueError(f"{self.name}: sha256 must be 64 lower-case hexadecimal digits")
        if self.file is None and not self.urls:
            raise ValueError(f"{self.name}: needs a file or at least one URL")

    @property
    def architecture(self) -> str:
        return self.name.partition(".")[0]

    @property
    def tag(self) -> str:
        return self.name.partition(".")[2]

    @property
    def metrics(self) -> dict[str, Any]:
        """Measured figures by protocol name, as benchmarks wrote them into the package's index."""
        metrics: dict[str, Any] = index().get(self.name, {}).get("metrics", {})
        return metrics


_weights: dict[str, Weights] = {}
_defaults: dict[str, str] = {}


def register_weights(weights: Weights, *, default: bool = False) -> Weights:
    """Register weights, as their architecture's default if asked to, and return them.

    A name registered twice, or a second default for one architecture, raises ValueError.
    """
    if weights.name in _weights:
        raise ValueError(f"weights called {weights.name!r} are already registered")
    if default and weights.architecture in _defaults:
        raise ValueError(f"{weights.architecture} already has {_defaults[weights.architecture]}")
    _weights[weights.name] = weights
    if default:
        _defaults[weights.architecture] = weights.name
    return weights


def list_weights(model: str) -> list[str]:
    """Return the names of a model's weights, the default ones first, the others sorted.

    Raises UnknownNameError for an unknown model.
    """
    architecture = get_model(model).name
    names = sorted(w.name for w in _weights.values() if w.architecture == architecture)
    return sorted(names, key=lambda name: name != _defaults.get(architecture))


def get_weights(name: str) -> Weights:
    """Return the weights "architecture.tag", or the default ones of "architecture".

    Raises UnknownNameError, with the names that exist, where there are none.
    """
    architecture, _, tag = name.partition(".")
    known = list_weights(architecture)
    wanted = _defaults.get(architecture, "") if tag in ("", "default") else name
    if wanted in _weights:
        return _weights[wanted]
    if not known:
        others = ", ".join(sorted(_weights)) or "none yet"
        raise UnknownNameError(f"{architecture} has no weights; those of other models: {others}.")
    if tag in ("", "default"):
        problem = f"{architecture} has no default weights."
    else:
        problem = f"There are no weights called {name!r}.{did_you_mean(name, known)}"
    raise UnknownNameError(f"{problem} Weights of {architecture}: {', '.join(known)}.")


@functools.cache
def index() -> dict[str, dict[str, Any]]:
    """Return the package's index: weights by name with their `sha256`, `size` and `metrics`."""
    entries: dict[str, dict[str, Any]] = json.loads((PRETRAINED / "index.json").read_text())
    return entries

"""The registry of models and weights by name; nothing is built or loaded here.

A builder is a function of keyword-only options that returns a model. Its name is the model's name,
and weights are typed constants beside it:

    @register_model(task="super-resolution")
    def srresnet_x2(*, width: int = 64, depth: int = 16) -> SRResNet: ...

    SRRESNET_X2_PSNR = register_weights(
        Weights(name="srresnet_x2.psnr", file="srresnet_x2.psnr.safetensors", sha256="…",
                size=3_049_984, meta=WeightsMeta(version=1, license="…", ...)),
        default=True,
    )
"""

from __future__ import annotations

import functools
import importlib
import inspect
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal, ParamSpec, TypeVar, get_args

from zoo.errors import UnknownNameError, did_you_mean
from zoo.model import ZooModel

Task = Literal["super-resolution", "segmentation"]
P = ParamSpec("P")
M = TypeVar("M", bound=ZooModel)

PRETRAINED = Path(__file__).parent / "pretrained"

# Importing these packages registers the models that ship with zoo.
_NETWORKS = ("zoo.sr.networks", "zoo.seg.networks")


@dataclass(frozen=True)
class Model:
    """A registered model: its name, its task and the function that builds it."""

    name: str
    task: Task
    build: Callable[..., ZooModel]

    @property
    def options(self) -> dict[str, Any]:
        """The builder's options with their default values."""
        parameters = inspect.signature(self.build).parameters.values()
        return {parameter.name: parameter.default for parameter in parameters}

    @property
    def summary(self) -> str:
        """The first sentence of the builder's docstring, without its full stop."""
        line = (self.build.__doc__ or self.name).strip().partition("\n")[0]
        return line.partition(". ")[0].rstrip(".")


@dataclass(frozen=True, kw_only=True)
class WeightsMeta:
    """What a user should know about a weight file before using it."""

    version: int  # raised when the file behind a tag is replaced
    license: str  # of the weights: it follows the training data, not the code
    training_data: str
    training_data_terms: str
    recipe: str  # path of the recipe inside the repository
    use: str = ""  # what the weights are for
    limits: str = ""  # what they do badly, or don't know
    license_id: str = "other"  # the licence's name on the Hugging Face hub, or one of our own
    license_link: str = ""  # its text, where the hub does not know it
    datasets: tuple[str, ...] = ()  # names of data sets in training_data, without spaces
    input_range: tuple[float, float] = (0.0, 1.0)
    options: Mapping[str, Any] = field(default_factory=dict)  # builder options the weights fix
    image_size: int | None = None  # side of the square training images; for segmentation
    split: Mapping[str, Any] | None = None  # of the training data, see zoo.ZooModel


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
        """Measured metrics by data set, from the package's index; empty if there are none."""
        metrics: dict[str, Any] = index().get(self.name, {}).get("metrics", {})
        return metrics


_models: dict[str, Model] = {}
_weights: dict[str, Weights] = {}
_defaults: dict[str, str] = {}


def register_model(*, task: Task) -> Callable[[Callable[P, M]], Callable[P, M]]:
    """Register a builder of keyword-only options under its own name.

    Each model that it builds gets `config`, the architecture and all options, which `save_model`
    writes. Raises ValueError for an unknown task or a registered name, TypeError for an option that
    is not keyword-only.
    """
    if task not in get_args(Task):
        raise ValueError(f"task must be one of {', '.join(get_args(Task))}, not {task!r}")

    def register(builder: Callable[P, M]) -> Callable[P, M]:
        name = builder.__name__
        signature = inspect.signature(builder)
        if name in _models:
            raise ValueError(f"a model called {name!r} is already registered")
        for parameter in signature.parameters.values():
            if parameter.kind is not inspect.Parameter.KEYWORD_ONLY:
                raise TypeError(f"{name}: option {parameter.name!r} must be keyword-only")

        @functools.wraps(builder)
        def build(*args: P.args, **options: P.kwargs) -> M:
            bound = signature.bind(*args, **options)
            bound.apply_defaults()
            model = builder(*args, **options)
            # The encoder's initial weights are left out: weights of the whole model replace them,
            # and they may be a path on this machine.
            start = {"encoder_weights": None} if "encoder_weights" in bound.arguments else {}
            model.config = {"architecture": name, "options": {**bound.arguments, **start}}
            return model

        _models[name] = Model(name, task, build)
        return build

    return register


def register_weights(weights: Weights, *, default: bool = False) -> Weights:
    """Register weights, as their architecture's default if asked to, and return them.

    Raises ValueError for a registered name or a second default for one architecture.
    """
    if weights.name in _weights:
        raise ValueError(f"weights called {weights.name!r} are already registered")
    if default and weights.architecture in _defaults:
        raise ValueError(f"{weights.architecture} already has {_defaults[weights.architecture]}")
    _weights[weights.name] = weights
    if default:
        _defaults[weights.architecture] = weights.name
    return weights


def get_model(name: str) -> Model:
    """Return the model called `name`; raise UnknownNameError, which suggests the nearest name."""
    _register_shipped_models()
    if name not in _models:
        tagged = sorted(w.name for w in _weights.values() if w.tag == name.lower())
        hint = f" Did you mean {' or '.join(tagged)}?" if tagged else did_you_mean(name, _models)
        raise UnknownNameError(
            f"There is no model called {name!r}.{hint} Known models: {', '.join(sorted(_models))}."
        )
    return _models[name]


def list_models(
    pattern: str = "*", *, task: Task | None = None, pretrained: bool = False
) -> list[str]:
    """Return the names that match a shell wildcard, sorted.

    A pattern with a dot ("srresnet_x4.*") lists weights instead of models. `task` keeps the models
    of one task, `pretrained=True` those that have weights. Raises UnknownNameError for an unknown
    task.
    """
    _register_shipped_models()
    if task is not None and task not in get_args(Task):
        raise UnknownNameError(
            f"There is no task called {task!r}; accepted are {', '.join(get_args(Task))}."
        )
    models = [model.name for model in _models.values() if task in (None, model.task)]
    if "." in pattern:
        names = [weights for model in models for weights in list_weights(model)]
    else:
        names = [model for model in models if not pretrained or list_weights(model)]
    return sorted(name for name in names if fnmatchcase(name, pattern))


def list_weights(model: str) -> list[str]:
    """Return the names of a model's weights, the default ones first, the others sorted.

    Raises UnknownNameError for an unknown model.
    """
    architecture = get_model(model).name
    names = sorted(w.name for w in _weights.values() if w.architecture == architecture)
    return sorted(names, key=lambda name: name != _defaults.get(architecture))


def get_weights(name: str) -> Weights:
    """Return the weights "architecture.tag", or the default ones of "architecture".

    Raises UnknownNameError, which lists the names that exist.
    """
    architecture, _, tag = name.partition(".")
    known = list_weights(architecture)
    wanted = _defaults.get(architecture, "") if tag in ("", "default") else name
    if wanted in _weights:
        return _weights[wanted]
    if not known:
        task = get_model(architecture).task
        others = sorted(w for w in _weights if get_model(w.partition(".")[0]).task == task)
        raise UnknownNameError(
            f"{architecture} has no weights; those of other models: {', '.join(others) or 'none'}."
            " create_model and torch.hub's pretrained=False start it at random."
        )
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


def _register_shipped_models() -> None:
    for package in _NETWORKS:
        importlib.import_module(package)

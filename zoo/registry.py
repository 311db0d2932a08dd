"""Models by name: register a builder, list the names, create a model.

A builder is a function of keyword-only options that returns a module. Its name is the model's name:

    @register_model(task="super-resolution")
    def srresnet_x2(*, width: int = 64, depth: int = 16) -> SRResNet: ...
"""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar, get_args

from zoo.errors import OptionError, UnknownNameError, ZooError, did_you_mean

if TYPE_CHECKING:
    from zoo.model import ZooModel
    from zoo.sources import Source
    from zoo.weights import Weights

Task = Literal["super-resolution", "segmentation"]
P = ParamSpec("P")
M = TypeVar("M", bound="ZooModel")

# Importing these packages registers the models that ship with zoo.
_MODEL_PACKAGES = ("zoo.sr", "zoo.seg")


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


_models: dict[str, Model] = {}


def register_model(*, task: Task) -> Callable[[Callable[P, M]], Callable[P, M]]:
    """Register a builder of keyword-only options under its own name.

    The model that it builds carries `config`, the architecture and all its options, which
    `save_model` writes. A name registered twice raises ValueError.
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
            # Where an encoder's start came from is no part of what the model is: weights of the
            # whole model replace it, and a path on this machine should not travel with them.
            start = {"encoder_weights": None} if "encoder_weights" in bound.arguments else {}
            model.config = {"architecture": name, "options": {**bound.arguments, **start}}
            return model

        _models[name] = Model(name, task, build)
        return build

    return register


def get_model(name: str) -> Model:
    """Return the model called `name`; an unknown name raises and suggests the nearest."""
    _register_shipped_models()
    if name not in _models:
        raise UnknownNameError(
            f"There is no model called {name!r}.{did_you_mean(name, _models)}"
            f" Known models: {', '.join(sorted(_models))}."
        )
    return _models[name]


def list_models(
    pattern: str = "*", *, task: Task | None = None, pretrained: bool = False
) -> list[str]:
    """Return the names that match a shell wildcard, sorted.

    `task` keeps the models of one task, `pretrained=True` those that have weights.
    """
    from zoo.weights import list_weights

    _register_shipped_models()
    if task is not None and task not in get_args(Task):
        raise UnknownNameError(
            f"There is no task called {task!r}; accepted are {', '.join(get_args(Task))}."
        )
    return sorted(
        model.name
        for model in _models.values()
        if fnmatchcase(model.name, pattern)
        and task in (None, model.task)
        and (not pretrained or list_weights(model.name))
    )


def create_model(
    name: str, *, weights: str | Path | Weights | None = None, **options: Any
) -> ZooModel:
    """Build the model `name` with the builder's `options`, in training mode like any new module.

    `name` is a model ("srresnet_x4") or a model with the tag of weights ("srresnet_x4.psnr").
    `weights` is None (a random start), a tag, "default", "hf-hub:org/repo@revision", an https URL
    or the path of a *.safetensors file. Weights fix the options that they were made with.

    Raises UnknownNameError for a name that is not registered, OptionError for an option that the
    model does not take or that its weights contradict, WeightsError for weights that cannot be had.
    """
    from zoo.sources import find_source  # needs this module

    architecture, dot, tag = name.partition(".")
    if dot and weights is not None:
        raise OptionError(f"{name!r} names its weights already: weights={weights!r} must go.")
    model = get_model(architecture)
    check_options(model, options)
    if dot and not tag:
        raise UnknownNameError(f"{name!r} names no weights: put a tag behind the dot, or no dot.")
    weights = tag or weights
    if weights is None:
        return _build(model, options)
    return build_with(find_source(architecture, weights), options)


def build_with(source: Source, options: dict[str, Any]) -> ZooModel:
    """Build the model of a source and load its weights."""
    from zoo.statedict import load_weights, read_weights
    from zoo.weights import list_weights

    model = get_model(source.architecture)
    options = source.options_with(options)
    check_options(model, options)
    module = _build(model, options)
    fitting = ", ".join(list_weights(model.name)) or "none registered"
    load_weights(
        module,
        read_weights(source.fetch()),
        label=source.label,
        hint=f"weights of {model.name} with its default options: {fitting}",
    )
    module.source = source.label
    return module


def _build(model: Model, options: dict[str, Any]) -> ZooModel:
    try:
        return model.build(**options)
    except ZooError:
        raise
    except (TypeError, ValueError, RuntimeError) as error:  # torch's words for a width of "8" or -1
        given = ", ".join(f"{option}={value!r}" for option, value in options.items())
        reason = " ".join(str(error).split())
        raise OptionError(f"{model.name} can't be built with {given}: {reason}.") from error


def check_options(model: Model, options: dict[str, Any]) -> None:
    """Raise OptionError for an option that the model's builder does not take."""
    for option in options:
        if option not in model.options:
            raise OptionError(
                f"{model.name} has no option {option!r}.{did_you_mean(option, model.options)}"
                f" Its options: {', '.join(model.options) or 'none'}."
            )


def _register_shipped_models() -> None:
    for package in _MODEL_PACKAGES:
        importlib.import_module(package)

"""Build and load models by name, from folders and from Hugging Face repositories."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Any, Literal, get_args

from zoo.bounded import no_larger_than
from zoo.errors import OptionError, ZooError, did_you_mean
from zoo.model import ZooModel
from zoo.registry import Model, Weights, get_model, list_weights
from zoo.sources import Name, Source, resolve
from zoo.store.state_dict import in_names_of, load_weights, read_weights

Head = Literal["kept", "new"]

_log = logging.getLogger("zoo")

# Option names of other libraries -> what to write here.
_SYNONYMS = {
    "pretrained": "weights='default'",
    "num_classes": "classes",
    "in_channels": "in_chans",
    "encoder_name": "encoder",
    "backbone": "encoder",
    "encoder_pretrained": "encoder_weights='default'",
}


def create_model(
    name: Name, *, weights: Name | Weights | None = None, head: Head = "kept", **options: Any
) -> ZooModel:
    """Build a model with the builder's `options`, in training mode like any new module.

    name: a model ("srresnet_x4"), a model with the tag of weights ("srresnet_x4.psnr"), a folder
        that `save_model` wrote, or "hf-hub:org/repo@revision".
    weights: None (random initialisation, unless `name` includes weights), a tag, "default", a
        folder, "hf-hub:org/repo@revision", an https URL or the path of a *.safetensors file.
        Weights fix the options that they were trained with.
    head: "kept" loads all weights. "new" initialises the last layer at random, so that `classes`
        may differ from that of the weights, and logs the name of the layer.

    Raises UnknownNameError for a name that is not registered, OptionError for an option that is
    unknown or contradicts the weights, WeightsError for weights that can't be fetched or loaded.
    """
    if head not in get_args(Head):
        raise OptionError(f"head={head!r} is none of {', '.join(get_args(Head))}.")
    architecture, source = resolve(name, weights)
    model = get_model(architecture)
    check_options(model, options)
    if source is not None:
        return _build_with(source, options, new_head=head == "new")
    if head == "new":
        raise OptionError(f"head='new' is for weights whose head is replaced; {name} has none.")
    return _build(model, options)


def load_model(name: Name) -> ZooModel:
    """Return a pretrained model in eval mode; it never has random weights.

    name: a folder that `save_model` wrote, "hf-hub:org/repo@revision", a model with the tag of
        weights ("srresnet_x4.psnr"), or a model ("srresnet_x4"), which gets its default weights.

    fp16 files load as fp32. Raises WeightsError for a folder that is incomplete, damaged or made
    for another model, UnknownNameError for a name that this version does not have.
    """
    architecture, source = resolve(name)
    if source is None:
        _, source = resolve(architecture, "default")
    assert source is not None  # resolve() finds "default" or raises
    return load_source(source)


def load_source(source: Source) -> ZooModel:
    """Return the model of a source in eval mode; raises what `load_model` does."""
    return _build_with(source, {}).eval()


def check_options(model: Model, options: Mapping[str, Any]) -> None:
    """Raise OptionError for an option that the model's builder does not take."""
    for option in options:
        if option in model.options:
            continue
        synonym = _SYNONYMS.get(option)
        hint = f" Here it is {synonym}." if synonym else did_you_mean(option, model.options)
        raise OptionError(
            f"{model.name} has no option {option!r}.{hint}"
            f" Its options: {', '.join(model.options) or 'none'}."
        )


def _build_with(source: Source, options: dict[str, Any], *, new_head: bool = False) -> ZooModel:
    """Build the model of a source and load its weights."""
    model = get_model(source.architecture)
    options = source.options_with(options, new_head=new_head)
    check_options(model, options)
    stored = read_weights(source.fetch())
    with no_larger_than(stored.values(), source.label):
        module = _build(model, options)
    state = in_names_of(module, stored)
    if new_head:
        if module.classifier is None:
            raise OptionError(f"{model.name} has no head that could be new.")
        prefix = f"{module.classifier}."
        fresh = {key: own for key, own in module.state_dict().items() if key.startswith(prefix)}
        state = {key: value for key, value in state.items() if not key.startswith(prefix)} | fresh
    fitting = ", ".join(list_weights(model.name)) or "none registered"
    load_weights(
        module,
        state,
        label=source.label,
        hint=f"weights of {model.name} with its default options: {fitting}",
    )
    module.image_size = source.image_size
    module.split = None if source.split is None else dict(source.split)
    if new_head:
        _log.warning("%s: loaded, but for %s, which is new.", source.label, module.classifier)
    else:
        module.source = source.label
    return module


def _build(model: Model, options: dict[str, Any]) -> ZooModel:
    try:
        module = model.build(**options)
        if not all(parameter.numel() for parameter in module.parameters()):
            raise ValueError("a layer would have no weights")
        if any(isinstance(value, float) and not math.isfinite(value) for value in options.values()):
            raise ValueError("numbers must be finite")
        return module
    except ZooError:
        raise
    except (TypeError, ValueError, RuntimeError) as error:  # raised for a width of "8" or -1
        given = ", ".join(f"{option}={value!r}" for option, value in options.items())
        reason = " ".join(str(error).split())
        raise OptionError(f"{model.name} can't be built with {given}: {reason}.") from error

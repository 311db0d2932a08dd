"""What an exported file says of itself: its input and output, and the origin of its weights."""

from __future__ import annotations

import json
from typing import Any, cast

from torch import nn

from zoo.errors import WeightsError
from zoo.model import ZooModel
from zoo.registry import Weights, get_weights, list_weights
from zoo.sources import find_source
from zoo.store.state_dict import fingerprint, read_weights


def facts(model: nn.Module) -> dict[str, str]:
    """Return the file's metadata: its input and output, and the origin of its weights."""
    config = cast(dict[str, Any], model.config)
    result = {
        "architecture": str(config["architecture"]),
        "options": json.dumps(config["options"]),
        **shapes(model),
    }
    source = str(getattr(model, "source", None))  # a local path stays private
    if source.startswith("hf-hub:"):
        result["weights"] = source
    elif source in list_weights(result["architecture"]):
        weights = get_weights(source)
        if holds(model, weights):
            result["weights"] = source
            result["weights_sha256"] = weights.sha256
            result["licence"] = weights.meta.license
    return result


def shapes(model: nn.Module) -> dict[str, str]:
    """Return what a model takes and gives, in words: its `input` and `output`."""
    channels, scale = getattr(model, "in_chans", 3), getattr(model, "scale", None)
    colours = "RGB in [0, 1]"
    return {
        "input": f"image: float32 [batch, {channels}, height, width], "
        + (colours if channels == 3 else "in [0, 1]"),
        "output": "result: logits [batch, classes, height, width]"
        if scale is None
        else f"result: [batch, 3, {scale}·height, {scale}·width], {colours}, not clamped",
    }


def origin(model: ZooModel) -> Weights | None:
    """Return the registered weights whose tensors a model holds, whatever file they came from.

    None for all others. Weights that are not part of the package are compared only where the
    model was loaded from them, so that nothing is downloaded.
    """
    source = model.source
    known = map(get_weights, list_weights(model.config["architecture"]))
    near = [weights for weights in known if weights.file or weights.name == source]
    near.sort(key=lambda weights: weights.name != source)
    return next((weights for weights in near if holds(model, weights)), None)


def holds(model: nn.Module, weights: Weights) -> bool:
    """Return whether a model's tensors are those of a registered file; False without the file."""
    try:
        file = find_source(weights.architecture, weights).fetch()
        return fingerprint(read_weights(file)) == fingerprint(model.state_dict())
    except WeightsError:
        return False

"""What an exported file says of itself: input and output, how to run it, the origin of its weights.

`facts` is what the exporters write, `read_facts` what a file's reader believes of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple, cast

from torch import nn

from zoo.errors import WeightsError
from zoo.graph import Sides
from zoo.model import ZooModel
from zoo.registry import Weights, get_weights, list_weights
from zoo.sources import find_source
from zoo.store.state_dict import fingerprint, read_weights

# Numbers that a reader needs, with the bounds within which it believes them.
_NUMBERS = {
    "channels": (1, 1024),
    "scale": (1, 16),
    "halo": (0, 10_000),
    "peak_floats": (1, 10_000_000),
    "classes": (1, 65_536),
    "image_size": (1, 16_384),
}
_RANGE = "[0, 1]"


def facts(model: nn.Module) -> dict[str, str]:
    """Return the file's metadata: its input and output, and the origin of its weights."""
    config = cast(dict[str, Any], model.config)
    channels, scale = getattr(model, "in_chans", 3), getattr(model, "scale", None)
    numbers = {name: getattr(model, name, None) for name in _NUMBERS} | {"channels": channels}
    result = {
        "architecture": str(config["architecture"]),
        "options": json.dumps(config["options"]),
        "task": "segmentation" if scale is None else "super-resolution",
        "range": _RANGE,
        **shapes(model),
        **{name: str(number) for name, number in numbers.items() if number is not None},
        "tensors_sha256": fingerprint(model.state_dict()),
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


class Told(NamedTuple):
    """What a file says of how to run it; see `zoo.InputSpec`, `Upscaler` and `Segmenter`.

    scale: None for segmentation. The other numbers are None where the model does not tell them.
    """

    channels: int
    scale: int | None
    halo: int | None
    peak_floats: int | None
    classes: int | None
    image_size: int | None
    heights: Sides
    widths: Sides


def read_facts(metadata: Mapping[str, str]) -> Told:
    """Return what the metadata of a file say; raise ValueError, with a reason, if they can't be so.

    Anybody can write metadata: only whole numbers within sensible bounds are believed.
    """
    task = metadata.get("task")
    if task not in ("super-resolution", "segmentation"):
        raise ValueError("it has none of zoo's metadata")
    if metadata.get("range") != _RANGE:
        raise ValueError(f"its range is not {_RANGE}")
    numbers = {name: _number(metadata, name) for name in _NUMBERS}
    if numbers["channels"] is None:
        raise ValueError("its metadata name no channels")
    if (numbers["scale"] is None) != (task == "segmentation"):
        raise ValueError("its scale does not go with its task")
    heights, widths = (Sides.parse(metadata.get(axis, "")) for axis in ("heights", "widths"))
    return Told(**cast(dict[str, Any], numbers), heights=heights, widths=widths)


def _number(metadata: Mapping[str, str], name: str) -> int | None:
    text = metadata.get(name)
    if text is None:
        return None
    least, most = _NUMBERS[name]
    if not re.fullmatch(r"[0-9]{1,9}", text) or not least <= int(text) <= most:
        raise ValueError(f"its {name} is no whole number from {least} to {most}")
    return int(text)

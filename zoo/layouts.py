"""The names and shapes of other libraries' networks, and what they are called here."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Layout:
    """A network of another library that one of ours can be.

    title: what messages call it.
    architecture, fixed: ours, and the builder's options that never vary.
    read: takes the shapes of a state dict; returns the other options. For the shapes of another
        network it may raise LookupError, ValueError or ArithmeticError.
    theirs: takes the name of an entry of ours; returns what it is called there, None if it is a
        buffer that they don't save.
    untold: the option of `zoo.convert.convert` for what a state dict does not tell.
    """

    title: str
    architecture: str
    read: Callable[[Shapes], dict[str, Any]]
    theirs: Callable[[str], str | None]
    fixed: Mapping[str, Any] = field(default_factory=dict)
    untold: str | None = None


def _count(shapes: Shapes, pattern: str) -> int:
    """How many names match a pattern."""
    return sum(re.fullmatch(pattern, name) is not None for name in shapes)


def _trunk(shapes: Shapes) -> dict[str, Any]:
    """Width and depth of BasicSR's residual networks."""
    depth = _count(shapes, r"body\.\d+\.conv1\.weight")
    return {"width": shapes["conv_first.weight"][0], "depth": depth}


def _shuffle(shapes: Shapes, convolution: str, width: int) -> int:
    """The factor by which a convolution's shuffle enlarges."""
    return math.isqrt(shapes[f"{convolution}.weight"][0] // width)


def _read_msrresnet(shapes: Shapes) -> dict[str, Any]:
    trunk = _trunk(shapes)
    twice = "upconv2.weight" in shapes
    return {"scale": 4 if twice else _shuffle(shapes, "upconv1", trunk["width"]), **trunk}


def _read_edsr(shapes: Shapes) -> dict[str, Any]:
    trunk = _trunk(shapes)
    steps = range(0, 2 * _count(shapes, r"upsample\.\d+\.weight"), 2)  # shuffles lie between
    factors = (_shuffle(shapes, f"upsample.{step}", trunk["width"]) for step in steps)
    return {"scale": math.prod(factors), **trunk}


def _edsr_name(name: str) -> str | None:
    part, _, rest = name.partition(".")
    if part == "upsampler":
        step, _, entry = rest.split(".")
        return f"upsample.{2 * int(step)}.{entry}"
    names = {"head": "conv_first", "fuse": "conv_after_body", "tail": "conv_last", "body": "body"}
    return f"{names[part]}.{rest}" if part in names else None


# Blocks of each stage -> the ResNet of two convolutions a block, and that of three.
_RESNETS: dict[tuple[int, ...], tuple[str, str]] = {
    (2, 2, 2, 2): ("resnet18", "resnet26"),
    (3, 4, 6, 3): ("resnet34", "resnet50"),
    (3, 4, 23, 3): ("resnet101", "resnet101"),
    (3, 8, 36, 3): ("resnet152", "resnet152"),
}


def _read_unet(shapes: Shapes) -> dict[str, Any]:
    stages = [_count(shapes, rf"encoder\.layer{i}\.\d+\.conv1\.weight") for i in range(1, 5)]
    blocks = range(_count(shapes, r"decoder\.blocks\.\d+\.conv1\.0\.weight"))
    return {
        "encoder": _RESNETS[tuple(stages)]["encoder.layer1.0.conv3.weight" in shapes],
        "decoder_channels": [shapes[f"decoder.blocks.{i}.conv1.0.weight"][0] for i in blocks],
        "classes": shapes["segmentation_head.0.weight"][0],
        "in_chans": shapes["encoder.conv1.weight"][1],
    }


def _unet_name(name: str) -> str | None:
    if name.startswith("decoder.head."):
        return name.replace("decoder.head.", "segmentation_head.0.")
    if name.startswith("encoder.trunk."):
        return name.replace("encoder.trunk.", "encoder.")
    found = re.fullmatch(r"(decoder\.blocks\.\d+)\.mix\.(\d)\.(\w+)", name)
    if found is None:
        return None
    # Convolution, batch norm and ReLU, twice.
    second, layer = divmod(int(found[2]), 3)
    return f"{found[1]}.conv{second + 1}.{layer}.{found[3]}"


LAYOUTS = (
    Layout("BasicSR's MSRResNet", "msrresnet", _read_msrresnet, lambda name: name),
    Layout("BasicSR's EDSR", "edsr", _read_edsr, _edsr_name, untold="res_scale"),
    Layout(
        "a Unet of segmentation_models.pytorch on a ResNet",
        "dynamic_unet",
        _read_unet,
        _unet_name,
        fixed={"upsampler": "plain"},
        untold="normalise",
    ),
)

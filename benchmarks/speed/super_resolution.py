"""Enlarging beside networks of the same shape: 16 blocks of 64 channels, or as many convolutions.

Peers start at random: weights do not change the time. They run at their defaults, and once more
with channels_last and bf16 set by hand. Their time is that of the network alone, on a float tensor;
ours is given for that, and with all that is before and after, from uint8 pixels to uint8 pixels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import skimage.data
import torch
from common import cost
from numpy.typing import NDArray
from torch import nn

from speed.peers import EDSR, SMALL
from speed.timing import Work, beside, in_turns, plain, tuned
from zoo.create import load_model
from zoo.inference.device import pick_device, pick_precision
from zoo.inference.upscaler import Upscaler
from zoo.pictures.picture import to_tensor
from zoo.registry import list_models

SIZES = ((128, 128), (320, 480), (1080, 1920))  # rows, columns
PHOTOGRAPH = (3000, 4000)  # of 12 megapixels
BIG = 10**6  # pixels, from which two turns and one peer must do: they all have one shape

Pixels = NDArray[np.uint8]


def measure(peak: float, sizes: tuple[tuple[int, int], ...] = SIZES) -> list[dict[str, Any]]:
    """Rows of `speed.timing` for each scale and size of the input."""
    rows = []
    for scale in (2, 4):
        name = f"srresnet_x{scale}"
        model = load_model(name)
        peers = {peer: build(scale).eval() for peer, build in EDSR.items()}
        for height, width in sizes:
            pixels = photograph(height, width)
            x = to_tensor(pixels)[None]
            works = {
                "zoo.upscale": upscaling(name, pixels),
                "model(x)": tuned(model, x, pick_precision("auto", pick_device("cpu"))),
            }
            few = list(peers.items())[: 1 if height * width > BIG else None]
            for peer, net in few:
                works[f"{peer}, defaults"] = plain(net, x)
                works[f"{peer}, tuned by hand"] = tuned(net, x, torch.bfloat16)
            rows += beside(
                f"×{scale}, {width}×{height}",
                ["zoo.upscale", "model(x)"],
                in_turns(works, repeats=repeats(pixels)),
                multiply_adds=cost(model, height, width, label="here")["multiply_adds_here"],
                peak=peak,
            )
    return rows


def measure_fast(size: tuple[int, int] = PHOTOGRAPH) -> list[dict[str, Any]]:
    """The fast weights beside the default ones and beside a peer's small network."""
    rows = []
    for name in list_models("*.fast"):
        scale = int(load_model(name).scale)  # type: ignore[arg-type]
        pixels = photograph(*size)
        works = {
            f"srresnet_x{scale}.{tag}": upscaling(f"srresnet_x{scale}.{tag}", pixels)
            for tag in ("fast", "psnr")
        }
        for peer, build in SMALL.items():
            for way, precision in (("defaults", "fp32"), ("tuned by hand", "bf16")):
                net = in_tiles(build(scale).eval(), scale)
                works[f"{peer}, {way}"] = upscaling(net, pixels, precision)
        seconds = in_turns(works, repeats=repeats(pixels))
        rows += beside(f"×{scale}, {size[1]}×{size[0]}", [name], seconds)
    return rows


def repeats(pixels: Pixels) -> int:
    return 2 if pixels.shape[0] * pixels.shape[1] > BIG else 5


def photograph(height: int, width: int) -> Pixels:
    """A part of a tiled photograph, uint8 `[height, width, 3]`."""
    coffee = skimage.data.coffee()
    times = (-(-height // coffee.shape[0]), -(-width // coffee.shape[1]), 1)
    return np.tile(coffee, times)[:height, :width]


def upscaling(model: str | nn.Module, pixels: Pixels, precision: str = "auto") -> Work:
    upscaler = Upscaler(model, precision=precision)
    return lambda: upscaler.array(pixels)


def in_tiles(net: nn.Module, scale: int) -> nn.Module:
    """A peer with what our tiles need to know: the whole picture would not fit into memory."""
    net.scale, net.halo, net.peak_floats = scale, 32, 3 * 16 * scale**2  # type: ignore[assignment]
    return net

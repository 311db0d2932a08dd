"""Segmenting beside U-Nets of other packages on the same encoders, at random weights."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from common import cost
from torch import nn

from speed.peers import fastai_unet, smp_unet
from speed.super_resolution import photograph
from speed.timing import Work, beside, in_turns, plain, tuned
from zoo.create import create_model
from zoo.inference.device import pick_device, pick_precision
from zoo.inference.segmenter import Segmenter

LITE0 = "tf_efficientnet_lite0"
SIZES = ((1, 512, 512), (8, 512, 512), (1, 1280, 1920))  # batch, rows, columns

# Our network beside those of other packages.
PAIRS = {
    "dynamic_unet, resnet34": (
        partial(create_model, "dynamic_unet", encoder="resnet34", encoder_weights=None),
        {
            "SMP Unet, resnet34": partial(smp_unet, "resnet34"),
            "fastai DynamicUnet, resnet34": partial(fastai_unet, "resnet34"),
        },
    ),
    "dynamic_unet, lite0": (
        partial(create_model, "dynamic_unet", encoder=LITE0, encoder_weights=None),
        {"SMP Unet, lite0": partial(smp_unet, f"timm-{LITE0}")},
    ),
    "unet34": (
        partial(create_model, "unet34"),
        {
            "SMP Unet, resnet34": partial(smp_unet, "resnet34"),
            "fastai DynamicUnet, resnet34": partial(fastai_unet, "resnet34"),
        },
    ),
}


def measure(peak: float, sizes: tuple[tuple[int, int, int], ...] = SIZES) -> list[dict[str, Any]]:
    """Rows of `speed.timing` for each network and size of the input."""
    ours_dtype = pick_precision("auto", pick_device("cpu"))
    rows = []
    for ours, (build, others) in PAIRS.items():
        model = build().eval()
        peers = {name: build_peer().eval() for name, build_peer in others.items()}
        for batch, height, width in sizes:
            x = torch.rand(batch, 3, height, width)
            works = {ours: tuned(model, x, ours_dtype)}
            if batch == 1 and height == width:
                works |= {f"zoo.segment, {ours}": segmenting(model, height, width)}
            names = list(works)
            for name, net in peers.items():
                works[f"{name}, defaults"] = plain(net, x)
                works[f"{name}, tuned by hand"] = tuned(net, x, torch.bfloat16)
            rows += beside(
                f"{batch} of {width}×{height}",
                names,
                in_turns(works, repeats=5 if x.numel() < 10**6 else 2),
                multiply_adds=batch
                * cost(model, height, width, label="here")["multiply_adds_here"],
                peak=peak,
            )
    return rows


def segmenting(model: nn.Module, height: int, width: int) -> Work:
    segmenter, pixels = Segmenter(model, size=height), photograph(height, width)
    return lambda: segmenter.array(pixels)

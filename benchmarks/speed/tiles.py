"""How many pixels tiles make a network compute, beside those of the picture. No time is in it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from speed.super_resolution import PHOTOGRAPH
from zoo.create import load_model
from zoo.inference.device import memory_budget, pick_device
from zoo.inference.enlarging import has_two_steps
from zoo.inference.tile_sizes import sides
from zoo.inference.tiling import grown, run_tiled

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}


def measure(size: tuple[int, int] = PHOTOGRAPH) -> list[dict[str, Any]]:
    """For each scale and precision: the side of the tiles, and the pixels computed for one needed.

    Nothing is computed: the tiles of `zoo.upscale` are cut and counted.
    """
    height, width = size
    rows = []
    for name in ("srresnet_x2", "srresnet_x4"):
        model = load_model(name)
        for precision, dtype in PRECISIONS.items():
            tile, piece = sides(
                model,
                height,
                width,
                tile="auto",
                two_steps=has_two_steps(model),
                dtype=dtype,
                budget=memory_budget(pick_device("cpu")),
            )
            blocks, upsampler = counted(
                height, width, tile, piece, int(model.halo), int(model.enlarge_halo)
            )
            rows.append(
                {
                    "case": f"{name}, {width}×{height}, {precision}",
                    "side_of_a_tile": tile,
                    "pixels_through_the_blocks": blocks / (height * width),
                    "pixels_through_the_upsampler": upsampler / (height * width),
                }
            )
    return rows


def counted(
    height: int, width: int, tile: int, piece: int, halo: int, enlarge_halo: int
) -> tuple[int, int]:
    """The input pixels of all tiles, and of all pieces of their second step."""
    blocks = upsampler = 0

    def begin(pixels: Tensor) -> Tensor:
        nonlocal blocks
        blocks += pixels.shape[1] * pixels.shape[2]
        return pixels

    def finish(begun: Tensor, rows: slice, columns: slice) -> Tensor:
        nonlocal upsampler
        read = [
            grown(part, enlarge_halo, size)
            for part, size in ((rows, begun.shape[1]), (columns, begun.shape[2]))
        ]
        upsampler += (read[0].stop - read[0].start) * (read[1].stop - read[1].start)
        return begun

    run_tiled(
        begin,
        finish,
        lambda rows, columns: torch.empty(1).expand(
            3, rows.stop - rows.start, columns.stop - columns.start
        ),
        lambda rows, columns, output: None,
        height=height,
        width=width,
        tile=tile,
        piece=piece,
        halo=halo,
    )
    return blocks, upsampler

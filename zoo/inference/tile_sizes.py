"""How large the tiles of a picture are, and whether they fit into a bound of memory."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import nn

from zoo.errors import InputError
from zoo.inference.device import PROCESS, megabytes
from zoo.inference.tiling import SMALLEST, tile_for

_PIECE = 4  # share of the memory budget for the second step of networks that have two


def sides(
    model: nn.Module,
    height: int,
    width: int,
    *,
    tile: int | str | None,
    two_steps: bool,
    dtype: torch.dtype,
    budget: int,
) -> tuple[int, int]:
    """Return the side of the tiles, and of the pieces in which the second step enlarges them.

    tile: as that of `Upscaler`.
    two_steps: whether the network runs in two, see `zoo.inference.enlarging.TwoSteps`.
    budget: bytes for the activations of a tile.
    """
    side = max(height, width) if tile is None else tile
    network = cast(Any, model)
    if side == "auto":
        cost = _tile_cost(model, dtype, two_steps=two_steps)
        side = tile_for(height, width, halo=network.halo, bytes_per_pixel=cost, budget=budget)
    if not two_steps:
        return int(side), int(side)
    piece = tile_for(
        height,
        width,
        halo=network.enlarge_halo,
        bytes_per_pixel=network.peak_floats * dtype.itemsize,
        budget=budget // _PIECE,
    )
    return int(side), min(int(side), piece)


def check_memory(
    memory: int,
    model: nn.Module,
    *,
    tile: int | str | None,
    two_steps: bool,
    dtype: torch.dtype,
) -> None:
    """Raise InputError if tiles of the wanted side, or the smallest ones, do not fit.

    memory: bytes of the process, of which tiles get half of what Python leaves.
    """
    if tile is None:
        raise InputError("A picture at once (tile=None, --tile whole) can't be bound in memory.")
    side = SMALLEST if tile == "auto" else int(tile)
    cost = _tile_cost(model, dtype, two_steps=two_steps)
    needed = (side + 2 * cast(Any, model).halo) ** 2 * cost
    if memory < PROCESS + 2 * needed:
        raise InputError(
            f"A memory of {megabytes(memory)} (--memory) is too small for tiles of {side} pixels:"
            f" it takes {megabytes(PROCESS + 2 * needed)}, and more is faster."
        )


def _tile_cost(model: nn.Module, dtype: torch.dtype, *, two_steps: bool) -> int:
    """Bytes alive per input pixel of a tile."""
    network = cast(Any, model)
    return int(network.trunk_floats if two_steps else network.peak_floats) * dtype.itemsize

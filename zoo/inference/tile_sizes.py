"""How large the tiles of a picture are, and whether they fit into a bound of memory."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import nn

from zoo.errors import InputError
from zoo.graph import Sides
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

    Raises InputError for a file whose size leaves no room for tiles.
    """
    side = max(height, width) if tile is None else tile
    network = cast(Any, model)
    if side == "auto":
        cost = _tile_cost(model, dtype, two_steps=two_steps)
        side = tile_for(height, width, halo=network.halo, bytes_per_pixel=cost, budget=budget)
    if tile is not None:
        side = min(int(side), largest_tile(model, height, width))
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


def largest_tile(model: nn.Module, height: int, width: int) -> int:
    """Return the side of the largest tile that, with its halo, a model takes.

    A model whose sizes have bounds tells its `heights` and `widths`; a picture within them needs no
    tiles. Raises InputError if the bounds leave no room for any.
    """
    largest = max(height, width)
    for axis, size in (("heights", height), ("widths", width)):
        bound: Sides | None = getattr(model, axis, None)
        if bound is None or bound.most is None or size <= bound.most:
            continue
        halo = int(cast(Any, model).halo)
        if bound.most <= 2 * halo:
            raise InputError(
                f"A picture of {width} × {height} pixels needs tiles with {halo} pixels around"
                f" them, and this file takes {axis} {bound}: export the model without such bounds."
            )
        largest = min(largest, bound.most - 2 * halo)
    return largest


def least_sides(model: nn.Module) -> tuple[int, int]:
    """Return the height and the width from which a model takes images; 1 if it does not tell."""
    heights, widths = (getattr(model, axis, Sides(1, None)) for axis in ("heights", "widths"))
    return heights.least, widths.least


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
    height, width = (max(side + 2 * cast(Any, model).halo, least) for least in least_sides(model))
    needed = height * width * cost
    if memory < PROCESS + 2 * needed:
        raise InputError(
            f"A memory of {megabytes(memory)} (--memory) is too small for tiles of {side} pixels:"
            f" it takes {megabytes(PROCESS + 2 * needed)}, and more is faster."
        )


def _tile_cost(model: nn.Module, dtype: torch.dtype, *, two_steps: bool) -> int:
    """Bytes alive per input pixel of a tile."""
    network = cast(Any, model)
    return int(network.trunk_floats if two_steps else network.peak_floats) * dtype.itemsize

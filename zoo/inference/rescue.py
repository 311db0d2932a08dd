"""What to do when half precision overflows or memory runs out: fp32, smaller tiles, a sentence."""

from __future__ import annotations

import logging

import torch
from torch import Tensor

from zoo.errors import InputError
from zoo.inference.tiling import SMALLEST

_log = logging.getLogger("zoo")


class NotFiniteError(ArithmeticError):
    """A network returned values that are no numbers."""


def finite(result: Tensor) -> Tensor:
    """Return a network's result; raise NotFiniteError if it holds infinities or NaN."""
    if not bool(result.isfinite().all()):
        raise NotFiniteError
    return result


def wider(dtype: torch.dtype, *, can_change: bool) -> torch.dtype:
    """Return the dtype to compute in after a NotFiniteError, which is fp32, and log a warning.

    dtype: that of the computation which failed.
    can_change: whether the network computes in others at all.

    Raises InputError if there is none to turn to.
    """
    name = str(dtype).removeprefix("torch.")
    if dtype == torch.float32 or not can_change:
        raise InputError(f"The model's results in {name} are no numbers: its weights are damaged?")
    _log.warning("The model's results in %s are no numbers: it goes on in float32, slower.", name)
    return torch.float32


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether an error of torch tells that a device's memory does not suffice."""
    if isinstance(error, torch.OutOfMemoryError):
        return True
    text = str(error)  # MPS and the CPU have no class of their own
    return "out of memory" in text or "can't allocate memory" in text


def smaller(tile: int, error: RuntimeError, device: torch.device, *, can_tile: bool) -> int:
    """Return half the side of tiles that took too much memory, and log a warning.

    tile: side of the tiles of which one failed, in input pixels.
    can_tile: whether the model tells its `halo`.

    Raises the error itself if it tells of something else, InputError if no smaller tile exists.
    """
    if not is_out_of_memory(error):
        raise error
    if not can_tile or tile <= SMALLEST:
        what = f"tiles of {tile} pixels" if can_tile else "the picture at once"
        raise InputError(f"The memory of {device} does not suffice for {what}.") from error
    half = max(tile // 2, SMALLEST)
    _log.warning("Tiles of %d pixels exceed the memory of %s: now %d.", tile, device, half)
    if device.type == "cuda":
        torch.cuda.empty_cache()
    return half

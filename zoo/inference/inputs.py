"""Checks of the arrays and tensors that users pass as images."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from zoo.errors import InputError
from zoo.pictures.picture import Array


def check_array(array: Array) -> int:
    """Return the number of channels of an image; raise InputError for any other array.

    array: `[H, W]` (grey) or `[H, W, 1 | 3 | 4]` (grey, RGB, RGBA), uint8 or uint16.
    """
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.ndim not in (2, 3) or channels not in (1, 3, 4) or array.dtype not in ("u1", "u2"):
        raise InputError(
            f"An array must be [H, W] or [H, W, 1 | 3 | 4] of uint8 or uint16 (0 = black, "
            f"full range = white), not {list(array.shape)} of {array.dtype}."
        )
    return channels


def check_tensor(tensor: Tensor) -> None:
    """Raise InputError unless a tensor is an image or a batch of images.

    tensor: `[C, H, W]` or `[N, C, H, W]`, C = 1 or 3, finite floats in [0, 1]. Overshoots, as
        resampling makes them at edges, pass: [-0.5, 1.5], and a tenth of an image below -0.15.
    """
    if tensor.ndim not in (3, 4) or tensor.shape[-3] not in (1, 3) or 0 in tensor.shape:
        raise InputError(
            f"A tensor must be [C, H, W] or [N, C, H, W] with 1 or 3 channels and at least one "
            f"pixel, not {list(tensor.shape)}."
        )
    if not tensor.is_floating_point():
        raise InputError(
            f"A tensor must be of floats in [0, 1], not {tensor.dtype}; divide it by its greatest "
            "value, 255 for 8 bits."
        )
    low, high = (float(bound) for bound in tensor.detach().aminmax())
    if not np.isfinite(low + high):
        raise InputError("The tensor holds NaN or infinity; accepted are values in [0, 1].")
    if low < 0:
        below = float((tensor < -0.15).flatten(-3).float().mean(-1).max())
        if low < -0.5 or below > 0.1:
            raise InputError(
                f"The tensor's values lie in [{low:.3g}, {high:.3g}] and should lie in [0, 1]:"
                " x / 2 + 0.5 makes that of values in [-1, 1]."
            )
    if high > 1.5:
        raise InputError(
            f"The tensor's values lie in [{low:.3g}, {high:.3g}] and should lie in [0, 1]; divide"
            " values of 0..255 by 255."
        )

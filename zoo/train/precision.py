"""The precision that training computes in."""

from __future__ import annotations

from typing import Literal

import torch

from zoo.inference.device import pick_precision

Precision = Literal["auto", "fp32", "bf16"]


def autocast_for(precision: Precision, device: torch.device) -> torch.autocast:
    """Return autocast to bf16, switched off where training computes in fp32.

    "auto" is bf16 where the hardware multiplies it. Elsewhere it would be emulated, which takes
    far longer than fp32. fp16 is never used: gradients get lost in it.
    """
    half = pick_precision(precision, device) is torch.bfloat16
    return torch.autocast(device.type, torch.bfloat16, enabled=half)

"""Pixel losses by name. All take prediction and target `[N, C, H, W]` and return a scalar."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

Loss = Callable[[Tensor, Tensor], Tensor]


def charbonnier(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean of sqrt(error² + ε²), ε = 0.001: L1 that is smooth at 0 (LapSRN, arXiv:1704.03915)."""
    return torch.sqrt((prediction - target) ** 2 + 1e-6).mean()


PIXEL_LOSSES: dict[str, Loss] = {
    "l1": F.l1_loss,
    "mse": F.mse_loss,
    "charbonnier": charbonnier,
}

"""How far apart two images look: distances between features of networks that no loss has used.

After LPIPS (Zhang et al., "The unreasonable effectiveness of deep features as a perceptual metric",
arXiv:1801.03924), without its learned weights per channel.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from zoo.images import to_tensor
from zoo.sr.feature_loss import cut_behind
from zoo.sr.srresnet import IMAGENET_MEAN, IMAGENET_STD


class FeatureDistance(nn.Module):
    """Squared distance of feature vectors of length 1, mean over places, then over layers.

    Args:
        net, layers: see `zoo.sr.feature_loss.cut_behind`.
        mean, std: of RGB in [0, 1], with which the network's input is normalised.

    Shape: two images `[N, 3, H, W]` float in [0, 1], of 32 pixels a side or more → `[N]`, 0 for
    equal images and at most 4.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        net: nn.Module,
        layers: Sequence[str],
        *,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
    ) -> None:
        super().__init__()
        self.net = cut_behind(net, layers)
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1))
        self.eval()

    @torch.no_grad()
    def forward(self, image: Tensor, reference: Tensor) -> Tensor:
        maps, others = (self.net((x - self.mean) / self.std) for x in (image, reference))
        distances = [
            (F.normalize(maps[name], dim=1) - F.normalize(others[name], dim=1))
            .square()
            .sum(dim=1)
            .mean(dim=(1, 2))
            for name in maps
        ]
        return torch.stack(distances).mean(dim=0)

    def between(self, image: NDArray[Any], reference: NDArray[Any]) -> float:
        """The distance of two uint8 images `[H, W, 3]`."""
        return float(self(to_tensor(image)[None], to_tensor(reference)[None]))

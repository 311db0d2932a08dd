"""Perceptual distance of two images: the distance of their features in a trained network.

After LPIPS (Zhang et al., "The unreasonable effectiveness of deep features as a perceptual metric",
arXiv:1801.03924), without its learned weights per channel.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from zoo.pictures.picture import to_tensor


class FeatureDistance:
    """Squared distance of feature vectors scaled to length 1; mean over positions, then maps.

    Args:
        features: from images `[N, 3, H, W]`, float in [0, 1], to maps `[N, C, h, w]`, such as
            `zoo.sr.losses.feature_maps.FeatureMaps` or an encoder.
    """

    def __init__(self, features: Callable[[Tensor], Sequence[Tensor] | dict[str, Tensor]]) -> None:
        self.features = features

    @torch.no_grad()
    def __call__(self, images: Tensor, references: Tensor) -> Tensor:
        """Distances `[N]` in [0, 4], 0 for equal images, of two batches of the same shape."""
        distances = [
            (F.normalize(a, dim=1) - F.normalize(b, dim=1)).square().sum(dim=1).mean(dim=(1, 2))
            for a, b in zip(self._maps(images), self._maps(references), strict=True)
        ]
        return torch.stack(distances).mean(dim=0)

    def between(self, image: NDArray[Any], reference: NDArray[Any]) -> float:
        """The distance of two uint8 images `[H, W, 3]`."""
        return float(self(to_tensor(image)[None], to_tensor(reference)[None]))

    def _maps(self, images: Tensor) -> Sequence[Tensor]:
        maps = self.features(images)
        return list(maps.values()) if isinstance(maps, dict) else maps

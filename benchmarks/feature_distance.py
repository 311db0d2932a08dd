"""Perceptual distance of two images: the distance of their features in a trained network.

After LPIPS (Zhang et al., "The unreasonable effectiveness of deep features as a perceptual metric",
arXiv:1801.03924), without its learned weights per channel.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from zoo.pictures.picture import to_tensor
from zoo.seg.encoders.encoder import make_encoder
from zoo.sr.losses.feature_maps import FeatureMaps
from zoo.sr.losses.feature_nets import resnet50_to_layer2
from zoo.sr.measure.evaluate import Distance


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


def networks(resnet50: str, lite0: str) -> dict[str, Distance]:
    """Functions by name that measure the distance of two uint8 images `[H, W, 3]`."""
    layers = FeatureMaps(resnet50_to_layer2(resnet50), ["relu", "layer1", "layer2"])
    encoder = make_encoder("tf_efficientnet_lite0", weights=lite0).eval()
    distances: dict[str, Distance] = {
        "distance_resnet50": FeatureDistance(layers).between,
        "distance_lite0": FeatureDistance(lambda x: encoder(pad(x))[:3]).between,
    }
    lpips = lpips_distance()
    return {**distances, "lpips_alex": lpips} if lpips else distances


def pad(x: torch.Tensor, multiple: int = 32) -> torch.Tensor:
    """Images padded by replication at the bottom and right to a multiple, as encoders need."""
    bottom, right = (-length % multiple for length in x.shape[2:])
    return torch.nn.functional.pad(x, (0, right, 0, bottom), mode="replicate")


def lpips_distance() -> Distance | None:
    """LPIPS with AlexNet, or None if its package or its network can't be had."""
    try:
        import lpips

        net = lpips.LPIPS(net="alex", verbose=False).eval()
    except (ImportError, OSError):
        return None

    @torch.no_grad()
    def distance(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
        return float(net(to_tensor(a)[None], to_tensor(b)[None], normalize=True))

    return distance

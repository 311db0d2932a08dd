"""Training patches that are degraded anew each time they are drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zoo.sr.data.pairs import Pair, PairedPatches

# (image [H, W, 3] uint8, scale, generator) -> degraded image [H / scale, W / scale, 3] uint8
RandomDegradation = Callable[[NDArray[np.uint8], int, np.random.Generator], NDArray[np.uint8]]


class DegradedPatches(PairedPatches):
    """Random patches of photographs; `degrade` makes the input of each from the photograph.

    Args:
        pairs, scale, device: see `PairedPatches`; candidates are compared by the pairs' inputs.
        degrade: draws from the generator alone, so that the batch's generator determines all.

    Raises:
        DataError: `pairs` is empty.
    """

    margin = 8  # what lies at a patch's border is degraded with its neighbours

    def __init__(
        self,
        pairs: Sequence[Pair],
        *,
        scale: int,
        degrade: RandomDegradation,
        device: torch.device | str = "cpu",
    ) -> None:
        super().__init__(pairs, scale=scale, device=device)
        self.degrade = degrade

    def batch(
        self, size: int, patch: int, generator: torch.Generator, *, candidates: int = 1
    ) -> tuple[Tensor, Tensor]:
        """As `PairedPatches.batch`, but with fresh inputs.

        A patch lies anywhere in the larger one that is degraded, so that the blocks of a JPEG begin
        at any of its pixels.
        """
        _, targets = super().batch(size, patch + 2 * self.margin, generator, candidates=candidates)
        draw = {"generator": generator, "device": generator.device}
        seeds = torch.randint(2**62, (size,), **draw).tolist()  # type: ignore[call-overload]
        corners = torch.randint(2 * self.margin + 1, (size, 2), **draw).tolist()  # type: ignore[call-overload]
        images = (255 * targets[:, :3]).round().byte().permute(0, 2, 3, 1).cpu().numpy()
        with ThreadPoolExecutor() as pool:  # the codecs run without Python's lock
            inputs = list(pool.map(self._degraded, images, seeds))
        crops = [
            (
                torch.from_numpy(small)[top : top + patch, left : left + patch].permute(2, 0, 1),
                target[:, top * self.scale :, left * self.scale :][
                    :, : patch * self.scale, : patch * self.scale
                ],
            )
            for small, target, (top, left) in zip(inputs, targets, corners, strict=True)
        ]
        small, large = (torch.stack(parts) for parts in zip(*crops, strict=True))
        return small.to(targets.device).float() / 255, large

    def _degraded(self, image: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
        return np.array(self.degrade(image, self.scale, np.random.default_rng(seed)))

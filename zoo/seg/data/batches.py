"""Images and masks of one square size in memory or on the GPU, from which batches are cut.

pairs = list_pairs(folder)
split = lesson_split(pairs)
copies = resized_copies(folder, pairs, 128)
train = MaskedImages(*copies, rows=split.train, device="cuda")
images, masks = train.batch(64, generator, augmentation=Augmentation())
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zoo.errors import DataError
from zoo.seg.data.augment import Augmentation


class MaskedImages:
    """Images with their masks, kept decoded as uint8.

    On a GPU with room to spare they lie in its memory, and a batch is a gather and one sampling
    there. Else they stay where they are, for instance mapped from the cache's files, and only the
    batch moves: 5,088 pairs take 0.3 GB at 128 pixels a side, 5 GB at 512.

    Args:
        images, masks: `[N, 3, S, S]` and `[N, S, S]`, uint8, see `resized_copies`.
        rows: which of them belong to this set, all if None.
        device: where batches are wanted.
    """

    def __init__(
        self,
        images: NDArray[np.uint8],
        masks: NDArray[np.uint8],
        *,
        rows: Sequence[int] | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.device = torch.device(device)
        self.images, self.masks = torch.from_numpy(images), torch.from_numpy(masks)
        self.rows = torch.arange(len(images)) if rows is None else torch.tensor(rows)
        if not len(self.rows):
            raise DataError("There are no images in this part of the data.")
        needed = len(self.rows) * (self.images[0].nbytes + self.masks[0].nbytes)
        if fits(needed, self.device):
            self.images = self.images[self.rows].to(self.device)
            self.masks = self.masks[self.rows].to(self.device)
            self.rows = torch.arange(len(self.rows), device=self.device)

    def __len__(self) -> int:
        return len(self.rows)

    def batch(
        self, size: int, generator: torch.Generator, *, augmentation: Augmentation | None = None
    ) -> tuple[Tensor, Tensor]:
        """Random images, each drawn from all of the set, with their masks.

        Args:
            size: images in the batch.
            generator: its state decides all.
            augmentation: none if None.

        Returns:
            `[size, 3, S, S]` float32 in [0, 1] and class numbers `[size, S, S]` uint8.
        """
        draw = torch.rand(size, generator=generator, device=generator.device, dtype=torch.float64)
        images, masks = self._pick((draw * len(self)).long())
        return augmentation(images, masks, generator) if augmentation else (images, masks)

    def in_order(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """All images in batches of `size`, the last one perhaps smaller; shapes as in `batch`."""
        for start in range(0, len(self), size):
            yield self._pick(torch.arange(start, min(start + size, len(self))))

    def _pick(self, chosen: Tensor) -> tuple[Tensor, Tensor]:
        rows = self.rows[chosen.to(self.rows.device)]
        return self.images[rows].to(self.device) / 255, self.masks[rows].to(self.device)


def fits(size: int, device: torch.device) -> bool:
    """Whether a GPU has twice as many bytes free, so that half are left to training."""
    return device.type == "cuda" and 2 * size <= torch.cuda.mem_get_info(device)[0]

"""Images and masks of one square size, in memory or on the GPU, and batches drawn from them.

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
from zoo.seg.data.masks import Mask


class MaskedImages:
    """Images with their masks, kept decoded.

    A GPU keeps all of them if they take at most half of its free memory; a batch is then a gather
    on the GPU. Otherwise they stay where they are, e.g. memory-mapped from the cache, and only the
    batch is copied. 5,088 pairs take 0.3 GB at 128 pixels a side, 5 GB at 512.

    Args:
        images, masks: `[N, C, S, S]` uint8 and `[N, S, S]` uint8 or int32, see `resized_copies`.
        rows: indices of those that belong to this set; all if None.
        device: where batches are returned.

    Raises:
        DataError: there are no rows.
    """

    def __init__(
        self,
        images: NDArray[np.uint8],
        masks: Mask,
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
        """Random images with their masks, drawn with replacement.

        Args:
            size: images in the batch.
            generator: its state alone determines the batch.
            augmentation: applied to the batch; none if None.

        Returns:
            `[size, C, S, S]` float32 in [0, 1] and class numbers `[size, S, S]`.
        """
        draw = torch.rand(size, generator=generator, device=generator.device, dtype=torch.float64)
        images, masks = self._pick((draw * len(self)).long())
        return augmentation(images, masks, generator) if augmentation else (images, masks)

    def in_order(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """All images in batches of `size`; the last may be smaller. Shapes are as in `batch`."""
        for start in range(0, len(self), size):
            yield self._pick(torch.arange(start, min(start + size, len(self))))

    def _pick(self, chosen: Tensor) -> tuple[Tensor, Tensor]:
        rows = self.rows[chosen.to(self.rows.device)]
        return self.images[rows].to(self.device) / 255, self.masks[rows].to(self.device)


def fits(size: int, device: torch.device) -> bool:
    """Whether `size` bytes are at most half of a GPU's free memory; the rest is for training."""
    return device.type == "cuda" and 2 * size <= torch.cuda.mem_get_info(device)[0]

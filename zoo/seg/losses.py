"""Loss functions for segmentation."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.seg.void import void_label


def segmentation_loss(
    logits: Tensor, masks: Tensor, *, dice_weight: float = 0.0, ignore_index: int | None = None
) -> Tensor:
    """Cross-entropy, binary for one class, plus `dice_weight` times the soft Dice loss.

    Args:
        logits: float `[N, 1, H, W]`, or `[N, classes, H, W]` for more than one class.
        masks: class numbers `[N, H, W]`, integers.
        ignore_index: the number of void pixels, which cost nothing; see `zoo.seg.void.void_label`.

    Returns:
        A scalar: the mean over all pixels with a class, 0 if there are none.
    """
    classes = logits.shape[1]
    void = void_label(classes, ignore_index)
    known = torch.ones_like(masks, dtype=torch.bool) if void is None else masks != void
    numbers = masks.long().where(known, 0)
    if classes == 1:
        targets = numbers[:, None].to(logits.dtype)
        losses = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")[:, 0]
        shares = logits.sigmoid()
    else:
        losses = F.cross_entropy(logits, numbers, reduction="none")
        targets = F.one_hot(numbers, classes).movedim(-1, 1).to(logits.dtype)
        shares = logits.softmax(dim=1)
    loss = losses.where(known, 0).sum() / known.sum().clamp(min=1)
    if not dice_weight:
        return loss
    return loss + dice_weight * soft_dice_loss(shares * known[:, None], targets * known[:, None])


def soft_dice_loss(shares: Tensor, targets: Tensor) -> Tensor:
    """1 - soft Dice per image and class, then the mean (after Milletari et al., arXiv:1606.04797).

    shares, targets: `[N, C, H, W]` in [0, 1]. Both sums get 1 added, so that a class absent from
    both costs nothing.
    """
    overlap = (shares * targets).sum(dim=(2, 3))
    sizes = (shares + targets).sum(dim=(2, 3))
    return 1 - ((2 * overlap + 1) / (sizes + 1)).mean()

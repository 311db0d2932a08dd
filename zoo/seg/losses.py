"""Loss functions for segmentation."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def segmentation_loss(logits: Tensor, masks: Tensor, *, dice_weight: float = 0.0) -> Tensor:
    """Cross-entropy, binary for one class, plus `dice_weight` times the soft Dice loss.

    Args:
        logits: float `[N, 1, H, W]`, or `[N, classes, H, W]` for more than one class.
        masks: class numbers `[N, H, W]`, integers.

    Returns:
        A scalar.
    """
    if logits.shape[1] == 1:
        targets = masks[:, None].to(logits.dtype)
        loss = F.binary_cross_entropy_with_logits(logits, targets)
        shares = logits.sigmoid()
    else:
        loss = F.cross_entropy(logits, masks.long())
        targets = F.one_hot(masks.long(), logits.shape[1]).movedim(-1, 1).to(logits.dtype)
        shares = logits.softmax(dim=1)
    return loss + dice_weight * soft_dice_loss(shares, targets) if dice_weight else loss


def soft_dice_loss(shares: Tensor, targets: Tensor) -> Tensor:
    """1 - soft Dice per image and class, then the mean (after Milletari et al., arXiv:1606.04797).

    shares, targets: `[N, C, H, W]` in [0, 1]. Both sums get 1 added, so that a class absent from
    both costs nothing.
    """
    overlap = (shares * targets).sum(dim=(2, 3))
    sizes = (shares + targets).sum(dim=(2, 3))
    return 1 - ((2 * overlap + 1) / (sizes + 1)).mean()

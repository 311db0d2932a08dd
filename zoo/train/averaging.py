"""Averaged weights: the ones that are measured and kept."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn


def average(
    averaged: Sequence[Tensor], current: Sequence[Tensor], count: int | Tensor, *, decay: float
) -> None:
    """One step of an exponential moving average, in place, for `AveragedModel`.

    In step t the decay is (1 + t) / (10 + t), until it reaches `decay`: with 0.999 from the start,
    the average of a short run would mostly be the random weights that it began with. After
    TensorFlow's ExponentialMovingAverage with `num_updates`. Integers, such as batch norm's count
    of batches, are copied.

    count: t, the number of steps averaged so far, from 1.
    """
    if not averaged[0].is_floating_point():  # all have one dtype
        for kept, value in zip(averaged, current, strict=True):
            kept.copy_(value)
        return
    warmed = min(decay, (1 + int(count)) / (10 + int(count)))
    get_ema_multi_avg_fn(warmed)(averaged, current, count)  # type: ignore[no-untyped-call]

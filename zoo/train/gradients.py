"""Gradients of a batch that is computed in parts, for what does not fit into memory at once."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

import torch
from accelerate import Accelerator
from torch import Tensor, nn


def add_gradients(
    accelerator: Accelerator,
    model: nn.Module,
    loss_of: Callable[[Tensor, Tensor], Tensor],
    inputs: Tensor,
    targets: Tensor,
    *,
    parts: int,
) -> Tensor:
    """Adds the gradients of a batch's mean loss to those of the model; returns the loss.

    Args:
        model: as `accelerator.prepare` returned it.
        loss_of: from inputs and targets to their mean loss.
        inputs, targets: `[N, ...]`; N is a multiple of `parts`.
        parts: of the batch, computed one after the other. Processes share their gradients once.
    """
    total = torch.zeros((), device=inputs.device)
    pairs = zip(inputs.chunk(parts), targets.chunk(parts), strict=True)
    for number, (x, y) in enumerate(pairs, start=1):
        with nullcontext() if number == parts else accelerator.no_sync(model):
            loss = loss_of(x, y) / parts
            accelerator.backward(loss)
        total += loss.detach()
    return total

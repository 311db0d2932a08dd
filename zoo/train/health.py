"""A watch on a run's numbers: losses and weights must stay finite."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor

from zoo.errors import TrainingError


class Health:
    """Collects the losses of steps and reads them rarely, for each reading would stall a GPU.

    checkpoint: named in messages as what a broken run can go back to.
    """

    def __init__(self, accelerator: Accelerator, checkpoint: Path) -> None:
        self.accelerator, self.checkpoint = accelerator, checkpoint
        self.pending: list[Tensor] = []

    def add(self, loss: Tensor) -> None:
        self.pending.append(loss.detach())

    def mean_loss(self, step: int) -> float:
        """Mean over processes since the last call; raises TrainingError for a non-finite loss."""
        losses: Tensor = self.accelerator.reduce(torch.stack(self.pending), "mean").cpu()
        self.pending = []
        if not losses.isfinite().all():
            first = int((~losses.isfinite()).nonzero()[0])
            at = step - len(losses) + first + 1
            raise self._broken(f"The loss was {losses[first].item()} at step {at}")
        return losses.mean().item()

    def check_weights(self, parameters: Iterable[Tensor], step: int) -> None:
        """Raises TrainingError for non-finite weights, which a finite loss can still cause."""
        if not all(parameter.isfinite().all() for parameter in parameters):
            raise self._broken(f"The weights were no longer finite at step {step}")

    def _broken(self, what: str) -> TrainingError:
        good = f"the last good checkpoint is {self.checkpoint}"
        rest = good if self.checkpoint.exists() else "there is no checkpoint yet"
        return TrainingError(f"{what}: {rest}.")

"""The interface between the training loop and a task."""

from __future__ import annotations

from typing import Protocol, TypeVar

import torch
from torch import Tensor, nn

from zoo.train.recipe import Stage

S = TypeVar("S", bound=Stage, contravariant=True)


class Task(Protocol[S]):
    """A training task: batches, their loss and validation metrics.

    `score` names the metric that chooses the best weights; it may change between stages.
    """

    score: str

    def batch(self, stage: S, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Inputs and targets, determined by the generator's state alone."""

    def loss(self, prediction: Tensor, target: Tensor) -> Tensor:
        """The loss of a float32 prediction, a scalar."""

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Metrics of a model in eval mode; a higher `score` is better. Empty if it has none."""

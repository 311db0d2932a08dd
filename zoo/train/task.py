"""What the training loop needs to know of a job."""

from __future__ import annotations

from typing import Protocol, TypeVar

import torch
from torch import Tensor, nn

from zoo.train.recipe import Stage

S = TypeVar("S", bound=Stage, contravariant=True)


class Task(Protocol[S]):
    """Batches, their loss and a measure.

    `score` is the metric that picks the best weights; it may be another one in each stage.
    """

    score: str

    def batch(self, stage: S, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Inputs and targets, decided by the generator's state alone."""

    def loss(self, prediction: Tensor, target: Tensor) -> Tensor:
        """A scalar."""

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Metrics of a model in eval mode, higher is better."""

"""Which part of a step each process computes, also where a run goes on with more or fewer of them.

A run has as many batches a step as processes began it. Fewer processes compute several of these one
after the other; more compute a part each. So the steps stay the same, but for random layers and for
batch norm, whose statistics are a process's own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.errors import TrainingError

Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Share:
    """What one process does of each step.

    batches: numbers of the batches that it computes.
    part, parts: which of how many equal parts of its only batch, if others share that.
    """

    batches: range
    part: int = 0
    parts: int = 1

    def draw(self, draw: Callable[[int], Batch]) -> Batch:
        """The process's inputs and targets; `draw` makes the batch of a number.

        Raises TrainingError for a batch that can't be divided equally.
        """
        drawn = [draw(batch) for batch in self.batches]
        inputs, targets = drawn[0]
        if len(drawn) > 1:
            inputs, targets = (torch.cat(each) for each in zip(*drawn, strict=True))
        if len(inputs) % self.parts:
            raise TrainingError(
                f"{self.parts} processes can't share a batch of {len(inputs)} equally."
            )
        return inputs.chunk(self.parts)[self.part], targets.chunk(self.parts)[self.part]

    def accumulate(self, parts: int, *, images: int) -> int:
        """In how many equal parts a process computes the images that it draws, so that it holds no
        more of them at once than in a run that computes a batch in `parts`.
        """
        least = math.ceil(parts * len(self.batches) / self.parts)
        return next(number for number in range(least, images + 1) if images % number == 0)


def share_of(rank: int, processes: int, batches: int) -> Share:
    """The share of one process of `processes` in a run of `batches` batches a step.

    Raises TrainingError if neither number divides the other.
    """
    if batches % processes == 0:
        each = batches // processes
        return Share(range(rank * each, (rank + 1) * each))
    if processes % batches == 0:
        each = processes // batches
        return Share(range(rank // each, rank // each + 1), rank % each, each)
    raise TrainingError(
        f"The run was begun by {batches} processes and can't be shared by {processes} equally:"
        f" start {batches}, or a number that divides it."
    )

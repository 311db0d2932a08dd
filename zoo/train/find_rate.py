"""The learning-rate finder: train at a growing rate and find where the loss falls fastest.

L. N. Smith, "Cyclical learning rates for training neural networks" (arXiv:1506.01186).
"""

from __future__ import annotations

import math
import tempfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from zoo.errors import TrainingError
from zoo.train.loop import Trainer
from zoo.train.recipe import Recipe, Stage
from zoo.train.task import Task


@dataclass(frozen=True)
class RateCurve:
    """Increasing learning rates, the smoothed loss at each, and the rate to train with."""

    rates: list[float]
    losses: list[float]
    suggestion: float


def find_rate(
    model: nn.Module,
    recipe: Recipe,
    task: Task[Any],
    *,
    steps: int = 100,
    highest: float = 1.0,
    time_limit: float = math.inf,
) -> RateCurve:
    """Runs the recipe's first stage with a learning rate from `highest` / 10⁶ up to `highest`.

    The model is trained in place, which may ruin its weights. After `time_limit` seconds (see
    `Trainer.fit`) the curve ends at the rate reached.

    Raises:
        TrainingError: the run failed or was stopped within 10 steps, or the loss never fell.
    """
    stage = recipe.stages[0].model_copy(
        update={"steps": steps, "lr": highest, "schedule": "exponential"}
    )
    changes = {
        "stages": (stage,),
        "log_every": 1,
        "validate_every": steps + 1,
        "checkpoint_every": steps + 1,
    }
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(model, recipe.model_copy(update=changes), Path(folder))
        try:
            if not trainer.fit(_Unmeasured(task), time_limit=time_limit) and trainer.step < 10:
                raise TrainingError(
                    f"The time limit ended the search after {trainer.step} of {steps} steps, too"
                    " few to suggest a learning rate."
                )
        except TrainingError:  # the loss diverged: the losses before that are enough
            if len(trainer.history) < 10:
                raise
    return suggest([row["lr"] for row in trainer.history], [row["loss"] for row in trainer.history])


def suggest(rates: list[float], losses: list[float], *, memory: float = 0.9) -> RateCurve:
    """Smooths the losses and picks the rate of their steepest fall before the lowest point.

    `memory` is the decay of the moving average. Raises TrainingError if the losses never fall.
    """
    smooth, mean = [], 0.0
    for step, loss in enumerate(losses, start=1):
        mean = memory * mean + (1 - memory) * loss
        smooth.append(mean / (1 - memory**step))
    lowest = smooth.index(min(smooth))
    falls = [a - b for a, b in pairwise(smooth[: lowest + 1])]
    if not falls or max(falls) <= 0:
        raise TrainingError("The loss never fell: no learning rate can be suggested.")
    # The moving average is noisy at first: skip as many steps as its memory is long.
    start = min(len(falls) - 1, round(1 / (1 - memory)))
    steepest = start + max(range(len(falls) - start), key=lambda i: falls[start + i])
    return RateCurve(rates, smooth, rates[steepest])


def plot(curve: RateCurve, file: Path) -> None:
    """Draws the curve with its suggestion; the suffix of the file decides the format."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(curve.rates, curve.losses)
    axes.axvline(curve.suggestion, color="gray", linestyle="--", label=f"{curve.suggestion:.1e}")
    start, low = curve.losses[0], min(curve.losses)
    axes.set(xscale="log", xlabel="learning rate", ylabel="loss, smoothed")
    axes.set_ylim(low - 0.1 * (start - low), start + 0.5 * (start - low))
    axes.legend()
    axes.grid(alpha=0.3)
    figure.savefig(file)


class _Unmeasured:
    """A task with its validation switched off."""

    score = "score"

    def __init__(self, task: Task[Any]) -> None:
        self.task = task

    def batch(self, stage: Stage, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        return self.task.batch(stage, generator)

    def loss(self, prediction: Tensor, target: Tensor) -> Tensor:
        return self.task.loss(prediction, target)

    def validate(self, model: nn.Module) -> dict[str, float]:
        return {}

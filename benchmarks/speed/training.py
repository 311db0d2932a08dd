"""Steps of training beside the usual loops of other packages, at the sizes of the lesson.

One step is the batch, forward and backward pass and the optimizer, on tensors in memory. Ours is
`zoo.train` with bf16, channels_last, averaged weights and gradient clipping. The others are
fastai's `Learner` and the loop that users of SMP and torchsr write, with Adam in fp32.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from speed.peers import fastai_unet, smp_unet, torchsr_edsr
from speed.timing import Timing
from zoo.create import create_model
from zoo.train.loop import Trainer
from zoo.train.recipe import ModelSection, OptimizerSection, Recipe, Stage

STEPS, LEFT_OUT = 10, 3  # of a turn; the first ones warm up

Loss = Callable[[Tensor, Tensor], Tensor]
Steps = Callable[[nn.Module, Tensor, Tensor, Loss], list[float]]  # seconds of each step


class InMemory:
    """A task whose batch is always the same and lies in memory; it notes when it is drawn upon."""

    score = "none"

    def __init__(self, x: Tensor, y: Tensor, measure: Loss) -> None:
        self.x, self.y, self.measure = x, y, measure
        self.times: list[float] = []

    def batch(self, stage: Stage, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        return self.x, self.y

    def loss(self, prediction: Tensor, target: Tensor) -> Tensor:
        self.times.append(time.perf_counter())
        return self.measure(prediction, target)

    def validate(self, model: nn.Module) -> dict[str, float]:
        return {}


def zoo_steps(net: nn.Module, x: Tensor, y: Tensor, measure: Loss) -> list[float]:
    config: dict[str, Any] = net.config  # type: ignore[assignment]
    recipe = Recipe(
        model=ModelSection(name=config["architecture"]),
        optimizer=OptimizerSection(name="adam"),
        stages=(Stage(steps=STEPS, batch=len(x), lr=1e-4),),
        clip=1.0,
        log_every=STEPS,
        validate_every=STEPS,
        checkpoint_every=STEPS,
    )
    task = InMemory(x, y, measure)
    with tempfile.TemporaryDirectory() as folder:
        Trainer(net, recipe, Path(folder, "run")).fit(task)
    return differences(task.times)


def plain_steps(net: nn.Module, x: Tensor, y: Tensor, measure: Loss) -> list[float]:
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-4)
    net.train()
    times = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        prediction = net(x)
        times.append(time.perf_counter())
        measure(prediction, y).backward()
        optimizer.step()
    return differences(times)


def fastai_steps(net: nn.Module, x: Tensor, y: Tensor, measure: Loss) -> list[float]:
    from fastai.data.core import DataLoaders
    from fastai.learner import Learner

    times: list[float] = []

    def noted(prediction: Tensor, target: Tensor) -> Tensor:
        times.append(time.perf_counter())
        return measure(prediction, target)

    batches = [(x, y)] * STEPS
    learner = Learner(DataLoaders(batches, [(x, y)]), net, loss_func=noted)
    with learner.no_logging():
        learner.fit(1, lr=1e-4)
    return differences(times[:STEPS])  # the last is of the validation


def differences(times: list[float]) -> list[float]:
    marks = times[LEFT_OUT:]
    return [after - before for before, after in pairwise(marks)]


def masks(prediction: Tensor, target: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(prediction, target)


ENCODER = {"encoder": "resnet34", "encoder_weights": None}
SIZES = ((64, 128), (16, 256), (4, 512))  # images, side


def measure(*, turns: int = 2, sizes: tuple[tuple[int, int], ...] = SIZES) -> list[dict[str, Any]]:
    """Rows of `speed.timing`; seconds are of one step."""
    patches = torch.rand(16, 3, 36, 36), torch.rand(16, 3, 72, 72)
    rows = compare(
        "×2, 16 patches of 36 pixels",
        ("srresnet_x2", partial(create_model, "srresnet_x2")),
        {"torchsr edsr_baseline, plain loop": (partial(torchsr_edsr, 2), plain_steps)},
        (*patches, F.l1_loss),
        turns=turns,
    )
    for count, side in sizes:
        cars = torch.rand(count, 3, side, side), (torch.rand(count, 1, side, side) > 0.5).float()
        rows += compare(
            f"{count} cars of {side} pixels",
            ("dynamic_unet, resnet34", partial(create_model, "dynamic_unet", **ENCODER)),
            {
                "SMP Unet, resnet34, plain loop": (partial(smp_unet, "resnet34"), plain_steps),
                "fastai DynamicUnet, Learner": (partial(fastai_unet, "resnet34"), fastai_steps),
            },
            (*cars, masks),
            turns=turns,
        )
    return rows


def compare(
    case: str,
    ours: tuple[str, Callable[[], nn.Module]],
    others: dict[str, tuple[Callable[[], nn.Module], Steps]],
    job: tuple[Tensor, Tensor, Loss],
    *,
    turns: int,
) -> list[dict[str, Any]]:
    name, build = ours
    seconds: dict[str, list[float]] = {key: [] for key in (name, *others)}
    for _ in range(turns):
        seconds[name] += zoo_steps(build(), *job)
        for other, (build_other, steps) in others.items():
            seconds[other] += steps(build_other(), *job)
    own = statistics.median(seconds[name])
    rows = []
    for other in others:
        theirs = statistics.median(seconds[other])
        row = Timing(
            case=case,
            ours=name,
            other=other,
            ratio=theirs / own,
            lowest=min(seconds[other]) / own,
            highest=max(seconds[other]) / own,
            seconds_ours=own,
            seconds_other=theirs,
        )
        rows.append(asdict(row))
    return rows

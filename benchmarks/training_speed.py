"""How much slower training is when the inputs are degraded.

python benchmarks/training_speed.py benchmarks/recipes/srresnet_x2_photo.yaml --data PHOTOS

Takes steps by the recipe with its degradations and without them, in turns, so that other load on
the machine affects both alike. Writes OUT/training_speed.json.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from accelerate import Accelerator
from common import RESULTS, Dirty, check_results, every, train_briefly, write_result
from environment import environment
from rich import print
from torch import Tensor, nn

from zoo.create import create_model
from zoo.errors import OptionError, ZooError
from zoo.pictures.files import list_images
from zoo.train.recipe import load_recipe
from zoo.train.sr_recipe import SRRecipe
from zoo.train.super_resolution import SuperResolution

PROTOCOL = (
    "a step from one batch to the next, in seconds, with its batch, forward and backward pass and "
    "the optimizer; the first steps of each turn are left out; speed: steps a second by medians"
)
LEFT_OUT = 3  # steps that warm up


class Timed(SuperResolution):
    """Super-resolution that notes when each loss is taken, and measures no photographs."""

    def begin(self) -> None:
        self.times: list[float] = []

    def loss(self, prediction: Tensor, target: Tensor) -> Tensor:
        self.times.append(time.perf_counter())
        return super().loss(prediction, target)

    def validate(self, model: nn.Module) -> dict[str, float]:
        return {}


def main(
    recipe: Annotated[Path, typer.Argument(help="A recipe with degradations.")],
    data: Annotated[Path, typer.Option(help="Folder of photographs.")],
    photographs: Annotated[int, typer.Option(help="How many of them.")] = 60,
    turns: Annotated[int, typer.Option(min=1, help="Of each kind.")] = 4,
    steps: Annotated[int, typer.Option(min=5, help="Of a turn.")] = 20,
    out: Annotated[Path, typer.Option(help="Folder for the JSON.")] = RESULTS,
    dirty: Dirty = False,
) -> None:
    """Measure training with and without degradations."""
    check_results(out, dirty=dirty)
    plan = load_recipe(recipe, SRRecipe)
    if plan.degradations is None:
        raise OptionError(f"{recipe} has no degradations.")
    stage = plan.stages[-1].model_copy(update={"steps": steps})
    plan = plan.model_copy(update={"stages": (stage,), "held_out": 1, **every(steps)})
    plans = {"clean": plan.model_copy(update={"degradations": None}), "degraded": plan}
    device = Accelerator().device
    net = create_model(plan.model.name, **plan.model.options)
    with tempfile.TemporaryDirectory() as folder:
        for file in list_images(data, recursive=False)[:photographs]:
            Path(folder, file.name).symlink_to(file.resolve())
        tasks = {
            name: Timed(kind, Path(folder), scale=int(net.scale), device=device)  # type: ignore[arg-type]
            for name, kind in plans.items()
        }
    seconds: dict[str, list[float]] = {name: [] for name in plans}
    for _ in range(turns):
        for name, task in tasks.items():
            task.begin()
            torch.manual_seed(0)
            train_briefly(create_model(plan.model.name, **plan.model.options), plans[name], task)
            marks = task.times[LEFT_OUT:]
            seconds[name] += np.diff(marks).tolist()
    speed = {name: 1 / statistics.median(values) for name, values in seconds.items()}
    result = {
        "model": "training_speed",
        "protocol": PROTOCOL,
        "weights_sha256": None,  # random weights
        "start_sha256": None,
        "network": plan.model.name,
        "recipe": recipe.name,
        "steps_per_second": speed,
        "share": speed["degraded"] / speed["clean"],
        "seconds": seconds,
        "environment": environment(),
    }
    write_result(result, out, dirty=dirty)
    print({"steps_per_second": speed, "share": result["share"]})


if __name__ == "__main__":
    try:
        typer.run(main)
    except ZooError as error:
        sys.exit(f"error: {error}")

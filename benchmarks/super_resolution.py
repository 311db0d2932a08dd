"""Train and evaluate super-resolution models.

    python benchmarks/super_resolution.py train benchmarks/recipes/srresnet_x2.yaml --data PHOTOS
    python benchmarks/super_resolution.py eval srresnet_x2 --data DIR --sets Set5 Set14 B100
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich import print

from zoo.errors import ZooError
from zoo.registry import create_model
from zoo.train.checkpoints import start_from
from zoo.train.loop import Trainer
from zoo.train.recipe import load_recipe
from zoo.train.super_resolution import SRRecipe, SuperResolution

app = typer.Typer(add_completion=False, no_args_is_help=True)


def seconds(text: str) -> float:
    """Reads "90s", "25m" or "1.5h"."""
    match = re.fullmatch(r"([\d.]+)([smh])", text)
    if not match:
        raise typer.BadParameter(f"{text!r} is no duration such as 90s, 25m or 1.5h.")
    return float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]]


@app.command()
def train(
    recipe: Path,
    data: Annotated[Path, typer.Option(help="Folder of photographs.")],
    out: Annotated[Path | None, typer.Option(help="Folder of the run; runs/RECIPE if left out.")] = None,
    time_limit: Annotated[str, typer.Option(help="End in order after 90s, 25m, 1.5h.")] = "1000h",
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")] = False,
) -> None:
    """Train a model by a recipe."""
    plan = load_recipe(recipe, SRRecipe)
    torch.manual_seed(plan.seed)
    model = create_model(plan.model.name, **plan.model.options)
    if plan.model.start:
        print(start_from(model, plan.model.start, min_copied=plan.model.min_copied))
    trainer = Trainer(model, plan, out or Path("runs") / recipe.stem)
    task = SuperResolution(plan, data, scale=model.scale, device=trainer.device)
    done = trainer.fit(task, time_limit=seconds(time_limit), resume=resume)
    print(f"{'Finished' if done else 'Stopped in time'} at step {trainer.step}: {trainer.folder}")


@app.callback()
def main() -> None: ...


if __name__ == "__main__":
    try:
        app()
    except ZooError as error:
        sys.exit(f"error: {error}")

"""Chains of recipes: one starts from the result of another, the first from random weights."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import TypeGuard

import yaml

from zoo.errors import OptionError, RecipeError
from zoo.registry import get_model
from zoo.train.checkpoints import CHECKPOINT, check_folder
from zoo.train.recipe import read_recipe
from zoo.train.run import load_plan, refuse, train_by
from zoo.train.segmentation import SegRecipe
from zoo.train.sr_recipe import SRRecipe


def train_chain(
    file: Path,
    plan: SRRecipe | SegRecipe,
    data: Path,
    out: Path,
    *,
    start: str | None = None,
    encoder_weights: str | None = None,
    cache: Path | None = None,
    time_limit: float = math.inf,
    resume: bool = False,
    steps_more: int = 0,
    find_lr: bool = False,
) -> None:
    """Trains by a recipe, and first by those that it leads back to, as far as they aren't finished.

    Their runs are kept beside `out`, under the recipes' names. They set the same images aside.

    Args:
        file: the recipe's file.
        plan: what was read from it, perhaps changed.
        data, out, cache: see `zoo.train.run.train_by`.
        encoder_weights: of the network that begins the chain.
        start: weights to begin from, so that no earlier recipe is needed.
        time_limit: seconds, of all runs together.
        resume, steps_more, find_lr: see `train_by`.

    Raises:
        ZooError: see `train_by`; or a learning rate is sought for a start that is not there yet.
    """
    begun = time.monotonic()
    if resume:
        refuse({"--start": start}, "a run that goes on has its weights in the checkpoint")
    wanted = is_recipe(plan.model.start) and not start and not resume
    earlier = earlier_recipes(file) if wanted else []
    if earlier and not find_lr:
        check_folder(out, resume=False)
    plans = [with_split_of(plan, load_plan(recipe)) for recipe in earlier]  # before any work
    for recipe, first in zip(earlier, plans, strict=True):
        run = out.parent / recipe.stem
        if not finished(run):
            if find_lr:
                raise OptionError(
                    f"{file} starts from {recipe}: train that first, or give --start."
                )
            left = time_limit - (time.monotonic() - begun)
            begun_already = (run / CHECKPOINT).exists()
            if not train_by(
                first,
                data,
                run,
                start=start,
                encoder_weights=encoder_weights if recipe is earlier[0] else None,
                cache=cache,
                time_limit=left,
                resume=begun_already,
            ):
                return
        start = str(run / "best")
    train_by(
        plan,
        data,
        out,
        start=start,
        encoder_weights=None if earlier else encoder_weights,
        cache=cache,
        time_limit=time_limit - (time.monotonic() - begun),
        resume=resume,
        steps_more=steps_more,
        find_lr=find_lr,
    )


def is_recipe(start: str | None) -> TypeGuard[str]:
    """Whether a recipe's `start` is another recipe."""
    return start is not None and start.endswith((".yaml", ".yml"))


def earlier_recipes(file: Path) -> list[Path]:
    """The recipe files that a recipe's start leads back to, in the order of training.

    A start is a path from the folder of the recipe that names it.

    Raises:
        RecipeError: one can't be read, or starts from a recipe that starts from it.
    """
    chain = [file]
    while is_recipe(start := _start_of(chain[-1])):
        earlier = chain[-1].parent / start
        if any(earlier.resolve() == other.resolve() for other in chain):
            raise RecipeError(f"The recipe {earlier} starts, by way of others, from itself.")
        chain.append(earlier)
    return chain[:0:-1]


def with_split_of(
    plan: SRRecipe | SegRecipe, earlier: SRRecipe | SegRecipe
) -> SRRecipe | SegRecipe:
    """The earlier recipe with the images set aside that a later one sets aside.

    Raises:
        RecipeError: the two are for different tasks.
    """
    if isinstance(plan, SRRecipe) and isinstance(earlier, SRRecipe):
        return earlier.model_copy(update={"held_out": plan.held_out})
    if isinstance(plan, SegRecipe) and isinstance(earlier, SegRecipe):
        return earlier.model_copy(update={"split": plan.split})
    task = get_model(earlier.model.name).task
    raise RecipeError(f"{plan.model.name} can't start from {earlier.model.name}, a {task} model.")


def finished(run: Path) -> bool:
    """Whether a run's folder holds the result of all of its recipe's steps."""
    recipe, history = run / "recipe.yaml", run / "history.json"
    if not (recipe.is_file() and history.is_file() and (run / "best").is_dir()):
        return False
    stages = yaml.safe_load(recipe.read_text())["stages"]
    rows = json.loads(history.read_text())
    return bool(rows) and rows[-1]["step"] >= sum(stage["steps"] for stage in stages)


def _start_of(file: Path) -> str | None:
    content = read_recipe(file)
    model = content.get("model") if isinstance(content, dict) else None
    start = model.get("start") if isinstance(model, dict) else None
    return start if isinstance(start, str) else None  # the schema refuses the rest

"""One training: from a recipe's file and a folder of images to the best weights."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from zoo.create import create_model
from zoo.errors import OptionError, RecipeError
from zoo.pictures.files import list_images
from zoo.registry import Task, get_model, list_models
from zoo.seg.data.folders import list_pairs
from zoo.store.atomic import replacing
from zoo.train.checkpoints import batches_of, check_folder, facts_of_start, start_from
from zoo.train.find_rate import find_rate, plot
from zoo.train.loop import Trainer
from zoo.train.recipe import describe, load_recipe, read_recipe
from zoo.train.segmentation import Segmentation, SegRecipe, split_of
from zoo.train.sr_recipe import SRRecipe
from zoo.train.super_resolution import SuperResolution, split_held_out


def load_plan(file: Path, *, task: Task | None = None) -> SRRecipe | SegRecipe:
    """Reads a recipe of either task, told by its model; `task` demands one of them.

    Raises:
        RecipeError: see `load_recipe`; the model is for another task.
        UnknownNameError: the model is not registered.
    """
    content = read_recipe(file)
    try:
        name = str(content["model"]["name"])
    except (TypeError, KeyError):  # no such entry: the schema says so
        return load_recipe(file, SRRecipe)
    kind = get_model(name).task
    if task not in (None, kind):
        raise RecipeError(f"{name} is no {task} model.")
    if kind == "segmentation":
        return load_recipe(file, SegRecipe)
    return load_recipe(file, SRRecipe)


def changed(
    plan: SRRecipe | SegRecipe,
    *,
    held_out: int | None = None,
    validation: int | None = None,
    epochs: float | None = None,
    encoder: str | None = None,
    feature_weights: str | None = None,
) -> SRRecipe | SegRecipe:
    """The recipe with entries replaced, each None leaving what the recipe says.

    held_out: images, or groups of them, that choose the weights. validation: groups that validate.
    epochs: of all stages together. encoder: a name. feature_weights: file of the feature loss.
    Raises OptionError for an entry that the recipe's task or model does not have.
    """
    content = plan.model_dump()
    if isinstance(plan, SRRecipe):
        given = {"--validation": validation, "--epochs": epochs, "--encoder": encoder}
        refuse(given, f"{plan.model.name} is for super-resolution")
        if held_out is not None:
            plan = plan.model_copy(update={"held_out": held_out})
        if feature_weights is not None:
            feature = plan.feature.model_copy(update={"weights": feature_weights})
            plan = plan.model_copy(update={"feature": feature})
        return plan
    refuse({"--feature-weights": feature_weights}, f"{plan.model.name} is for segmentation")
    if validation is not None and plan.split.folds is not None:
        raise OptionError("--validation contradicts split.folds of the recipe.")
    for key, value in (("held_out", held_out), ("validation", validation)):
        if value is not None:
            content["split"][key] = value
    if epochs is not None:
        content["stages"] = [
            stage | {"epochs": share, "steps": 0}
            for stage, share in zip(content["stages"], shares(plan, epochs), strict=True)
        ]
    if encoder is not None:
        if "encoder" not in get_model(plan.model.name).options:
            free = [name for name in list_models() if "encoder" in get_model(name).options]
            raise OptionError(
                f"{plan.model.name} has an encoder of its own; --encoder is for"
                f" {' and '.join(free)}."
            )
        content["model"]["options"]["encoder"] = encoder
    try:
        return SegRecipe.model_validate(content)
    except ValidationError as error:
        raise OptionError(describe(error, SegRecipe)) from error


def refuse(given: dict[str, Any], why: str) -> None:
    """Raises OptionError for the first option that was given."""
    for option, value in given.items():
        if value is not None:
            raise OptionError(f"{option} has no meaning here: {why}.")


def shares(plan: SegRecipe, epochs: float) -> list[float]:
    """Epochs of each stage that make `epochs` together, in the recipe's proportions."""
    if len(plan.stages) == 1:
        return [epochs]
    total = sum(stage.epochs for stage in plan.stages)
    if any(stage.steps for stage in plan.stages):
        raise OptionError("--epochs can't be divided among stages whose length is in steps.")
    return [stage.epochs * epochs / total for stage in plan.stages]


def train_by(
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
) -> bool:
    """Trains by a recipe and tells how it goes; with `find_lr`, only looks for a learning rate.

    Args:
        plan: see `load_plan`.
        data: photographs, or images and masks.
        out: the run's folder. `find_lr` writes find_lr.png there.
        start: weights to begin from, instead of the recipe's.
        encoder_weights: of a segmentation model, instead of the recipe's.
        cache: of resized copies; None for zoo's own.
        time_limit, resume, steps_more: see `Trainer.fit`.

    Returns:
        Whether the training, or the search, came to its end.

    Raises:
        ZooError: what can be refused, before images are read; or the training can't go on.
    """
    folder = out / "find_lr" if find_lr else out  # not made: a search leaves no run
    check_folder(folder, resume=resume)
    if isinstance(plan, SRRecipe):
        refuse({"--encoder-weights": encoder_weights}, f"{plan.model.name} has no encoder")
        split_held_out(list_images(data, recursive=False), plan.held_out)
    else:
        split_of(plan, list_pairs(data))
    options = dict(plan.model.options)
    if encoder_weights is not None:
        options["encoder_weights"] = encoder_weights
    if resume:  # the checkpoint holds all weights
        options.pop("encoder_weights", None)
    torch.manual_seed(plan.seed)
    model: Any = create_model(plan.model.name, **options)
    start = None if resume else start or plan.model.start
    report = None if start is None else start_from(model, start, min_copied=plan.model.min_copied)
    if isinstance(plan, SRRecipe):
        trainer = Trainer(model, plan, folder)
        trainer.begin(resume=resume, steps_more=steps_more)
        task: Any = SuperResolution(plan, data, scale=model.scale, device=trainer.device, cache=out)
    else:
        task = Segmentation(
            plan,
            data,
            classes=model.classes,
            channels=model.in_chans,
            cache=cache,
            batches=batches_of(folder) if resume else None,
        )
        if start is not None:
            task.check_start(start)
        trainer = Trainer(model, task.recipe, folder)
        trainer.begin(resume=resume, steps_more=steps_more)
    trainer.start = None if start is None else facts_of_start(start)
    if report is not None:
        trainer.accelerator.print(report)
    if find_lr:
        curve = find_rate(model, trainer.recipe, task, time_limit=time_limit)
        out.mkdir(parents=True, exist_ok=True)
        with replacing(out / "find_lr.png") as part:
            plot(curve, part)
        if len(curve.rates) < 100:
            trainer.accelerator.print(f"The search ended after {len(curve.rates)} of 100 steps.")
        trainer.accelerator.print(f"Try lr: {curve.suggestion:.1e} ({out / 'find_lr.png'})")
        return True
    done = trainer.fit(task, time_limit=time_limit, resume=resume, steps_more=steps_more)
    end = "Finished" if done else "Stopped in time"
    trainer.accelerator.print(f"{end} at step {trainer.step}: {trainer.folder}")
    return done

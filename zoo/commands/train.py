"""What `zoo train` does; nothing heavy is imported before it runs."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Annotated

import typer

from zoo.errors import MissingDependencyError


def seconds(text: str) -> float:
    """Reads "90s", "25m" or "1.5h"."""
    match = re.fullmatch(r"(\d+\.?\d*)([smh])", text)
    if not match:
        raise typer.BadParameter(f"{text!r} is no duration such as 90s, 25m or 1.5h.")
    return float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]]


# Options of all commands that train.
RecipeFile = Annotated[Path, typer.Argument(metavar="RECIPE", help="A YAML file.")]
Data = Annotated[Path, typer.Option(help="Folder of photographs, or of images and masks.")]
RunFolder = Annotated[Path | None, typer.Option(help="The run's folder; else runs/RECIPE.")]
HeldOut = Annotated[
    int | None, typer.Option(min=1, help="Images, or groups of them, that choose the weights.")
]
Validation = Annotated[
    int | None, typer.Option(min=0, help="Segmentation: groups of images set aside for `eval`.")
]
Epochs = Annotated[
    float | None, typer.Option(min=0.001, help="Segmentation: passes over the images in all.")
]
EncoderName = Annotated[str | None, typer.Option(help="Segmentation: a network of timm.")]
EncoderWeights = Annotated[
    str | None,
    typer.Option(help="Segmentation: 'default' or a *.safetensors file; else the recipe's."),
]
FeatureWeights = Annotated[
    str | None,
    typer.Option(help="Super-resolution: *.safetensors of the feature loss's network."),
]
Start = Annotated[
    str | None, typer.Option(help="Weights to begin from: a name or a folder; else the recipe's.")
]
TimeLimit = Annotated[
    float | None,
    typer.Option(
        parser=seconds, metavar="TIME", help="End in order after 90s, 25m, 1.5h of steps."
    ),
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint.")]
StepsMore = Annotated[
    int, typer.Option(min=0, help="With --resume: add a stage of so many steps at the end.")
]
FindLr = Annotated[
    bool, typer.Option("--find-lr", help="Suggest a learning rate; OUT/find_lr.png shows why.")
]
Cache = Annotated[
    Path | None, typer.Option(help="Segmentation: of resized copies; else zoo's own.")
]


def train(
    recipe: RecipeFile,
    data: Data,
    out: RunFolder = None,
    held_out: HeldOut = None,
    validation: Validation = None,
    epochs: Epochs = None,
    encoder: EncoderName = None,
    encoder_weights: EncoderWeights = None,
    feature_weights: FeatureWeights = None,
    start: Start = None,
    time_limit: TimeLimit = None,
    resume: Resume = False,
    steps_more: StepsMore = 0,
    find_lr: FindLr = False,
    cache: Cache = None,
) -> None:
    """Train a model by a recipe: zoo train recipe.yaml --data photos/"""
    try:
        from zoo.train.chain import train_chain
        from zoo.train.run import changed, load_plan
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f'zoo train needs {error.name}: pip install "zoo-models[train]".'
        ) from error
    plan = changed(
        load_plan(recipe),
        held_out=held_out,
        validation=validation,
        epochs=epochs,
        encoder=encoder,
        feature_weights=feature_weights,
    )
    train_chain(
        recipe,
        plan,
        data,
        out or Path("runs") / recipe.stem,
        encoder_weights=encoder_weights,
        cache=cache,
        start=start,
        time_limit=math.inf if time_limit is None else time_limit,
        resume=resume,
        steps_more=steps_more,
        find_lr=find_lr,
    )

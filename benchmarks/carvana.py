"""Train and evaluate segmentation models, on Carvana or on images and masks of your own.

python benchmarks/carvana.py check --data DIR
python benchmarks/carvana.py train benchmarks/recipes/unet34_carvana.yaml --data DIR
python benchmarks/carvana.py eval unet34 --data DIR --native FULL_SIZE_DIR

DIR holds train/ with train_masks/ or train_masks.csv, as Kaggle gives them, or images/ with masks/.
"""

from __future__ import annotations

import math
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from common import (
    RESULTS,
    Dirty,
    Smoke,
    check_results,
    cost,
    open_model,
    start_sha256,
    write_result,
)
from environment import environment
from generated_cars import generate_cars
from outlines import extremes
from rich import print
from rich.table import Table
from tables import LESSON, LESSON_CARS

from zoo.commands.train import (
    Cache,
    EncoderName,
    EncoderWeights,
    Epochs,
    FindLr,
    HeldOut,
    RecipeFile,
    Resume,
    RunFolder,
    Start,
    StepsMore,
    TimeLimit,
    Validation,
)
from zoo.errors import DataError, OptionError, ZooError
from zoo.inference.segmenter import Segmenter
from zoo.seg.data.checks import find_problems
from zoo.seg.data.folders import list_pairs
from zoo.seg.data.pairs import Reading
from zoo.seg.data.splits import SplitRule, fingerprint
from zoo.seg.measure.evaluate import (
    METRICS,
    PROTOCOL,
    evaluate,
    split_to_measure,
    unseen_pairs,
    validation_pairs,
)
from zoo.store.atomic import replacing
from zoo.train.chain import train_chain
from zoo.train.run import changed, load_plan
from zoo.train.segmentation import SegRecipe, smoke

app = typer.Typer(add_completion=False, no_args_is_help=True)

# Options of the commands that read masks; a recipe has keys of the same names.
AllowEmpty = Annotated[bool, typer.Option("--allow-empty", help="Accept masks without an object.")]
IgnoreIndex = Annotated[
    int | None, typer.Option(min=0, help="The masks' number for pixels that don't count.")
]
MaskThreshold = Annotated[
    float | None, typer.Option(min=0, help="Brighter pixels of a mask are the object.")
]


@app.command()
def check(
    data: Annotated[Path, typer.Option(help="Folder of images and masks.")],
    classes: Annotated[int, typer.Option(help="1 for an object before its background.")] = 1,
    channels: Annotated[int, typer.Option(min=1, help="That the network takes.")] = 3,
    allow_empty: AllowEmpty = False,
    ignore_index: IgnoreIndex = None,
    mask_threshold: MaskThreshold = None,
) -> None:
    """Read every file of a folder and name those that are missing, unreadable or misfit."""
    reading = Reading(classes, channels, allow_empty, ignore_index, mask_threshold)
    problems = find_problems(data, reading)
    for problem in problems:
        typer.echo(problem)
    typer.echo(f"{len(problems) or 'No'} problems in {data}.")
    raise typer.Exit(int(bool(problems)))


@app.command()
def train(
    recipe: RecipeFile,
    data: Annotated[Path | None, typer.Option(help="Folder of images and masks.")] = None,
    out: RunFolder = None,
    held_out: HeldOut = None,
    validation: Validation = None,
    epochs: Epochs = None,
    encoder: EncoderName = None,
    encoder_weights: EncoderWeights = None,
    start: Start = None,
    time_limit: TimeLimit = None,
    resume: Resume = False,
    steps_more: StepsMore = 0,
    find_lr: FindLr = False,
    cache: Cache = None,
    smoke_test: Smoke = False,
) -> None:
    """Train a model by a recipe."""
    plan = changed(
        load_plan(recipe, task="segmentation"),
        held_out=held_out,
        validation=validation,
        epochs=epochs,
        encoder=encoder,
    )
    with tempfile.TemporaryDirectory() as scratch:
        if smoke_test:
            assert isinstance(plan, SegRecipe)
            plan, data = smoke(plan), generate_cars(Path(scratch) / "cars")
            out, cache = out or Path(scratch) / "run", Path(scratch) / "cache"
        if data is None:
            raise typer.BadParameter("--data is needed (or --smoke).")
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


@app.command("eval")
def evaluate_model(
    model: Annotated[str, typer.Argument(help="A model, model.tag or saved folder.")],
    data: Annotated[Path, typer.Option(help="Folder of images and masks.")],
    native: Annotated[
        Path | None, typer.Option(help="Folder of full-size files: those of validation cars count.")
    ] = None,
    size: Annotated[int | None, typer.Option(help="Of the squares; else the weights' own.")] = None,
    validation: Annotated[
        int | None, typer.Option(help="Cars, by name, that validate; else the training's or 63.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Measure all images, of a folder new to the weights.")
    ] = False,
    weights: Annotated[str | None, typer.Option(help="A tag or a *.safetensors file.")] = None,
    allow_empty: AllowEmpty = False,
    ignore_index: IgnoreIndex = None,
    mask_threshold: MaskThreshold = None,
    out: Annotated[Path, typer.Option(help="Folder for the JSON and the picture.")] = RESULTS,
    dirty: Dirty = False,
) -> None:
    """Measure on the validation images; prints a table, writes OUT/NAME.json and OUT/NAME.jpg."""
    check_results(out, dirty=dirty)
    name, sha256, net = open_model(model, weights)
    if not hasattr(net, "classes"):
        raise OptionError(f"{name} is no segmentation model.")
    segmenter = Segmenter(net, precision="fp32", size=size)
    reading = Reading(net.classes, net.in_chans, allow_empty, ignore_index, mask_threshold)
    split = split_to_measure(net.split, validation)
    pairs = unseen_pairs(data, split) if everything else validation_pairs(data, split)
    title = "all" if everything else "validation"
    sets = {title: evaluate(segmenter.logits, pairs, size=segmenter.size, reading=reading)}
    if native is not None:
        groups = {pair.group for pair in pairs}
        large = [pair for pair in list_pairs(native) if pair.group in groups]
        if not large:
            raise DataError(f"{native} has no image of a validation car of {data}.")
        sets[f"{title}-native"] = evaluate(segmenter.logits, large, size=None, reading=reading)
    result = {
        "model": name,
        "task": "segmentation",
        "size": segmenter.size,
        "split": "all" if everything else asdict(SplitRule.parse(split)),
        "protocol": PROTOCOL,
        **cost(net, segmenter.size, segmenter.size, label=str(segmenter.size)),
        "weights_sha256": sha256,
        "start_sha256": start_sha256(model if Path(model).is_dir() else name),
        "sets": sets,
        "environment": environment(),
    }
    write_result(result, out, dirty=dirty)
    with replacing(out / f"{name}.jpg") as part:
        extremes(segmenter, pairs, sets[title], reading).save(part, quality=90)
    print(table(result, beside_lesson=fingerprint(pairs) == LESSON_CARS))


def table(result: dict[str, Any], *, beside_lesson: bool) -> Table:
    """A row for each set and each of its classes; the lesson's rows at the same size if asked."""
    grid = Table("", "measured", *METRICS, "s / image", title=result["model"])
    for title, row in result["sets"].items():
        at = "native" if title.endswith("native") else str(result["size"])
        grid.add_row(result["model"], f"{title} @{at}", *cells(row, at), f"{row['seconds']:.2f}")
        for number, figures in row.get("classes", {}).items():
            grid.add_row(f"class {number}", f"{title} @{at}", *cells(figures, at))
    for (net, size), (accuracy, dice) in LESSON.items():
        if beside_lesson and size == result["size"]:
            pooled = "-" if dice is None else f"{dice:.5f}"
            grid.add_row(f"the lesson's {net}", f"validation @{size}", f"{accuracy:.5f}", pooled)
    return grid


def cells(figures: dict[str, Any], at: str) -> list[str]:
    """The metrics as text, "-" for one that there is not."""
    values = [figures.get(f"{metric}@{at}") for metric in METRICS]
    return ["-" if value is None else f"{value:.5f}" for value in values]


if __name__ == "__main__":
    try:
        app()
    except ZooError as error:
        sys.exit(f"error: {error}")

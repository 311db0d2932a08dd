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
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from card import LESSON
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
from outlines import Prediction, draw
from rich import print
from rich.table import Table

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
    StepsMore,
    TimeLimit,
    Validation,
)
from zoo.errors import DataError, OptionError, ZooError
from zoo.inference.segmenter import Segmenter
from zoo.seg.data.folders import Pair, find_problems, list_pairs
from zoo.seg.measure.evaluate import METRICS, PROTOCOL, evaluate, load_at, validation_pairs
from zoo.store.atomic import replacing
from zoo.train.run import changed, load_plan, train_by
from zoo.train.segmentation import SegRecipe, smoke

app = typer.Typer(add_completion=False, no_args_is_help=True)


@app.command()
def check(
    data: Annotated[Path, typer.Option(help="Folder of images and masks.")],
    classes: Annotated[int, typer.Option(help="1 for an object before its background.")] = 1,
    allow_empty: Annotated[
        bool, typer.Option("--allow-empty", help="Accept masks without an object.")
    ] = False,
) -> None:
    """Read every file of a folder and name those that are missing, unreadable or misfit."""
    problems = find_problems(data, classes=classes, allow_empty=allow_empty)
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
        train_by(
            plan,
            data,
            out or Path("runs") / recipe.stem,
            encoder_weights=encoder_weights,
            cache=cache,
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
    validation: Annotated[int, typer.Option(help="Cars, by name, that validate.")] = 63,
    weights: Annotated[str | None, typer.Option(help="A tag or a *.safetensors file.")] = None,
    allow_empty: Annotated[
        bool, typer.Option("--allow-empty", help="Accept masks without an object.")
    ] = False,
    out: Annotated[Path, typer.Option(help="Folder for the JSON and the picture.")] = RESULTS,
    dirty: Dirty = False,
) -> None:
    """Measure on the validation cars; prints a table, writes OUT/NAME.json and OUT/NAME.jpg."""
    check_results(out, dirty=dirty)
    name, sha256, net = open_model(model, weights)
    if not hasattr(net, "classes"):
        raise OptionError(f"{name} is no segmentation model.")
    segmenter = Segmenter(net, precision="fp32", size=size)
    settings = {"classes": net.classes, "allow_empty": allow_empty}
    pairs = validation_pairs(data, validation)
    sets = {"validation": evaluate(segmenter.logits, pairs, size=segmenter.size, **settings)}
    if native is not None:
        groups = {pair.group for pair in pairs}
        large = [pair for pair in list_pairs(native) if pair.group in groups]
        if not large:
            raise DataError(f"{native} has no image of a validation car of {data}.")
        sets["validation-native"] = evaluate(segmenter.logits, large, size=None, **settings)
    result = {
        "model": name,
        "task": "segmentation",
        "size": segmenter.size,
        "protocol": PROTOCOL,
        **cost(net, segmenter.size, segmenter.size, label=str(segmenter.size)),
        "weights_sha256": sha256,
        "start_sha256": start_sha256(model if Path(model).is_dir() else name),
        "sets": sets,
        "environment": environment(),
    }
    write_result(result, out, dirty=dirty)
    with replacing(out / f"{name}.jpg") as part:
        extremes(segmenter, pairs, sets["validation"]).save(part, quality=90)
    print(table(result))


def extremes(segmenter: Segmenter, pairs: Sequence[Pair], figures: dict[str, Any]) -> Any:
    """A picture of the worst, the median and the best image by Dice."""
    ranked = sorted(pairs, key=lambda pair: figures["images"][pair.image.stem]["dice"])
    chosen = {
        "worst": ranked[0],
        "median": ranked[len(ranked) // 2],
        "best": ranked[-1],
    }
    panels = []
    for title, pair in chosen.items():
        classes = segmenter.model.classes
        image, mask = load_at(pair, segmenter.size, classes=classes, allow_empty=True)
        dice = figures["images"][pair.image.stem]["dice"]
        caption = f"{title}: {pair.image.stem}, dice {dice:.4f}"
        panels.append(Prediction(image, mask, segmenter.array(image) > 0, caption))
    return draw(panels)


def table(result: dict[str, Any]) -> Table:
    """One row for each set, and the lesson's rows at the same size."""
    grid = Table("", "measured", *METRICS, "s / image", title=result["model"])
    for title, row in result["sets"].items():
        at = "native" if title.endswith("native") else str(result["size"])
        figures = [f"{row[f'{metric}@{at}']:.5f}" for metric in METRICS]
        grid.add_row(result["model"], f"{title} @{at}", *figures, f"{row['seconds']:.2f}")
    for (net, size), (accuracy, dice) in LESSON.items():
        if size == result["size"]:
            pooled = "-" if dice is None else f"{dice:.5f}"
            grid.add_row(f"the lesson's {net}", f"validation @{size}", f"{accuracy:.5f}", pooled)
    return grid


if __name__ == "__main__":
    try:
        app()
    except ZooError as error:
        sys.exit(f"error: {error}")

"""Train and evaluate super-resolution models.

python benchmarks/super_resolution.py train benchmarks/recipes/srresnet_x2.yaml --data PHOTOS
python benchmarks/super_resolution.py eval srresnet_x2 --data DIR --sets Set5 B100
python benchmarks/super_resolution.py eval bicubic --data DIR
python benchmarks/super_resolution.py eval srresnet_x2 --data DIR --degrade jpeg40 --degrade mixed
"""

from __future__ import annotations

import inspect
import math
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from common import (
    RESULTS,
    Dirty,
    Smoke,
    check_results,
    write_result,
)
from environment import environment
from feature_distance import networks
from PIL import Image
from rich import print
from rich.table import Table
from subjects import Subject, subjects

from zoo.commands.train import (
    FeatureWeights,
    FindLr,
    HeldOut,
    RecipeFile,
    Resume,
    RunFolder,
    Start,
    StepsMore,
    TimeLimit,
)
from zoo.errors import OptionError, ZooError, did_you_mean
from zoo.sr.data.pairs import Degradation
from zoo.sr.degradations.named import NAMED
from zoo.sr.measure.evaluate import PROTOCOL, SETS, Distance, evaluate, find_set, told_apart
from zoo.train.chain import train_chain
from zoo.train.run import changed, load_plan
from zoo.train.sr_recipe import SRRecipe, smoke

app = typer.Typer(add_completion=False, no_args_is_help=True)


@app.command()
def train(
    recipe: RecipeFile,
    data: Annotated[Path | None, typer.Option(help="Folder of photographs.")] = None,
    out: RunFolder = None,
    held_out: HeldOut = None,
    feature_weights: FeatureWeights = None,
    start: Start = None,
    time_limit: TimeLimit = None,
    resume: Resume = False,
    steps_more: StepsMore = 0,
    find_lr: FindLr = False,
    smoke_test: Smoke = False,
) -> None:
    """Train a model by a recipe."""
    plan = load_plan(recipe, task="super-resolution")
    plan = changed(plan, held_out=held_out, feature_weights=feature_weights)
    with tempfile.TemporaryDirectory() as scratch:
        if smoke_test:
            assert isinstance(plan, SRRecipe)
            plan, data = smoke(plan), generated_photographs(Path(scratch))
            out = out or Path(scratch) / "run"
        if data is None:
            raise typer.BadParameter("--data is needed (or --smoke).")
        train_chain(
            recipe,
            plan,
            data,
            out or Path("runs") / recipe.stem,
            start=start,
            time_limit=math.inf if time_limit is None else time_limit,
            resume=resume,
            steps_more=steps_more,
            find_lr=find_lr,
        )


def generated_photographs(folder: Path) -> Path:
    """Writes eight images of random blocks and gradients, for smoke tests of training."""
    rng = np.random.default_rng(0)
    for i in range(8):
        blocks = rng.integers(0, 256, (12, 12, 3)).repeat(16, 0).repeat(16, 1)
        ramp = np.linspace(0, 1, 192)[:, None, None]
        Image.fromarray((blocks * ramp).astype(np.uint8)).save(folder / f"{i}.png")
    return folder


@app.command("eval", context_settings={"allow_extra_args": True})
def evaluate_model(
    context: typer.Context,
    model: Annotated[
        str, typer.Argument(help="A model, model.tag, model.auto, saved folder or 'bicubic'.")
    ],
    data: Annotated[Path, typer.Option(help="Folder that holds the benchmark sets.")],
    sets: Annotated[list[str], typer.Option(help="Sets, by name or folder.")] = list(SETS),  # noqa: B006
    scale: Annotated[
        int | None, typer.Option(help="Of bicubic, else 2 and 4; a model knows its own.")
    ] = None,
    weights: Annotated[str | None, typer.Option(help="A tag or a *.safetensors file.")] = None,
    strength: Annotated[
        float | None, typer.Option(help="Between the weights psnr (0) and photo (1).")
    ] = None,
    degrade: Annotated[
        list[str] | None, typer.Option(help="Degrade the inputs; can be given again, or 'all'.")
    ] = None,
    resnet50: Annotated[str | None, typer.Option(help="ResNet50's file, for distances.")] = None,
    lite0: Annotated[str | None, typer.Option(help="Lite0's file, for distances.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for the JSON.")] = RESULTS,
    dirty: Dirty = False,
) -> None:
    """Measure on benchmark sets; prints a table and writes OUT/NAME.json.

    The name of a measurement on other sets than the three usual ones, or with degradations, ends in
    theirs, so that it replaces no other. The feature distances are those of perceptual.py;
    'default' instead of a file downloads the network.
    """
    check_results(out, dirty=dirty)
    sets = list(dict.fromkeys([*sets, *context.args]))
    for title in sets:
        find_set(data, title)
    if (resnet50 is None) != (lite0 is None):
        raise OptionError("Distances need both --resnet50 and --lite0.")
    distances = networks(resnet50, lite0) if resnet50 and lite0 else {}
    degradations = named(degrade or [])
    for measured in subjects(model, scale=scale, weights=weights, strength=strength):
        result = measure(measured, data, sets, degradations=degradations, distances=distances)
        write_result(result, out, dirty=dirty)
        print(table(result))


def named(names: Sequence[str]) -> dict[str, Degradation]:
    """The degradations of these names; raises OptionError for an unknown one."""
    if "all" in names:
        return NAMED
    for name in names:
        if name not in NAMED:
            raise OptionError(
                f"{name!r} is no degradation.{did_you_mean(name, NAMED)}"
                f" Known are {', '.join(NAMED)} and all."
            )
    return {name: NAMED[name] for name in names}


def measure(
    measured: Subject,
    data: Path,
    sets: list[str],
    *,
    degradations: Mapping[str, Degradation],
    distances: Mapping[str, Distance],
) -> dict[str, Any]:
    """Measures on benchmark sets; the result is ready for JSON.

    Without degradations it has the figures as "sets"; otherwise as "degraded", by degradation.
    """
    full = [title.strip("/").replace("/", "_") for title in sets]
    names = told_apart([Path(title).name for title in sets], full)
    suffix = "degraded" if degradations.keys() == NAMED.keys() else "_".join(degradations)

    def figures(degrade: Degradation | None) -> dict[str, Any]:
        return {
            shown: evaluate(
                measured.enlarge,
                find_set(data, title),
                scale=measured.scale,
                degrade=degrade,
                distances=distances,
            )
            for shown, title in zip(names, sets, strict=True)
        }

    rows: dict[str, Any]
    if degradations:
        rows = {
            "degraded": {
                title: {"degradation": inspect.getdoc(degrade), "sets": figures(degrade)}
                for title, degrade in degradations.items()
            }
        }
    else:
        rows = {"sets": figures(None)}
    parts = [
        measured.name,
        *([] if set(sets) == set(SETS) else names),
        *([suffix] if suffix else []),
    ]
    return {
        "model": "_".join(parts),
        "task": "super-resolution",
        "scale": measured.scale,
        "protocol": PROTOCOL,
        **measured.facts,
        **rows,
        "environment": environment(),
    }


def table(result: dict[str, Any]) -> Table:
    """One row for each set and degradation."""
    by_kind = result.get("degraded") or {"": {"sets": result["sets"]}}
    grid: Table | None = None
    for kind, content in by_kind.items():
        for title, row in content["sets"].items():
            metrics = [key for key in row if key not in ("images", "seconds")]
            grid = grid or Table("set", *metrics, "s / image", title=result["model"])
            figures = [f"{row[metric]:.4f}" for metric in metrics]
            grid.add_row(f"{title} {kind}".strip(), *figures, f"{row['seconds']:.2f}")
    assert grid is not None
    return grid


if __name__ == "__main__":
    try:
        app()
    except ZooError as error:
        sys.exit(f"error: {error}")

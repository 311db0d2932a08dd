"""Helpers of the benchmarks: brief trainings, opening a model, its cost, result files."""

from __future__ import annotations

import copy
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from environment import commit
from spectrum import grid_power, top_octave
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from zoo.create import create_model, load_model
from zoo.errors import OptionError, TrainingError
from zoo.predict import upscale
from zoo.registry import get_weights
from zoo.sr.data.pairs import Pair
from zoo.sr.measure.metrics import rgb_to_y
from zoo.store.atomic import replacing
from zoo.store.download import sha256_of
from zoo.store.folder import WEIGHTS_FILE
from zoo.train.checkpoints import START_FILE, check_place
from zoo.train.loop import Trainer
from zoo.train.recipe import Recipe
from zoo.train.task import Task

RESULTS = Path(__file__).parent / "results"


Smoke = Annotated[
    bool, typer.Option("--smoke", help="The whole path in a minute, on generated images.")
]
Dirty = Annotated[
    bool, typer.Option("--dirty", help="Keep the result of code that is in no commit.")
]


def open_model(model: str, weights: str | None) -> tuple[str, str, Any]:
    """The name for the results, the sha256 of the weight file, the model in eval mode.

    model: a name, a name with a tag or a saved folder. weights: a tag or a *.safetensors file.
    """
    if Path(model).is_dir():
        folder = Path(model).resolve()
        name = folder.parent.name if folder.name == "best" else folder.name  # named after the run
        return name, sha256_of(folder / WEIGHTS_FILE), load_model(folder)
    if weights and weights.endswith(".safetensors"):
        net = create_model(model, weights=weights).eval()
        return f"{model}_{Path(weights).stem}", sha256_of(Path(weights)), net
    known = get_weights(f"{model}.{weights}" if weights else model)
    return known.name, known.sha256, create_model(known.name).eval()


def cost(model: nn.Module, height: int, width: int, *, label: str) -> dict[str, int]:
    """Parameters, and "multiply_adds_LABEL" for one image of this size, on the meta device."""
    channels = getattr(model, "in_chans", 3)
    with FlopCounterMode(display=False) as counter, torch.device("meta"):
        copy.deepcopy(model).to("meta")(torch.empty(1, channels, height, width))
    return {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        f"multiply_adds_{label}": counter.get_total_flops() // 2,
    }


def scored(history: list[dict[str, float]]) -> tuple[str, list[dict[str, float]]]:
    """The metric that chose a run's weights, and the rows of its curve that have it.

    Segmentation has one score per image size; that of the last stage counts.
    """
    scores = ("minus_feature_loss", "psnr_y", "psnr_rgb", "dice_pooled@")  # in order of preference
    keys = [key for row in reversed(history) for key in row]
    metric = next(key for score in scores for key in keys if key.startswith(score))
    return metric, [row for row in history if metric in row]


def train_briefly(
    model: Any, recipe: Recipe, task: Task[Any]
) -> tuple[nn.Module, list[dict[str, float]]]:
    """Train without keeping the run; returns the averaged weights in eval mode and the curve.

    A loss that is not finite ends the training early; a study reports that as a result.
    """
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(model, recipe, Path(folder))
        try:
            trainer.fit(task)
        except TrainingError as error:
            typer.echo(error)
    return trainer.averaged.module.eval().cpu(), trainer.history


def every(steps: int) -> dict[str, int]:
    """Entries of a recipe that make it log, validate and save every `steps` steps."""
    return dict.fromkeys(("log_every", "validate_every", "checkpoint_every"), steps)


def spectrum(net: nn.Module, pairs: Sequence[Pair], *, scale: int) -> dict[str, float]:
    """Geometric means of finest-octave energy and grid power, relative to the originals'."""
    ratios = []
    for pair in pairs:
        result = rgb_to_y(upscale(pair.input, net, precision="fp32"))
        original = rgb_to_y(pair.target)
        ratios.append(
            (
                top_octave(result) / top_octave(original),
                grid_power(result, scale) / grid_power(original, scale),
            )
        )
    octave, grid = np.exp(np.log(ratios).mean(axis=0))
    return {"top_octave": float(octave), "grid": float(grid)}


def check_results(folder: Path, *, dirty: bool) -> None:
    """Find out, before a measurement, whether its result can be kept in a folder.

    Raises:
        OptionError: it is for benchmarks/results, the code has changes that no commit has, and
            `dirty` does not allow that.
        TrainingError: the folder can't be made or written to.
    """
    check_place(folder)
    changed = (commit() or "").endswith("-dirty")
    if changed and not dirty and folder.resolve() == RESULTS.resolve():
        raise OptionError(
            "The code has changes that are in no commit, so nobody could repeat the result: commit"
            " them, choose another --out, or pass --dirty."
        )


def write_result(result: dict[str, Any], folder: Path, *, dirty: bool = False) -> None:
    """Writes FOLDER/MODEL.json.

    result: has the sha256 of what was measured and of where that began, as "weights_sha256" and
        "start_sha256"; None says that there is no such file.
    Raises what `check_results` raises.
    """
    missing = {"weights_sha256", "start_sha256"} - result.keys()
    if missing:
        raise ValueError(f"a result has {' and '.join(sorted(missing))}, or None for it")
    check_results(folder, dirty=dirty)
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / f"{result['model']}.json") as part:
        part.write_text(json.dumps(result, indent=1) + "\n")


def start_sha256(model: str) -> str | None:
    """The sha256 of the weights that a run's folder or published weights began with, if known."""
    if Path(model).is_dir():
        file = Path(model).resolve().parent / START_FILE
        return json.loads(file.read_text())["sha256"] if file.is_file() else None
    curve = RESULTS / f"{model}.history.json"
    last = json.loads(curve.read_text())[-1] if curve.is_file() else {}
    return last.get("start_sha256")

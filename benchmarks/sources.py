"""A study of what SRResNet ×2 learns from: photographs, a teacher's results, drawings.

python benchmarks/sources.py --data PHOTOGRAPHS --targets TEACHER --drawings DRAWINGS [VARIANT ...]

The ×2 weights go on for the same steps in several ways. All are measured on held-out photographs
and on sharp pictures: large photographs, also set aside, at half their sides. Each variant adds its
row to OUT/sources.json. DRAWINGS holds vector drawings, rendered at four times their size and
shrunk.
"""

from __future__ import annotations

import json
import math
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from accelerate import Accelerator
from common import RESULTS, Dirty, check_results, every, train_briefly, write_result
from environment import environment
from PIL import Image
from torch import Tensor, nn

from zoo.create import create_model
from zoo.errors import OptionError, ZooError, did_you_mean
from zoo.pictures.files import list_images
from zoo.predict import upscale
from zoo.registry import get_weights
from zoo.sr.data.pairs import Pair, PairedPatches, load_pair
from zoo.sr.measure.metrics import psnr_y
from zoo.train.checkpoints import start_from
from zoo.train.sr_recipe import SRRecipe, SRStage
from zoo.train.super_resolution import SuperResolution, split_held_out
from zoo.train.teacher import blend

START = "srresnet_x2.psnr"
SCALE = 2
SHRUNK = (0.5,)  # copies of the training photographs
LARGE = 1_000_000  # pixels of a photograph that can become a sharp picture
PROTOCOL = (
    f"{START}, then the same steps on each source; mean psnr_y of held-out photographs, and of "
    f"others above {LARGE:,} pixels, also held out, at half their sides; teacher_share: of the "
    "loss; drawings: the chance that a patch shows a drawing; results of single runs"
)


@dataclass(frozen=True)
class Variant:
    teacher_share: float = 0.0
    drawings: float = 0.0
    batch: int = 8
    patch: int = 48


VARIANTS = {
    "photographs": Variant(),
    "teacher_half": Variant(teacher_share=0.5),
    "teacher_most": Variant(teacher_share=0.9),
    "drawings": Variant(drawings=0.1),
    "larger_batches": Variant(batch=16, patch=64),
}


class Sources(SuperResolution):
    """Super-resolution whose loss and batches follow a variant."""

    drawings: PairedPatches
    variant = Variant()

    def loss(self, prediction: Tensor, target: Tensor) -> Tensor:
        return blend(self.measure, prediction, target, self.variant.teacher_share)

    def batch(self, stage: SRStage, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        drawn = torch.rand(stage.batch, generator=generator, device=generator.device)
        count = int((drawn < self.variant.drawings).sum())
        parts = [
            source.batch(size, stage.patch, generator, candidates=stage.candidates)
            for source, size in ((self.patches, stage.batch - count), (self.drawings, count))
            if size
        ]
        inputs, targets = zip(*parts, strict=True)
        return torch.cat(inputs), torch.cat(targets)


def main(
    data: Annotated[Path, typer.Option(help="Folder of photographs to train on.")],
    targets: Annotated[Path, typer.Option(help="A teacher's results, see docs/training.md.")],
    drawings: Annotated[Path, typer.Option(help="Folder of rendered drawings.")],
    variants: Annotated[list[str], typer.Argument(help="Those to run.")] = list(VARIANTS),  # noqa: B006
    steps: Annotated[int, typer.Option(min=1, help="Of each training.")] = 1500,
    held_out: Annotated[int, typer.Option(min=1, help="Photographs set aside.")] = 24,
    out: Annotated[Path, typer.Option(help="Folder for the JSON.")] = RESULTS,
    dirty: Dirty = False,
) -> None:
    """Train on several sources from the same weights."""
    check_results(out, dirty=dirty)
    for name in variants:
        if name not in VARIANTS:
            known = f"{', '.join(VARIANTS)}.{did_you_mean(name, VARIANTS)}"
            raise OptionError(f"{name!r} is no variant; there are {known}")
    train, sets = set_aside(data, held_out)
    recipe = SRRecipe(
        model={"name": "srresnet_x2", "start": START},
        optimizer={"name": "muon", "adam_modules": ["head", "tail"], "adam_ratio": 0.25},
        stages=[{"steps": steps, "batch": 8, "patch": 48, "lr": 5e-4}],
        shrunk=SHRUNK,
        teacher={"targets": targets, "share": 0.5},  # each variant has its own share
        ema=0.99,
        clip=1.0,
        held_out=1,  # for the loop; `sets` are measured
        **every(steps),
    )
    with tempfile.TemporaryDirectory() as scratch:
        folder = link(train, Path(scratch))
        task = Sources(recipe, folder, scale=SCALE, device=Accelerator().device, cache=targets)
    task.drawings = read_drawings(drawings)
    if "start" not in load_rows(out):
        row = score(create_model(START).eval(), sets)
        add_row("start", row, out, steps=steps, dirty=dirty)
    for name in variants:
        task.variant = variant = VARIANTS[name]
        stage = SRStage(
            steps=steps,
            batch=variant.batch,
            patch=variant.patch,
            candidates=4,
            lr=5e-4,
            warmup=min(50, steps),
        )
        torch.manual_seed(0)
        model = create_model("srresnet_x2")
        start_from(model, START, min_copied=1)
        net, _ = train_briefly(model, recipe.model_copy(update={"stages": (stage,)}), task)
        row = asdict(variant) | score(net, sets)
        add_row(name, row, out, steps=steps, dirty=dirty)


def read_drawings(folder: Path) -> PairedPatches:
    """Patches of drawings; these are free of noise, so a teacher has nothing to add."""
    pairs = [load_pair(file, scale=SCALE) for file in list_images(folder, recursive=False)]
    twice = [pair._replace(target=np.dstack([pair.target] * 2)) for pair in pairs]
    return PairedPatches(twice, scale=SCALE)


def set_aside(folder: Path, count: int) -> tuple[list[Path], dict[str, list[Pair]]]:
    """The photographs to train on, and two sets that are not: the `count` that a training holds
    out, and sharp pictures, made of every third large one of the others.
    """
    train, held_out = split_held_out(list_images(folder, recursive=False), count)
    large = [file for file in train if math.prod(Image.open(file).size) > LARGE][::3]
    return [file for file in train if file not in large], {
        "photographs": [load_pair(file, scale=SCALE) for file in held_out],
        "sharp": [load_pair(file, scale=SCALE, share=0.5) for file in large],
    }


def link(files: list[Path], folder: Path) -> Path:
    """A folder with these files alone."""
    for file in files:
        (folder / file.name).symlink_to(file.resolve())
    return folder


def score(net: nn.Module, sets: dict[str, list[Pair]]) -> dict[str, float]:
    """Mean psnr_y in dB over each set."""

    def of(pair: Pair) -> float:
        return psnr_y(upscale(pair.input, net, precision="fp32"), pair.target, crop=SCALE)

    return {name: float(np.mean([of(pair) for pair in pairs])) for name, pairs in sets.items()}


def load_rows(folder: Path) -> dict[str, Any]:
    file = folder / "sources.json"
    return json.loads(file.read_text())["variants"] if file.is_file() else {}


def add_row(name: str, row: dict[str, Any], folder: Path, *, steps: int, dirty: bool) -> None:
    """Adds a variant's row to the results, or replaces it."""
    study = {
        "model": "sources",
        "protocol": PROTOCOL,
        "steps": steps,
        "weights_sha256": None,  # those of the variants are not kept
        "start_sha256": get_weights(START).sha256,
        "variants": load_rows(folder) | {name: row},
        "environment": environment(),
    }
    write_result(study, folder, dirty=dirty)
    print(name, row, flush=True)


if __name__ == "__main__":
    try:
        typer.run(main)
    except ZooError as error:
        sys.exit(f"error: {error}")

"""A study of losses: how each changes the enlarged images.

python benchmarks/losses.py --data PHOTOGRAPHS --feature-weights FILE

The ×4 weights are trained briefly by squared error, by L1, by the feature loss, and by the feature
loss without its terms against patterns. Writes OUT/losses.json and PICTURE.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import skimage.data
import torch
import typer
from accelerate import Accelerator
from common import RESULTS, Dirty, check_results, every, spectrum, train_briefly, write_result
from environment import environment
from rich import print

from zoo.create import create_model
from zoo.errors import ZooError
from zoo.pictures.comparison import Row, draw
from zoo.predict import upscale
from zoo.registry import get_weights
from zoo.sr.data.imresize import bicubic_downscale, bicubic_upscale, crop_to_multiple
from zoo.store.atomic import replacing
from zoo.store.state_dict import checksum
from zoo.train.checkpoints import start_from
from zoo.train.recipe import load_recipe
from zoo.train.sr_recipe import FeatureSection, SRRecipe
from zoo.train.super_resolution import SuperResolution

PICTURE = Path(__file__).parents[1] / "docs" / "losses.png"
RECIPE = Path(__file__).parent / "recipes" / "srresnet_x4_perceptual.yaml"  # for its feature loss
START = "srresnet_x4.psnr"
SCALE = 4
PART = (168, 250, 96)  # of scikit-image's cat: top, left, side
PROTOCOL = (
    f"{START}, then the same steps by each loss; on the middles of held-out photographs: psnr_y as "
    "in super_resolution.py; top_octave: energy of waves 2 to 4 pixels long, grid: power at "
    "multiples of 1/4 cycles per pixel over that of their neighbourhood, both relative to the "
    "original's, geometric means"
)


def main(
    data: Annotated[Path, typer.Option(help="Folder of photographs to train on.")],
    feature_weights: Annotated[
        str | None, typer.Option(help="A normalised VGG19; else torchvision's VGG16-BN.")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Of each training.")] = 300,
    held_out: Annotated[int, typer.Option(min=1, help="Photographs set aside.")] = 24,
    out: Annotated[Path, typer.Option(help="Folder for the JSON.")] = RESULTS,
    picture: Annotated[Path, typer.Option(help="File of the picture.")] = PICTURE,
    dirty: Dirty = False,
) -> None:
    """Train by several losses from the same weights."""
    check_results(out, dirty=dirty)
    feature = FeatureSection(grid=25, excess=40)
    if feature_weights is not None:
        section = load_recipe(RECIPE, SRRecipe).feature
        feature = section.model_copy(update={"weights": feature_weights})
    cat = crop_to_multiple(skimage.data.chelsea(), SCALE)
    small = bicubic_downscale(cat, SCALE)
    trained: dict[str, str] = {}
    results, versions = {}, {"bicubic": bicubic_upscale(small, SCALE)}
    recipe = SRRecipe(
        model={"name": "srresnet_x4", "start": START},
        feature=feature,
        stages=[{"steps": steps, "batch": 8, "patch": 24, "lr": 2e-4, "warmup": min(50, steps)}],
        ema=0.99,
        clip=1.0,
        held_out=held_out,
        **every(steps),
    )
    task = SuperResolution(recipe, data, scale=SCALE, device=Accelerator().device)
    losses: dict[str, dict[str, Any]] = {
        "MSE": {"loss": "mse"},
        "L1": {"loss": "l1"},
        "feature loss": {"loss": "feature"},
        "features alone": {
            "loss": "feature",
            "feature": feature.model_copy(update={"grid": 0.0, "excess": 0.0}),
        },
    }
    for loss, changes in losses.items():
        recipe = recipe.model_copy(update=changes)
        task.measure_by(recipe)
        torch.manual_seed(0)
        model = create_model("srresnet_x4")
        start_from(model, START, min_copied=1)
        net, history = train_briefly(model, recipe, task)
        trained[loss] = checksum(net.state_dict())
        results[loss] = {
            "psnr_y": history[-1]["psnr_y"],
            **spectrum(net, task.held_out, scale=SCALE),
        }
        versions[loss] = upscale(small, net, precision="fp32")
    study = {
        "model": "losses",
        "protocol": PROTOCOL,
        "steps": steps,
        "weights_sha256": trained,
        "start_sha256": get_weights(START).sha256,
        "losses": results,
        "environment": environment(),
    }
    write_result(study, out, dirty=dirty)
    captions = {
        loss: f"{row['psnr_y']:.2f} dB, detail {row['top_octave']:.0%}, grid {row['grid']:.1f}"
        for loss, row in results.items()
    }
    top, left, side = PART
    versions["original"] = cat
    rows = slice(top, top + side), slice(left, left + side)
    crops = {title: image[rows] for title, image in versions.items()}
    picture.parent.mkdir(parents=True, exist_ok=True)
    with replacing(picture) as part:
        draw([Row(cat, PART, crops, captions)]).save(part, format="png")
    print(results)


if __name__ == "__main__":
    try:
        typer.run(main)
    except ZooError as error:
        sys.exit(f"error: {error}")

"""What the loss does to the picture.

python benchmarks/losses.py --data PHOTOGRAPHS --feature-weights FILE

SRResNet ×4, grown out of the ×2 weights, gets the same short training by squared error, by L1 and
by the feature loss. Writes OUT/losses.json and PICTURE.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import skimage.data
import torch
import typer
from accelerate import Accelerator
from common import RESULTS, train_briefly, write_result
from rich import print
from torch import nn

from zoo.atomic import replacing
from zoo.comparison import Row, draw
from zoo.errors import ZooError
from zoo.predict import upscale
from zoo.provenance import environment
from zoo.registry import create_model
from zoo.sr.imresize import bicubic_downscale, bicubic_upscale, crop_to_multiple
from zoo.sr.metrics import rgb_to_y
from zoo.sr.spectrum import top_octave
from zoo.train.checkpoints import start_from
from zoo.train.super_resolution import SRRecipe, SuperResolution

PICTURE = Path(__file__).parents[1] / "docs" / "losses.png"
START = "srresnet_x2.psnr"
SCALE = 4
PART = (168, 250, 96)  # of scikit-image's cat: top, left, side
PROTOCOL = (
    f"SRResNet ×{SCALE} from {START}, the same steps by each loss; on the middles of held-out "
    "photographs: psnr_y as in super_resolution.py, top_octave: energy of waves 2 to 4 pixels long "
    "relative to the original's, geometric mean"
)


def main(
    data: Annotated[Path, typer.Option(help="Folder of photographs to train on.")],
    feature_weights: Annotated[
        str | None, typer.Option(help="A normalised VGG19; else torchvision's VGG16-BN.")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Of each training.")] = 600,
    held_out: Annotated[int, typer.Option(min=1, help="Photographs set aside.")] = 24,
    out: Annotated[Path, typer.Option(help="Folder for the JSON.")] = RESULTS,
    picture: Annotated[Path, typer.Option(help="File of the picture.")] = PICTURE,
) -> None:
    """Train by three losses from the same weights."""
    feature: dict[str, Any] = {}
    if feature_weights is not None:
        feature = {"net": "vgg19_normalised", "weights": feature_weights}
    cat = crop_to_multiple(skimage.data.chelsea(), SCALE)
    small = bicubic_downscale(cat, SCALE)
    results, versions = {}, {"bicubic": bicubic_upscale(small, SCALE)}
    recipe = SRRecipe(
        model={"name": "srresnet_x4", "start": START},
        feature=feature,
        stages=[{"steps": steps, "batch": 8, "patch": 24, "lr": 3e-4, "warmup": min(50, steps)}],
        ema=0.99,
        clip=1.0,
        held_out=held_out,
        log_every=steps,
        validate_every=steps,
        checkpoint_every=steps,
    )
    task = SuperResolution(recipe, data, scale=SCALE, device=Accelerator().device)
    for loss in ("mse", "l1", "feature"):
        recipe = recipe.model_copy(update={"loss": loss})
        task.measure_by(recipe)
        torch.manual_seed(0)
        model = create_model("srresnet_x4")
        start_from(model, START, min_copied=0.5)
        net, history = train_briefly(model, recipe, task)
        ratios = [sharpness(net, pair.input, pair.target) for pair in task.held_out]
        results[loss] = {
            "psnr_y": history[-1]["psnr_y"],
            "top_octave": float(np.exp(np.log(ratios).mean())),
        }
        versions[loss] = upscale(small, net, precision="fp32")
    study = {
        "model": "losses",
        "protocol": PROTOCOL,
        "steps": steps,
        "losses": results,
        "environment": environment(),
    }
    write_result(study, out)
    captions = {
        loss: f"{row['psnr_y']:.2f} dB, fine detail {row['top_octave']:.0%}"
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


def sharpness(net: nn.Module, small: Any, target: Any) -> float:
    """Energy of the finest octave, relative to the original's."""
    return top_octave(rgb_to_y(upscale(small, net, precision="fp32"))) / top_octave(
        rgb_to_y(target)
    )


if __name__ == "__main__":
    try:
        typer.run(main)
    except ZooError as error:
        sys.exit(f"error: {error}")

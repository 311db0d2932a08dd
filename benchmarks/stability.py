"""A study of training stability: residual scaling, batch size, batch norm.

python benchmarks/stability.py --data PHOTOGRAPHS

Trains a small deep network at a high learning rate, with residual branches scaled by 1 and by 0.1
and with batch norm in the blocks, each in small and in large batches. Writes OUT/stability.json and
PICTURE.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from accelerate import Accelerator
from common import RESULTS, Dirty, check_results, every, train_briefly, write_result
from environment import environment
from rich import print
from torch import Tensor, nn

from zoo.create import create_model
from zoo.errors import ZooError
from zoo.registry import register_model
from zoo.sr.networks.srresnet import SRResNet
from zoo.store.atomic import replacing
from zoo.store.state_dict import checksum
from zoo.train.sr_recipe import SRRecipe
from zoo.train.super_resolution import SuperResolution

PICTURE = Path(__file__).parents[1] / "docs" / "stability.png"
PROTOCOL = (
    "SRResNet ×2, 24 wide, 16 blocks, Adam at a constant rate without warm-up, clipping and "
    "averaging, patches of 16; psnr_y as in super_resolution.py, of the weights as they are, on "
    "the middles of held-out photographs"
)


class Normalised(nn.Module):
    """A residual block of image classifiers, with batch norm after each convolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.LeakyReLU(0.1),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
        )

    def forward(self, x: Tensor) -> Tensor:
        added: Tensor = x + self.layers(x)
        return added


@register_model(task="super-resolution")
def study_blocks(*, res_scale: float = 1.0, norm: bool = False) -> SRResNet:
    """A narrow SRResNet ×2 of 16 blocks, plain or with batch norm."""
    net = SRResNet(2, width=24, depth=16, res_scale=res_scale)
    if norm:
        net.body = nn.Sequential(*(Normalised(24) for _ in range(16)))
    return net


STABILITY: dict[str, tuple[dict[str, Any], int]] = {
    "res_scale 1, batch 16": ({"res_scale": 1.0}, 16),
    "res_scale 0.1, batch 16": ({"res_scale": 0.1}, 16),
    "res_scale 1, batch 128": ({"res_scale": 1.0}, 128),
    "res_scale 0.1, batch 128": ({"res_scale": 0.1}, 128),
    "batch norm, batch 16": ({"norm": True}, 16),
    "batch norm, batch 128": ({"norm": True}, 128),
}


def main(
    data: Annotated[Path, typer.Option(help="Folder of photographs to train on.")],
    steps: Annotated[int, typer.Option(min=1, help="At batch 16; half of it at 128.")] = 400,
    lr: Annotated[float, typer.Option(help="High, for Adam.")] = 5e-3,
    held_out: Annotated[int, typer.Option(min=1, help="Photographs set aside.")] = 24,
    out: Annotated[Path, typer.Option(help="Folder for the JSON.")] = RESULTS,
    picture: Annotated[Path, typer.Option(help="File of the picture.")] = PICTURE,
    dirty: Dirty = False,
) -> None:
    """Train with and without what is said to stabilise."""
    check_results(out, dirty=dirty)
    curves: dict[str, list[dict[str, float]]] = {}
    trained: dict[str, str] = {}
    task: SuperResolution | None = None
    for name, (options, batch) in STABILITY.items():
        length = steps if batch == 16 else max(1, steps // 2)
        stage = {"steps": length, "batch": batch, "patch": 16, "lr": lr, "schedule": "constant"}
        recipe = SRRecipe(
            model={"name": "study_blocks", "options": options},
            stages=[stage],
            ema=0,
            held_out=held_out,
            **every(max(1, steps // 20)),
        )
        torch.manual_seed(0)
        model = create_model("study_blocks", **options)
        task = task or SuperResolution(recipe, data, scale=2, device=Accelerator().device)
        net, curves[name] = train_briefly(model, recipe, task)
        trained[name] = checksum(net.state_dict())
    study = {
        "model": "stability",
        "protocol": PROTOCOL,
        "lr": lr,
        "weights_sha256": trained,
        "start_sha256": None,  # random weights
        "curves": curves,
        "environment": environment(),
    }
    write_result(study, out, dirty=dirty)
    plot(curves, picture)
    print({name: rows[-1] if rows else None for name, rows in curves.items()})


def plot(curves: dict[str, list[dict[str, float]]], file: Path) -> None:
    """Plots PSNR over the steps: one colour for each network, dashed for large batches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    colours = {"res_scale 1": "C0", "res_scale 0.1": "C1", "batch norm": "C2"}
    for name, rows in curves.items():
        network, batch = name.split(", ")
        style = "--" if batch.endswith("128") else "-"
        x, y = [row["step"] for row in rows], [row["psnr_y"] for row in rows]
        axes.plot(x, y, style, color=colours[network], label=name)
    axes.set(xlabel="step", ylabel="held-out psnr_y (dB)")
    axes.grid(alpha=0.3)
    axes.legend()
    file.parent.mkdir(parents=True, exist_ok=True)
    with replacing(file) as part:
        figure.savefig(part, format="png", dpi=100)


if __name__ == "__main__":
    try:
        typer.run(main)
    except ZooError as error:
        sys.exit(f"error: {error}")

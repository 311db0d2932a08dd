"""A study of upsamplers: the cost of each, and whether it produces checkerboards.

python benchmarks/upsampling.py --data PHOTOGRAPHS          # some minutes on two cores

Small SRResNets ×2 that differ only in their upsampler get the same short training: transposed
convolution, nearest neighbour + convolution, pixel shuffle with and without ICNR. For comparison,
as in the lesson, the same blocks also run at high resolution, after an enlargement. Writes
OUT/upsampling.json and FIGURE.
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import skimage.data
import torch
import torch.nn.functional as F
import typer
from accelerate import Accelerator
from common import RESULTS, Dirty, check_results, cost, every, spectrum, train_briefly, write_result
from environment import environment
from numpy.typing import NDArray
from PIL import Image
from rich import print
from rich.table import Table
from spectrum import grid_power
from torch import Tensor, nn

from zoo.create import create_model
from zoo.errors import ZooError
from zoo.layers.upsampling import UpsamplerKind
from zoo.pictures.comparison import lay_out
from zoo.pictures.picture import to_tensor
from zoo.predict import upscale
from zoo.registry import register_model
from zoo.sr.data.imresize import bicubic_downscale
from zoo.sr.networks.srresnet import SRResNet
from zoo.store.atomic import replacing
from zoo.store.state_dict import checksum
from zoo.train.sr_recipe import SRRecipe
from zoo.train.super_resolution import SuperResolution

SIZE = {"width": 32, "depth": 4}
FIGURE = Path(__file__).parents[1] / "docs" / "upsampling.png"
PROTOCOL = (
    "the same training of SRResNet ×2, 32 wide and 4 deep; psnr_y as in super_resolution.py on the "
    "middles of held-out photographs; grid: power at 1/2 cycles per pixel over that of its "
    "neighbourhood, at the start of the learned detail alone, after training of the result's luma "
    "relative to the original's, geometric mean; seconds: median of a forward, taken in turns"
)


class Plain(SRResNet):
    """Pixel shuffle without ICNR: its filters are initialised independently of each other."""

    def __init__(self) -> None:
        super().__init__(2, **SIZE)
        for module in self.upsampler.modules():
            if isinstance(module, nn.Conv2d):
                module.reset_parameters()


class EnlargeFirst(SRResNet):
    """The same blocks at the result's resolution: the input is enlarged first."""

    def __init__(self) -> None:
        super().__init__(1, **SIZE)
        self.scale = 2

    def forward(self, x: Tensor) -> Tensor:
        large = F.interpolate(x, scale_factor=2, mode="bilinear")
        features = self.head((large - self.mean) / self.std)
        features = features + self.fuse(self.body(features))
        return large + self.tail(features) * self.std


@register_model(task="super-resolution")
def study_upsampler(*, kind: UpsamplerKind = "pixelshuffle") -> SRResNet:
    """An SRResNet with one of its own upsamplers."""
    return SRResNet(2, upsampler=kind, **SIZE)


@register_model(task="super-resolution")
def study_without_icnr() -> SRResNet:
    """Pixel shuffle without ICNR."""
    return Plain()


@register_model(task="super-resolution")
def study_enlarge_first() -> SRResNet:
    """Blocks at the result's resolution."""
    return EnlargeFirst()


VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "transposed": ("study_upsampler", {"kind": "transposed"}),
    "nearest": ("study_upsampler", {"kind": "nearest"}),
    "pixel shuffle": ("study_without_icnr", {}),
    "pixel shuffle + ICNR": ("study_upsampler", {"kind": "pixelshuffle"}),
    "enlarge first": ("study_enlarge_first", {}),
}


def main(
    data: Annotated[Path, typer.Option(help="Folder of photographs to train on.")],
    steps: Annotated[int, typer.Option(min=1, help="Of each training.")] = 1000,
    held_out: Annotated[int, typer.Option(min=1, help="Photographs set aside.")] = 24,
    out: Annotated[Path, typer.Option(help="Folder for the JSON.")] = RESULTS,
    figure: Annotated[Path, typer.Option(help="File of the figure.")] = FIGURE,
    dirty: Dirty = False,
) -> None:
    """Train and measure every upsampler; prints a table."""
    check_results(out, dirty=dirty)
    models = {}
    for name, (architecture, options) in VARIANTS.items():
        torch.manual_seed(0)
        models[name] = create_model(architecture, **options)
    small = bicubic_downscale(skimage.data.coffee(), 2)
    before = {name: detail(model, small) for name, model in models.items()}
    seconds = timings(models, to_tensor(small)[None])
    recipe = SRRecipe(
        model={"name": "study_upsampler"},
        stages=[{"steps": steps, "batch": 8, "patch": 32, "lr": 1e-3, "warmup": min(50, steps)}],
        ema=0.99,
        clip=1.0,
        held_out=held_out,
        **every(steps),
    )
    task = SuperResolution(recipe, data, scale=2, device=Accelerator().device)
    rows, crops = {}, {}
    for name, model in models.items():
        trained, history = train_briefly(model, recipe, task)
        rows[name] = {
            **cost(model, 360, 640, label="720p"),
            "seconds": seconds[name],
            "seconds_relative": seconds[name] / seconds["pixel shuffle + ICNR"],
            "grid_at_start": grid_power(before[name], 2),
            "grid": spectrum(trained, task.held_out, scale=2)["grid"],
            "psnr_y": history[-1]["psnr_y"],
            "sha256": checksum(trained.state_dict()),
        }
        crops[name] = (before[name], upscale(small, trained, precision="fp32"))
    result = {
        "model": "upsampling",
        "protocol": PROTOCOL,
        "steps": steps,
        "weights_sha256": {name: row.pop("sha256") for name, row in rows.items()},
        "start_sha256": None,  # random weights
        "variants": rows,
        "environment": environment(),
    }
    write_result(result, out, dirty=dirty)
    draw(rows, crops, figure)
    print(table(rows))


@torch.inference_mode()
def detail(model: nn.Module, small: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Luma of what an untrained network adds to bilinear enlargement, `[2H, 2W]`."""
    x = to_tensor(small)[None]
    added = model.eval()(x) - F.interpolate(x, scale_factor=2, mode="bilinear")
    weights = torch.tensor([65.481, 128.553, 24.966], dtype=torch.float64)
    luma: NDArray[np.float64] = (added[0].double() * weights.view(3, 1, 1)).sum(0).numpy()
    return luma


def timings(models: dict[str, Any], x: Tensor, repeats: int = 7) -> dict[str, float]:
    """Median seconds of a forward pass, in turns, so that other load affects all alike."""
    taken: dict[str, list[float]] = {name: [] for name in models}
    with torch.inference_mode():
        for turn in range(repeats + 1):
            for name, model in models.items():
                start = time.perf_counter()
                model.eval()(x)
                if turn:  # the first one warms up
                    taken[name].append(time.perf_counter() - start)
    return {name: statistics.median(times) for name, times in taken.items()}


def draw(rows: dict[str, Any], crops: dict[str, Any], file: Path) -> None:
    """Two rows of pictures: what an untrained network adds, and its result after the training."""
    starts, ends, captions = [], [], []
    for name, row in rows.items():
        start, trained = crops[name]
        part = start[180:228, 260:308]
        part = (part - part.min()) / max(np.ptp(part), 1e-9)
        starts.append(_zoom(np.rint(part * 255).astype(np.uint8)))
        ends.append(_zoom(trained[150:270, 320:440]))
        captions.append(
            (
                f"untrained: grid stands out {row['grid_at_start']:.1f}×",
                f"{row['psnr_y']:.2f} dB, {row['seconds_relative']:.1f}× the time\n"
                f"grid {row['grid']:.2f} of the original's",
            )
        )
    picture = lay_out([starts, ends], titles=list(rows), captions=list(zip(*captions, strict=True)))
    file.parent.mkdir(parents=True, exist_ok=True)
    with replacing(file) as part_file:
        picture.save(part_file, format="png")


def _zoom(pixels: Any) -> Image.Image:
    return Image.fromarray(pixels).resize((288, 288), Image.Resampling.NEAREST)


def table(rows: dict[str, Any]) -> Table:
    columns = ("parameters", "multiply-adds", "ms", "time", "grid at start", "grid", "PSNR-Y (dB)")
    grid = Table("", *columns, title="Upsampling")
    for name, row in rows.items():
        grid.add_row(
            name,
            f"{row['parameters']:,}",
            f"{row['multiply_adds_720p'] / 1e9:.1f} G",
            f"{1000 * row['seconds']:.0f}",
            f"{row['seconds_relative']:.2f}×",
            f"{row['grid_at_start']:.2f}",
            f"{row['grid']:.2f}",
            f"{row['psnr_y']:.2f}",
        )
    return grid


if __name__ == "__main__":
    try:
        typer.run(main)
    except ZooError as error:
        sys.exit(f"error: {error}")

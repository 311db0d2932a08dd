"""Which of timm's architectures work as encoders of dynamic_unet.

python benchmarks/encoders.py                 # all; --resume goes on
python benchmarks/encoders.py "convnext*" --out /tmp

Every network runs forward on one image of odd size on PyTorch's meta device, where tensors have
shapes but no data. Networks that fail there, because they read values, run on the CPU. One network
of each of twenty families also runs forward and backward with data.
"""

from __future__ import annotations

import collections
import gc
import json
import logging
import os
import re
import warnings
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any

import timm
import torch
import typer
from common import RESULTS, Dirty, check_results
from environment import environment
from rich import print
from rich.progress import track
from rich.table import Table
from torch import Tensor
from torch.overrides import TorchFunctionMode

from zoo.create import create_model
from zoo.seg.encoders.encoder import Encoder
from zoo.seg.encoders.timm_trunks import timm_trunk
from zoo.seg.networks.base import SegmentationModel
from zoo.seg.networks.unet import UnetDecoder
from zoo.store.atomic import replacing

SIZE = (157, 211)
FAMILIES = (
    "cspdarknet53",
    "convnext_atto",
    "densenet121",
    "dla46_c",
    "edgenext_xx_small",
    "fastvit_t8",
    "ghostnet_050",
    "hrnet_w18_small",
    "inception_next_atto",
    "levit_128s",
    "maxvit_rmlp_pico_rw_256",
    "mobilenetv3_small_050",
    "mobilevit_xxs",
    "pvt_v2_b0",
    "regnety_002",
    "repvgg_a0",
    "resnet18",
    "swin_tiny_patch4_window7_224",
    "tf_efficientnet_lite0",
    "vit_tiny_patch16_224",
)


def main(
    pattern: Annotated[str, typer.Argument(help="A wildcard of timm's names.")] = "*",
    out: Annotated[Path, typer.Option(help="Folder for encoders.json.")] = RESULTS,
    resume: Annotated[bool, typer.Option("--resume", help="Keep what the file has.")] = False,
    every: Annotated[int, typer.Option(help="Take only every n-th name, for a trial.")] = 1,
    jobs: Annotated[int, typer.Option(help="Processes; else one a core.")] = os.cpu_count() or 1,
    dirty: Dirty = False,
) -> None:
    """Build dynamic_unet on timm's architectures; prints a table and writes OUT/encoders.json."""
    check_results(out, dirty=dirty)
    quiet()
    file = out / "encoders.json"
    known = json.loads(file.read_text()) if resume and file.is_file() else {}
    shapes, real = known.get("shapes", {}), known.get("real", {})
    names = timm.list_models(pattern)[::every]
    todo = [name for name in names if name not in shapes]
    with ProcessPoolExecutor(jobs, get_context("spawn"), initializer=quiet, initargs=(1,)) as pool:
        rows = track(pool.map(check_shapes, todo), "shapes", total=len(todo))
        for i, (name, row) in enumerate(zip(todo, rows, strict=True)):
            shapes[name] = row
            if i % 20 == 19:
                write(file, shapes, real)
    for name in track([name for name in FAMILIES if name in names], "in earnest"):
        if name not in real:
            real[name] = check_in_earnest(name)
            write(file, shapes, real)
    write(file, shapes, real)
    print(table(shapes, real))


def quiet(threads: int | None = None) -> None:
    """Silence other packages' warnings in this process, and set the number of threads."""
    warnings.filterwarnings("ignore")
    logging.disable()
    if threads:
        torch.set_num_threads(threads)


class Blank(TorchFunctionMode):
    """Initialises large tensors with zeros, to save the time of drawing random numbers.

    (Networks can't be built on the meta device: many read values in their constructors.)
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        draws = re.fullmatch(r"[a-z]\w*_", func.__name__)  # normal_, kaiming_uniform_, ...
        tensor = args[0] if args else (kwargs or {}).get("tensor")
        if draws and isinstance(tensor, Tensor) and tensor.numel() > 50_000:
            # Above 32 MiB the system allocates zero pages, which take no memory until written.
            with torch.no_grad():
                return tensor if tensor.numel() > 8 << 20 else tensor.zero_()
        return func(*args, **(kwargs or {}))


def check_shapes(name: str) -> dict[str, Any]:
    """Whether timm builds the network with features_only, and whether dynamic_unet works on it."""
    gc.collect()
    try:
        with Blank():
            timm.create_model(name, features_only=True)
        features_only = True
    except Exception:  # any of timm's networks can raise anything
        features_only = False
    try:
        try:
            encoder = run_unet(name, "meta")
        except Exception:  # it may read values
            encoder = run_unet(name, "cpu")
    except Exception as error:
        return {"features_only": features_only, "works": False, "reason": short(error)}
    return {
        "features_only": features_only,
        "works": True,
        "strides": encoder.strides,
        "multiple": encoder.multiple,
        **({"resized_to": encoder.resized_to} if encoder.resized_to else {}),
    }


def run_unet(name: str, device: str) -> Encoder:
    """Build the U-Net, run it on one image and return its encoder."""
    with Blank():
        trunk = timm_trunk(name, weights=None, in_chans=3)
    trunk.module.to(device)
    with torch.device(device), torch.inference_mode():
        encoder = Encoder(trunk)
        decoder = UnetDecoder(
            encoder.channels, encoder.strides, widths=None, upsampler="nearest", classes=1
        )
        model = SegmentationModel(encoder, decoder, classes=1).eval()
        shape = tuple(model(torch.rand(1, 3, *SIZE)).shape)
    if shape != (1, 1, *SIZE):
        raise RuntimeError(f"its logits are {list(shape)}")
    return encoder


def check_in_earnest(name: str) -> dict[str, Any]:
    """Whether dynamic_unet runs forward and backward on two images in training mode."""
    torch.manual_seed(0)
    try:
        model = create_model("dynamic_unet", encoder=name)
        logits = model(torch.rand(2, 3, *SIZE))
        logits.square().mean().backward()
        first = next(model.encoder.trunk.parameters())
        if first.grad is None or not first.grad.isfinite().all() or not first.grad.any():
            raise RuntimeError("no gradient reaches its first layer")
    except Exception as error:
        return {"works": False, "reason": short(error)}
    return {"works": True}


def short(error: Exception) -> str:
    """The first line of a message, without memory addresses."""
    lines = str(error).strip().splitlines() or [""]
    text = re.sub(r" at 0x[0-9a-f]+", "", lines[0])
    return f"{type(error).__name__}: {text}"[:200]


def write(file: Path, shapes: dict[str, Any], real: dict[str, Any]) -> None:
    result = {
        "size": SIZE,
        "weights_sha256": None,
        "start_sha256": None,  # random weights
        "summary": summary(shapes),
        "real": real,
        "shapes": dict(sorted(shapes.items())),
        "environment": environment(),
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    with replacing(file) as part:
        part.write_text(json.dumps(result, indent=1) + "\n")


def summary(shapes: dict[str, Any]) -> dict[str, Any]:
    """Counts and percentages, of all names and of those that timm builds with features_only."""
    offered = [row for row in shapes.values() if row["features_only"]]
    working = [row for row in shapes.values() if row["works"]]
    return {
        "names": len(shapes),
        "working": len(working),
        "share": percent(len(working), len(shapes)),
        "features_only": len(offered),
        "features_only_working": sum(row["works"] for row in offered),
        "features_only_share": percent(sum(row["works"] for row in offered), len(offered)),
        "resized": sum("resized_to" in row for row in working),
    }


def percent(part: int, whole: int) -> float:
    return round(100 * part / max(whole, 1), 1)


def table(shapes: dict[str, Any], real: dict[str, Any]) -> Table:
    counts = summary(shapes)
    table = Table("", "networks", "work", "%", title="dynamic_unet on timm's architectures")
    table.add_row("all", *(str(counts[key]) for key in ("names", "working", "share")))
    table.add_row(
        "those with features_only",
        *(str(counts[f"features_only{key}"]) for key in ("", "_working", "_share")),
    )
    done = sum(row["works"] for row in real.values())
    table.add_row("forward and backward", str(len(real)), str(done), str(percent(done, len(real))))
    reasons = collections.Counter(
        re.sub(r"^\w+: \S+ ", "", row["reason"]) for row in shapes.values() if not row["works"]
    )
    for reason, count in reasons.most_common(12):
        table.add_row(f"[dim]not: {reason}[/dim]", str(count))
    return table


if __name__ == "__main__":
    typer.run(main)

"""Speed, quality and memory of zoo's upscaling compared with the plain network.

python benchmarks/speed.py srresnet_x2
python benchmarks/speed.py srresnet_x4 --weights my.safetensors --repeats 3 --megapixels 6

Plain is the same weights in fp32, contiguous, on the whole picture at once. Both paths start and
end with uint8 pixels. The photographs are scikit-image's.
"""

from __future__ import annotations

import copy
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import skimage.data
import torch
import typer
from common import RESULTS, Dirty, check_results, start_sha256
from environment import environment
from numpy.typing import NDArray
from PIL import Image
from rich import print

from zoo.create import create_model
from zoo.errors import ZooError
from zoo.inference.upscaler import Upscaler
from zoo.pictures.picture import to_pixels, to_tensor
from zoo.registry import get_weights
from zoo.sr.data.imresize import bicubic_downscale, crop_to_multiple
from zoo.sr.measure.metrics import psnr_y
from zoo.store.atomic import replacing
from zoo.store.download import sha256_of
from zoo.store.folder import save_model

PHOTOGRAPHS = ("astronaut", "chelsea", "coffee")
Pixels = NDArray[np.uint8]
Enlarge = Callable[[Pixels], Pixels]


def benchmark(
    model: Annotated[str, typer.Argument(help="A name of `zoo list`.")] = "srresnet_x2",
    weights: Annotated[str, typer.Option(help="A tag or a *.safetensors file.")] = "default",
    repeats: Annotated[int, typer.Option(min=1, help="Timings of each path, in turns.")] = 7,
    megapixels: Annotated[float, typer.Option(help="Of the memory test; 0: none.")] = 24,
    out: Annotated[Path, typer.Option(help="The JSON of results.")] = RESULTS / "speed.json",
    dirty: Dirty = False,
) -> None:
    """Compare the default path of this machine with the plain network; writes OUT."""
    check_results(out.parent, dirty=dirty)
    net = create_model(model, weights=weights).eval()
    # Measured first, while this process is small: a child's peak memory starts at its parent's.
    memory = peak_memory(net, megapixels) if megapixels else None
    upscaler = Upscaler(net.to(memory_format=torch.channels_last))
    plain = plain_path(net)
    coffee = skimage.data.coffee()
    seconds = interleaved({"plain": plain, "default": upscaler.array}, coffee, repeats)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    psnr = {name: quality(plain, upscaler.array, name, upscaler.scale) for name in PHOTOGRAPHS}
    file = weights.endswith(".safetensors")
    known = None if file else get_weights(f"{model}.{weights}")
    result = {
        "model": known.name if known else model,
        "weights_sha256": known.sha256 if known else sha256_of(Path(weights)),
        "start_sha256": start_sha256(known.name) if known else None,
        "plain": "fp32, contiguous, whole picture",
        "default": f"{str(upscaler.dtype).removeprefix('torch.')}, tile {upscaler.tile}",
        "input": list(coffee.shape),
        "seconds": seconds,
        "speedup": medians["plain"] / medians["default"],
        "psnr_y": psnr,
        "psnr_y_difference": statistics.mean(p["default"] - p["plain"] for p in psnr.values()),
        "memory": memory,
        "environment": environment(),
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    with replacing(out) as part:
        part.write_text(json.dumps(result, indent=1) + "\n")
    print({key: result[key] for key in ("speedup", "psnr_y_difference", "memory")})


def plain_path(net: torch.nn.Module) -> Enlarge:
    """The network called without any optimisation."""
    net = copy.deepcopy(net).to(memory_format=torch.contiguous_format)

    @torch.inference_mode()
    def enlarge(pixels: Pixels) -> Pixels:
        return to_pixels(net(to_tensor(pixels)[None])[0])

    return enlarge


def interleaved(paths: dict[str, Enlarge], pixels: Pixels, repeats: int) -> dict[str, list[float]]:
    """Seconds of each path, taken in turns, so that other load on the machine affects all alike."""
    seconds: dict[str, list[float]] = {name: [] for name in paths}
    for turn in range(repeats + 1):
        for name, enlarge in paths.items():
            start = time.perf_counter()
            enlarge(pixels)
            if turn > 0:  # the first one warms up
                seconds[name].append(time.perf_counter() - start)
    return seconds


def quality(plain: Enlarge, default: Enlarge, photograph: str, scale: int) -> dict[str, float]:
    """PSNR-Y in dB of both paths for a photograph shrunk and enlarged by the protocol."""
    original = crop_to_multiple(getattr(skimage.data, photograph)(), scale)
    small = bicubic_downscale(original, scale)
    return {
        "plain": psnr_y(plain(small), original, crop=scale),
        "default": psnr_y(default(small), original, crop=scale),
    }


def peak_memory(net: torch.nn.Module, megapixels: float) -> dict[str, Any]:
    """Peak resident memory of `zoo upscale` on a JPEG of this size, in a process of its own."""
    width = round((megapixels * 1e6 * 3 / 2) ** 0.5)
    height = round(megapixels * 1e6 / width)
    coffee = skimage.data.coffee()
    times = (-(-height // coffee.shape[0]), -(-width // coffee.shape[1]), 1)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "large.jpg")
        Image.fromarray(np.tile(coffee, times)[:height, :width]).save(source, quality=95)
        saved = save_model(net, Path(folder, "model"))
        command = [sys.executable, "-m", "zoo.cli", "upscale", source, "-o", Path(folder, "out")]
        start = time.perf_counter()
        subprocess.run([*map(str, command), "--model", str(saved)], check=True, env=os.environ)
        seconds = time.perf_counter() - start
        with Image.open(Path(folder, "out", "large.jpg")) as large:
            size = large.size
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return {
        "input": [height, width],
        "output": [size[1], size[0]],
        "peak_bytes": peak * (1 if sys.platform == "darwin" else 1024),
        "seconds": seconds,
    }


if __name__ == "__main__":
    try:
        typer.run(benchmark)
    except ZooError as error:
        sys.exit(f"error: {error}")

"""Whole processes: start, a folder of photographs, and peak memory."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from speed.super_resolution import photograph
from speed.timing import Work, beside, in_turns
from zoo.inference.upscaler import Upscaler
from zoo.pictures.files import read_image

ROOT = Path(__file__).parents[2]
PYTHON = [sys.executable, "-c"]
# A child's peak starts at the size of its parent, so the parent is a small process of its own.
PEAK = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
HUB = f"""
import torch
net = torch.hub.load({str(ROOT)!r}, "srresnet_x4", source="local", trust_repo=True)
with torch.no_grad():
    net(torch.rand(1, 3, 64, 64))
"""


def start(*, repeats: int = 7) -> list[dict[str, Any]]:
    """Time to import, to show the help, to the first result from torch.hub and from a command."""
    with tempfile.TemporaryDirectory() as folder:
        small = Path(folder, "small.jpg")
        Image.fromarray(photograph(150, 200)).save(small, quality=95)
        enlarge = command("upscale", small, "-o", Path(folder, "out"), "--overwrite")
        works = {
            "import zoo": process([*PYTHON, "import zoo"]),
            "zoo.load_model": process([*PYTHON, "import zoo; zoo.load_model"]),
            "import torch": process([*PYTHON, "import torch"]),
            "zoo --help": process(command("--help")),
            "torch.hub, to the first result": process([*PYTHON, HUB]),
            "zoo upscale of 200×150 pixels": process(enlarge),
        }
        seconds = in_turns(works, repeats=repeats)
    ours = ["import zoo", "zoo.load_model"]  # the first defers torch to the first use
    imports = {name: seconds.pop(name) for name in (*ours, "import torch")}
    return [
        *beside("import", ours, imports),
        *({"case": name, "seconds": statistics.median(each)} for name, each in seconds.items()),
    ]


def folder(*, photographs: int, model: str = "srresnet_x2.fast") -> list[dict[str, Any]]:
    """`zoo upscale` of a folder of 0.1 to 12 megapixels, beside the network alone on its pixels.

    Sizes are spread evenly on a logarithmic scale. The pictures are JPEGs of quality 90.
    """
    with tempfile.TemporaryDirectory() as place:
        source = Path(place, "in")
        source.mkdir()
        for index, megapixels in enumerate(np.geomspace(0.1, 12, photographs)):
            height = round((megapixels * 1e6 * 3 / 4) ** 0.5)
            pixels = photograph(height, height * 4 // 3)
            Image.fromarray(pixels).save(source / f"{index:04}.jpg", quality=90)
        begin = time.perf_counter()
        run(command("upscale", source, "-o", Path(place, "out"), "--model", model))
        whole = time.perf_counter() - begin
        upscaler, alone = Upscaler(model), 0.0
        for file in sorted(source.iterdir()):
            pixels = read_image(file).pixels
            begin = time.perf_counter()
            upscaler.array(pixels)
            alone += time.perf_counter() - begin
    row = {
        "case": f"{photographs} photographs of 0.1 to 12 megapixels by {model}",
        "seconds": whole,
        "photographs_a_minute": 60 * photographs / whole,
        "whole_by_network_alone": whole / alone,
        "network_waits": 1 - alone / whole,
    }
    return [row]


def memory(
    *,
    megapixels: Sequence[int] = (25, 100, 400),
    model: str = "srresnet_x2.fast",
    bound: str = "2GB",
) -> list[dict[str, Any]]:
    """Peak resident memory of `zoo upscale` for results of so many megapixels, free and bound."""
    ways = {"as it comes": [], f"--memory {bound}": ["--memory", bound]}
    return [
        {"case": f"{size} megapixels, {way}", "way": way, "megapixels": size}
        | peak(size, model, options)
        for way, options in ways.items()
        for size in megapixels
    ]


def exponents(rows: list[dict[str, Any]]) -> dict[str, float]:
    """By way: the power of the pixels with which the time grows, fitted to all sizes."""
    slopes = {}
    for way in dict.fromkeys(row["way"] for row in rows):
        points = [(row["megapixels"], row["seconds"]) for row in rows if row["way"] == way]
        slopes[way] = float(np.polyfit(*np.log(points).T, 1)[0])
    return slopes


def peak(megapixels: int, model: str, options: list[str]) -> dict[str, Any]:
    """One process's peak, beside the size of its result in memory."""
    height = round((megapixels * 1e6 / 4 * 2 / 3) ** 0.5)
    width = height * 3 // 2
    with tempfile.TemporaryDirectory() as place:
        source, target = Path(place, "in.jpg"), Path(place, "out.jpg")
        Image.fromarray(photograph(height, width)).save(source, quality=95)
        begin = time.perf_counter()
        enlarge = command("upscale", source, "-o", target, "--model", model, *options)
        shown = subprocess.run(
            [*PYTHON, PEAK, *enlarge], check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        seconds = time.perf_counter() - begin
    result = 3 * (2 * height) * (2 * width)  # bytes
    peak_bytes = int(shown.stdout) * (1 if sys.platform == "darwin" else 1024)
    return {
        "result_bytes": result,
        "peak_bytes": peak_bytes,
        "peak_by_result": peak_bytes / result,
        "seconds": seconds,
    }


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "zoo", *map(str, arguments)]


def process(arguments: list[str]) -> Work:
    return lambda: run(arguments)


def run(arguments: list[str]) -> None:
    subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL, cwd=ROOT)

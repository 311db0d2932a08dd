"""The same weights in OpenVINO, which is an option of the commands, and in what is not.

torch.compile and ONNX Runtime are measured to know whether they would be worth an option. Loading
and compiling happen before the clock starts; how long they take is a figure of its own.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from speed.super_resolution import photograph, repeats
from speed.timing import Work, beside, in_turns
from zoo.create import load_model
from zoo.export import export_model
from zoo.inference.onnx_model import OnnxModel
from zoo.inference.segmenter import Segmenter
from zoo.inference.upscaler import Upscaler

# Registered weights, and sizes of what they get: rows, columns.
MODELS = {
    "srresnet_x2": ((320, 480), (1000, 1200)),
    "srresnet_x4": ((320, 480), (1000, 1200)),
    "srresnet_x2.fast": ((320, 480), (1000, 1200)),
    "dynamic_unet": ((512, 512),),
    "unet34": ((512, 512),),
}
OURS = "--runtime openvino"


def measure(models: dict[str, tuple[tuple[int, int], ...]] = MODELS) -> list[dict[str, Any]]:
    """Rows of `speed.timing`; and seconds to the first result and differences from fp32, by way."""
    rows, firsts = [], []
    for name, sizes in models.items():
        for size in sizes:
            pixels, works = photograph(*size), {}
            exact = np.asarray(doer(load_model(name), size, precision="fp32")(pixels), float)
            for way, make in WAYS.items():
                begin = time.perf_counter()
                work = make(name, size)
                difference = np.abs(np.asarray(work(pixels), float) - exact)
                firsts.append(
                    {
                        "case": f"{name}, {size[1]}×{size[0]}, {way}",
                        "seconds_to_the_first_result": time.perf_counter() - begin,
                        "mean_difference_from_fp32_in_levels": float(difference.mean()),
                    }
                )
                works[way] = bound(work, pixels)
            case = f"{name}, {size[1]}×{size[0]}"
            rows += beside(case, [OURS], in_turns(works, repeats=repeats(pixels)))
    return rows + firsts


Do = Callable[[np.ndarray[Any, Any]], object]  # from pixels to the result's


def doer(
    model: str | nn.Module,
    size: tuple[int, int],
    *,
    precision: str = "auto",
    runtime: str = "torch",
) -> Do:
    """Enlarging or segmenting, as `zoo.upscale` and `zoo.segment` do it."""
    net = load_model(model) if isinstance(model, str) else model
    if hasattr(net, "scale"):
        return Upscaler(model, precision=precision, runtime=runtime).array
    return Segmenter(model, precision=precision, runtime=runtime, size=size[0]).array


def compiled(name: str, size: tuple[int, int]) -> Do:
    return doer(torch.compile(load_model(name).to(memory_format=torch.channels_last)), size)


def in_onnx_runtime(name: str, size: tuple[int, int]) -> Do:
    """ONNX Runtime at its defaults, in fp32, as it runs an exported file here."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "model.onnx")
        export_model(load_model(name), file)
        return doer(OnnxModel(file), size, precision="fp32")


def bound(work: Do, pixels: np.ndarray[Any, Any]) -> Work:
    return lambda: work(pixels)


WAYS: dict[str, Callable[[str, tuple[int, int]], Do]] = {
    OURS: lambda name, size: doer(name, size, runtime="openvino"),
    "PyTorch, as it comes": doer,
    "torch.compile": compiled,
    "ONNX Runtime": in_onnx_runtime,
}

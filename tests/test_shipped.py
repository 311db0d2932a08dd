"""The weights that come with the package do what their figures say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
import torch

import zoo
from zoo.registry import get_model
from zoo.seg.measure.evaluate import load_at, validation_pairs
from zoo.seg.measure.metrics import count, dice
from zoo.sr.data.imresize import bicubic_downscale, bicubic_upscale
from zoo.sr.degradations.compression import jpeg
from zoo.sr.measure.evaluate import benchmark_pairs, find_set
from zoo.sr.measure.metrics import psnr_y

RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"
SHIPPED = [name for model in zoo.list_models() for name in zoo.list_weights(model)]


def of_task(task: str) -> list[str]:
    return [name for name in SHIPPED if get_model(name.partition(".")[0]).task == task]


def published(name: str) -> dict[str, Any]:
    return json.loads((RESULTS / f"{name}.json").read_text())["sets"]


@pytest.mark.parametrize("name", of_task("super-resolution"))
def test_a_photograph_comes_out_better_than_by_bicubic(name: str) -> None:
    scale = zoo.create_model(name.partition(".")[0]).scale
    original = skimage.data.astronaut()[100:340, 100:300]
    small = bicubic_downscale(original, scale) if scale > 1 else jpeg(original, 40)
    gains = [
        psnr_y(image, original, crop=scale)
        for image in (zoo.upscale(small, name), bicubic_upscale(small, scale))
    ]
    assert gains[0] > gains[1] + (1.5 if name.endswith(".psnr") else 0.3)


@pytest.mark.parametrize("name", of_task("super-resolution"))
def test_a_published_psnr_is_measured_again(name: str, data: Path) -> None:
    """The smallest photograph of Set5, as `benchmarks/super_resolution.py eval` measures it."""
    scale = zoo.create_model(name.partition(".")[0]).scale
    pairs = benchmark_pairs(find_set(data / "sr", "Set5"), scale)
    file, target, small = next(pair for pair in pairs if pair.name.startswith("woman"))
    measured = psnr_y(zoo.upscale(small, name, precision="fp32"), target, crop=scale)
    figure = published(name)["Set5"]["images"][Path(file).stem]["psnr_y"]
    assert measured == pytest.approx(figure, abs=0.002)


@pytest.mark.parametrize("name", of_task("segmentation"))
def test_a_published_dice_is_measured_again(name: str, data: Path) -> None:
    """The first validation car, as `benchmarks/carvana.py eval` measures it."""
    size = zoo.get_weights(name).meta.image_size
    pair = validation_pairs(data / "carvana", zoo.get_weights(name).meta.split)[0]
    image, mask = load_at(pair, size)
    found = zoo.segment(image, name, precision="fp32") > 0
    logits = torch.from_numpy(np.where(found, 1.0, -1.0))[None, None]
    measured = dice(count(logits, torch.tensor(mask)[None]))
    figure = published(name)["validation"]["images"][pair.image.stem]["dice"]
    assert measured == pytest.approx(figure, abs=1e-4)

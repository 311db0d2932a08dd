"""Averaged weights follow a short run, and hardly change those of a long one."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import tiny_seg
import tiny_sr
import torch
from generated_cars import generate_cars
from PIL import Image
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

import zoo
from zoo.train.averaging import average
from zoo.train.loop import Trainer
from zoo.train.segmentation import Segmentation, SegRecipe
from zoo.train.sr_recipe import SRRecipe
from zoo.train.super_resolution import SuperResolution


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    folder = tmp_path / "photographs"
    folder.mkdir()
    for name in ("astronaut", "chelsea", "coffee", "rocket"):
        Image.fromarray(getattr(skimage.data, name)()[60:188, 60:188]).save(folder / f"{name}.png")
    return folder


def raw_and_averaged(trainer: Trainer, task: object, score: str) -> tuple[float, float]:
    trainer.fit(task)
    raw = task.validate(trainer.model.eval())[score]
    return raw, trainer.history[-1][score]


def test_a_short_upscaling_run_is_not_its_start(photographs: Path, tmp_path: Path) -> None:
    stages = [{"steps": 100, "batch": 8, "patch": 12, "lr": 3e-3}]
    changes = {"stages": stages, "held_out": 1, "validate_every": 100, "checkpoint_every": 100}
    recipe = SRRecipe(**(tiny_sr.TINY | changes))
    torch.manual_seed(0)
    model = zoo.create_model("srresnet_x2", width=8, depth=1)
    task = SuperResolution(recipe, photographs, scale=2, device="cpu")
    start = task.validate(model.eval())["psnr_y"]
    assert recipe.ema == 0.999
    trainer = Trainer(model, recipe, tmp_path / "run")
    raw, averaged = raw_and_averaged(trainer, task, "psnr_y")
    assert raw > start + 0.5  # else there is nothing to follow
    assert averaged > raw - 0.1


def test_a_short_segmentation_run_is_not_its_start(tmp_path: Path) -> None:
    cars = generate_cars(tmp_path / "cars")
    stages = [{"size": 64, "batch": 8, "steps": 60, "lr": 1e-2, "schedule": "onecycle"}]
    changes = {"stages": stages, "validate_every": 60, "checkpoint_every": 60}
    recipe = SegRecipe.model_validate({**tiny_seg.TINY, **changes, "ema": 0.999})
    torch.manual_seed(0)
    task = Segmentation(recipe, cars, cache=tmp_path / "cache")
    trainer = Trainer(tiny_seg.tiny_net(), task.recipe, tmp_path / "run")
    raw, averaged = raw_and_averaged(trainer, task, "dice_pooled@64")
    assert raw > 0.5
    assert averaged > raw - 0.05


@pytest.mark.parametrize("decay", [0.0, 0.9, 0.999])
def test_the_decay_rises_to_what_was_asked_for(decay: float) -> None:
    layer = nn.Linear(1, 1, bias=False)
    model = AveragedModel(layer, multi_avg_fn=partial(average, decay=decay))
    expected = None
    for step in range(40):
        nn.init.constant_(layer.weight, float(step))
        model.update_parameters(layer)
        kept = 0.0 if expected is None else min(decay, (1 + step) / (10 + step))
        expected = kept * (expected or 0.0) + (1 - kept) * step
        assert model.module.weight.item() == pytest.approx(expected, rel=1e-5)


def test_a_long_run_is_averaged_as_before() -> None:
    generator = torch.Generator().manual_seed(0)
    layer = nn.Linear(1, 1, bias=False)
    models = [
        AveragedModel(layer, multi_avg_fn=function)
        for function in (partial(average, decay=0.9), get_ema_multi_avg_fn(0.9))
    ]
    for _ in range(400):
        nn.init.constant_(layer.weight, torch.rand(1, generator=generator).item())
        for model in models:
            model.update_parameters(layer)
    new, old = (model.module.weight.item() for model in models)
    assert np.isclose(new, old, atol=1e-6)


def test_integers_are_copied_not_averaged() -> None:
    """Batch norm counts its batches; a mean of counts counts nothing."""
    layer = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))
    layer.register_buffer("seen", torch.tensor([1, 2]))
    model = AveragedModel(layer, multi_avg_fn=partial(average, decay=0.999), use_buffers=True)
    for step in range(5):
        layer(torch.rand(2, 3, 4, 4))
        layer.seen += step
        model.update_parameters(layer)
    assert model.module[1].num_batches_tracked == layer[1].num_batches_tracked == 5
    assert torch.equal(model.module.seen, layer.seen)
    assert not torch.equal(model.module[1].running_mean, layer[1].running_mean)

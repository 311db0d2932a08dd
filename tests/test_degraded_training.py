"""Training on degraded photographs: what the network sees, and that a resumed run sees the same."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image
from tiny_sr import TINY

import zoo
from zoo.ahead import ahead
from zoo.errors import RecipeError
from zoo.sr.degradations.compression import jpeg
from zoo.train.checkpoints import load_checkpoint
from zoo.train.loop import Trainer
from zoo.train.sr_recipe import SRRecipe
from zoo.train.super_resolution import SuperResolution

JPEG = {"clean": 0, "blur": 0, "noise": 0, "compression": 1, "quality": [10, 10], "webp": 0}


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    folder = tmp_path / "photographs"
    folder.mkdir()
    for name in ("astronaut", "chelsea", "coffee", "rocket"):
        pixels = getattr(skimage.data, name)()[100:180, 100:190]
        Image.fromarray(pixels).save(folder / f"{name}.png")
    return folder


def recipe_with(**changes: Any) -> SRRecipe:
    return SRRecipe(**(TINY | {"held_out": 2} | changes))


def task(folder: Path, **changes: Any) -> SuperResolution:
    return SuperResolution(recipe_with(**changes), folder, scale=2, device="cpu")


def test_held_out_photographs_are_degraded_once(photographs: Path) -> None:
    clean, one, again = (
        task(photographs, **changes)
        for changes in ({}, {"degradations": {"clean": 0}}, {"degradations": {"clean": 0}})
    )
    for a, b, c in zip(clean.held_out, one.held_out, again.held_out, strict=True):
        np.testing.assert_array_equal(a.target, b.target)
        np.testing.assert_array_equal(b.input, c.input)
        assert a.input.shape == b.input.shape
        assert (a.input != b.input).mean() > 0.2


def test_a_clean_picture_counts_for_50_decibels_at_most(photographs: Path) -> None:
    source = SuperResolution(recipe_with(), photographs, scale=1, device="cpu")
    assert source.validate(torch.nn.Identity()) == {"psnr_rgb": 50}
    noise = torch.nn.Dropout(0.1)  # active, like noise
    assert source.validate(noise)["psnr_rgb"] < 25


def test_batches_are_degraded_anew(photographs: Path) -> None:
    source = task(photographs, degradations=JPEG)
    stage = recipe_with().stages[0].model_copy(update={"patch": 16})
    x, y = source.batch(stage, torch.Generator().manual_seed(1))
    again, _ = source.batch(stage, torch.Generator().manual_seed(1))
    other, _ = source.batch(stage, torch.Generator().manual_seed(2))
    assert x.shape == (2, 3, 16, 16)
    assert y.shape == (2, 3, 32, 32)
    assert torch.equal(x, again)
    assert not torch.equal(x, other)


@pytest.mark.parametrize("by", ["degrade", "inputs"])
def test_inputs_have_one_maker(photographs: Path, by: str) -> None:
    other: dict[str, Any] = {
        "degrade": lambda image, scale: jpeg(image[::scale, ::scale], 50),
        "inputs": photographs,
    }
    with pytest.raises(RecipeError, match="degradations make the inputs"):
        SuperResolution(
            recipe_with(degradations={}), photographs, scale=2, device="cpu", **{by: other[by]}
        )


def test_a_resumed_run_sees_the_same_patches(photographs: Path, tmp_path: Path) -> None:
    recipe = recipe_with(degradations={"clean": 0})

    def trainer(name: str) -> Trainer:
        torch.manual_seed(0)
        options = dict(recipe.model.options)
        return Trainer(zoo.create_model("srresnet_x2", **options), recipe, tmp_path / name)

    whole, broken, resumed = trainer("whole"), trainer("broken"), trainer("broken")
    assert whole.fit(task(photographs, degradations={"clean": 0}))
    assert not broken.fit(task(photographs, degradations={"clean": 0}), time_limit=0)
    assert resumed.fit(task(photographs, degradations={"clean": 0}), resume=True)
    losses = [[row["loss"] for row in run.history] for run in (whole, resumed)]
    assert losses[0] == losses[1]
    a, b = (load_checkpoint(run.checkpoint)["averaged"] for run in (whole, resumed))
    assert all(torch.equal(a[key], b[key]) for key in a)


def test_batches_come_in_order_and_one_is_ready() -> None:
    drawn: list[int] = []
    second = threading.Event()

    def draw(step: int) -> int:
        drawn.append(step)
        if step == 4:
            second.set()
        return 10 * step

    batches = ahead(draw, range(3, 7))
    assert next(batches) == 30
    assert second.wait(5)  # drawn though nobody has asked
    assert list(batches) == [40, 50, 60]
    assert drawn == [3, 4, 5, 6]
    assert list(ahead(draw, range(3, 3))) == []


def test_what_a_batch_raises_comes_out_in_its_place() -> None:
    def draw(step: int) -> int:
        if step == 2:
            raise ValueError("spoiled")
        return step

    batches = ahead(draw, range(4))
    assert [next(batches), next(batches)] == [0, 1]
    with pytest.raises(ValueError, match="spoiled"):
        next(batches)

"""A teacher's results as a second target: aligned with the photograph, made once, weighed right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image
from tiny_sr import TINY

import zoo
from zoo.errors import DataError, RecipeError
from zoo.sr.data.pairs import load_pair
from zoo.train.loop import Trainer
from zoo.train.sr_recipe import SRRecipe
from zoo.train.super_resolution import SuperResolution

STAGE = SRRecipe(**TINY).stages[0]
NAMES = ("astronaut", "chelsea", "coffee", "rocket")


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    folder = tmp_path / "photographs"
    folder.mkdir()
    for name in NAMES:
        pixels = getattr(skimage.data, name)()[100:161, 100:173]
        Image.fromarray(pixels).save(folder / f"{name}.png")
    return folder


@pytest.fixture
def negatives(photographs: Path, tmp_path: Path) -> Path:
    """Targets that no photograph could be mistaken for: the negatives, of shrunk copies too."""
    folder = tmp_path / "negatives"
    (folder / "0.5").mkdir(parents=True)
    for file in photographs.iterdir():
        for share, place in ((1.0, folder), (0.5, folder / "0.5")):
            target = load_pair(file, scale=2, share=share).target
            Image.fromarray(255 - target).save(place / file.name)
    return folder


def task(folder: Path, cache: Path | None = None, **changes: Any) -> SuperResolution:
    recipe = SRRecipe(**(TINY | {"held_out": 1} | changes))
    return SuperResolution(recipe, folder, scale=2, device="cpu", cache=cache)


def test_both_targets_are_cut_alike(photographs: Path, negatives: Path, tmp_path: Path) -> None:
    teacher = {"targets": negatives, "share": 0.5}
    taught = task(photographs, tmp_path, teacher=teacher, shrunk=[0.5])
    plain = task(photographs, shrunk=[0.5])
    stage = STAGE.model_copy(update={"batch": 64, "candidates": 2})
    x, y = taught.batch(stage, torch.Generator().manual_seed(1))
    alone, photograph = plain.batch(stage, torch.Generator().manual_seed(1))
    assert torch.equal(x, alone)
    assert torch.equal(y[:, :3], photograph)
    assert torch.allclose(y[:, 3:], 1 - photograph, atol=1e-6)


@pytest.mark.parametrize("share", [0.25, 1.0])
def test_the_loss_is_shared_out(
    photographs: Path, negatives: Path, tmp_path: Path, share: float
) -> None:
    teacher = {"targets": negatives, "share": share}
    taught = task(photographs, tmp_path, teacher=teacher)
    _, y = taught.batch(STAGE, torch.Generator().manual_seed(1))
    guess = torch.rand_like(y[:, :3])
    errors = [(guess - part).abs().mean() for part in (y[:, :3], y[:, 3:])]
    expected = (1 - share) * errors[0] + share * errors[1]
    assert taught.loss(guess, y).item() == pytest.approx(expected.item())


def test_a_model_teaches_once(photographs: Path, tiny_upscaler: Path, tmp_path: Path) -> None:
    teacher = {"model": str(tiny_upscaler), "share": 0.5, "tta": True}
    task(photographs, tmp_path / "run", teacher=teacher, shrunk=[0.7])
    (folder,) = (tmp_path / "run").iterdir()
    made = {file: file.stat().st_mtime_ns for file in folder.rglob("*.png")}
    assert sorted(file.parent.name for file in made) == ["0.7"] * 3 + [folder.name] * 3
    upscaler = zoo.Upscaler(tiny_upscaler, tta=True)
    for file in made:
        share = 0.7 if file.parent.name == "0.7" else 1.0
        pair = load_pair(photographs / file.name, scale=2, share=share)
        assert np.array_equal(np.asarray(Image.open(file)), upscaler.array(pair.input))

    lost = next(iter(made))
    lost.unlink()
    task(photographs, tmp_path / "run", teacher=teacher, shrunk=[0.7])
    again = {file: file.stat().st_mtime_ns for file in folder.rglob("*.png")}
    assert {file for file in again if again[file] != made[file]} == {lost}


def test_another_teacher_has_another_folder(
    photographs: Path, tiny_upscaler: Path, tmp_path: Path
) -> None:
    other = zoo.save_model(zoo.create_model("srresnet_x2", width=8, depth=1), tmp_path / "other")
    for model in (tiny_upscaler, other):
        task(photographs, tmp_path / "run", teacher={"model": str(model), "share": 0.5})
    assert len(list((tmp_path / "run").iterdir())) == 2


def test_a_network_learns_from_its_teacher(
    photographs: Path, negatives: Path, tmp_path: Path
) -> None:
    """Taught by negatives alone, a network turns bright into dark."""
    stages = [{"steps": 60, "batch": 8, "patch": 8, "lr": 3e-3}]
    changes = {"stages": stages, "ema": 0, "validate_every": 60, "checkpoint_every": 60}
    errors = {}
    for share in (None, 1.0):
        torch.manual_seed(0)
        model = zoo.create_model("srresnet_x2", width=8, depth=1)
        teacher = None if share is None else {"targets": negatives, "share": share}
        recipe = SRRecipe(**(TINY | {"held_out": 1, "teacher": teacher} | changes))
        folder = tmp_path / f"run {share}"
        trained = SuperResolution(recipe, photographs, scale=2, device="cpu", cache=folder)
        Trainer(model, recipe, folder).fit(trained)
        pair = trained.held_out[0]
        x = torch.from_numpy(pair.input.copy()).permute(2, 0, 1)[None] / 255
        y = torch.from_numpy(255 - pair.target).permute(2, 0, 1)[None] / 255
        with torch.no_grad():
            errors[share] = (model.eval()(x) - y).abs().mean().item()
    assert errors[1.0] < 0.7 * errors[None]


def test_faults_are_named(
    photographs: Path, negatives: Path, tiny_upscaler: Path, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="name either a model or a folder"):
        SRRecipe(**(TINY | {"teacher": {"share": 0.5}}))
    with pytest.raises(RecipeError, match="needs a cache folder"):
        task(photographs, None, teacher={"model": "x", "share": 0.5})
    four = zoo.save_model(zoo.create_model("srresnet_x4", width=8, depth=1), tmp_path / "four")
    with pytest.raises(RecipeError, match="The teacher enlarges by 4, the network by 2"):
        task(photographs, tmp_path, teacher={"model": str(four), "share": 0.5})
    teacher = {"targets": negatives, "share": 0.5}
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(negatives / "rocket.png")
    with pytest.raises(DataError, match=r"rocket.png is 9×9; .* must be 72×60"):
        task(photographs, tmp_path, teacher=teacher)
    (negatives / "rocket.png").unlink()
    with pytest.raises(DataError, match="The teacher has no result .*rocket.png"):
        task(photographs, tmp_path, teacher=teacher)

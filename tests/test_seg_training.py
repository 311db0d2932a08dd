"""Training segmentation: the loss, stages, freezing, rates, and what a killed run leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from carvana import app
from generated_cars import generate_cars
from PIL import Image
from tiny_seg import MODEL, RECIPES, TINY, tiny_net, write_recipe
from torch.nn import functional as F
from typer.testing import CliRunner, Result

import zoo
from zoo.errors import TrainingError
from zoo.seg.losses import segmentation_loss
from zoo.train.find_rate import suggest
from zoo.train.loop import Trainer
from zoo.train.optimizers import lr_ratios, make_optimizer, rate_factor
from zoo.train.recipe import OptimizerSection, Stage, load_recipe
from zoo.train.segmentation import Segmentation, SegRecipe


@pytest.fixture(scope="module")
def cars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate_cars(tmp_path_factory.mktemp("data") / "cars")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["train", *(str(argument) for argument in arguments)])


# The loss


def test_the_loss_is_cross_entropy_and_dice() -> None:
    torch.manual_seed(0)
    masks = (torch.rand(2, 5, 6) > 0.5).to(torch.uint8)
    logits = torch.randn(2, 1, 5, 6)
    plain = F.binary_cross_entropy_with_logits(logits[:, 0], masks.float())
    torch.testing.assert_close(segmentation_loss(logits, masks), plain)
    right = torch.where(masks[:, None] == 1, 50.0, -50.0)
    assert segmentation_loss(right, masks, dice_weight=1.0) < 1e-6
    assert segmentation_loss(-right, masks, dice_weight=1.0) > 50.9
    classes = torch.randint(0, 3, (2, 5, 6), dtype=torch.uint8)
    several = torch.randn(2, 3, 5, 6)
    torch.testing.assert_close(
        segmentation_loss(several, classes), F.cross_entropy(several, classes.long())
    )
    sure = 50.0 * F.one_hot(classes.long(), 3).movedim(-1, 1)
    assert segmentation_loss(sure, classes, dice_weight=1.0) < 1e-6


# Stages


def state_of(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {key: value.clone() for key, value in model.state_dict().items()}


def moved(model: torch.nn.Module, before: dict[str, torch.Tensor]) -> set[str]:
    return {key for key, value in model.state_dict().items() if not torch.equal(value, before[key])}


def test_a_frozen_encoder_stands_still_with_its_statistics(
    tmp_path: Path, cars: Path, cache: Path
) -> None:
    model, before = tiny_net(), state_of(tiny_net())
    stages = [TINY["stages"][0] | {"trainable": ["decoder"]}]
    changes = {"stages": stages, "model": MODEL | {"start": "some.weights"}}
    recipe = load_recipe(write_recipe(tmp_path, **changes), SegRecipe)
    task = Segmentation(recipe, cars, cache=cache)
    assert Trainer(model, task.recipe, tmp_path / "run").fit(task)
    changed = moved(model, before)
    assert not any(key.startswith("encoder") for key in changed)
    assert any(key.endswith("running_mean") for key in changed)  # the decoder's
    model.train()
    assert all(layer.training for layer in model.modules())  # nothing stays frozen after a run


def test_statistics_are_frozen_while_the_encoder_learns(
    tmp_path: Path, cars: Path, cache: Path
) -> None:
    model, before = tiny_net(), state_of(tiny_net())
    stages = [TINY["stages"][0] | {"frozen_statistics": ["encoder"]}]
    changes = {"stages": stages, "model": MODEL | {"start": "some.weights"}}
    recipe = load_recipe(write_recipe(tmp_path, **changes), SegRecipe)
    task = Segmentation(recipe, cars, cache=cache)
    assert Trainer(model, task.recipe, tmp_path / "run").fit(task)
    changed = {key for key in moved(model, before) if key.startswith("encoder")}
    assert any(key.endswith("weight") for key in changed)
    assert not any("running" in key or "num_batches" in key for key in changed)


@pytest.mark.parametrize("name", ["adam", "adamw", "muon"])
def test_layer_groups_get_their_rates(name: str) -> None:
    model = tiny_net()
    ratios = lr_ratios(model, {"early": 0.01, "late": 0.1})
    parameters = dict(model.named_parameters())
    section = OptimizerSection(name=name, adam_ratio=0.5)
    optimizer = make_optimizer(section, parameters, lr=2.0, ratios=ratios)
    by_id = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    assert len(by_id) == len(parameters)
    for group, share in {"early": 0.01, "late": 0.1, "decoder": 1.0}.items():
        for parameter in model.layer_groups()[group].values():
            by_adam = name == "muon" and parameter.ndim < 2
            expected = 2.0 * share * (0.5 if by_adam else 1)
            assert by_id[id(parameter)]["initial_lr"] == pytest.approx(expected)
            assert by_id[id(parameter)]["lr"] == pytest.approx(expected)


def test_best_weights_are_those_of_the_latest_stage(tmp_path: Path) -> None:
    """Scores at 128 and at 512 pixels are different things; here the second stage scores lower."""
    scores = iter([0.9, 0.8, 0.1, 0.3, 0.2])
    kept = []
    images = torch.rand(2, 3, 32, 32)

    def validate(model: torch.nn.Module) -> dict[str, float]:
        kept.append(state_of(model))
        return {"score": next(scores)}

    task = SimpleNamespace(
        score="score",
        batch=lambda stage, generator: (images, images[:, :1]),
        loss=lambda prediction, target: (prediction - target).square().mean(),
        validate=validate,
    )
    stages = [stage | {"steps": steps} for stage, steps in zip(TINY["stages"], (2, 3), strict=True)]
    recipe = load_recipe(write_recipe(tmp_path, stages=stages, validate_every=1), SegRecipe)
    assert Trainer(tiny_net(), recipe, tmp_path / "run").fit(task)
    best = zoo.load_model(tmp_path / "run" / "best").state_dict()
    assert all(torch.equal(best[key], value) for key, value in kept[3].items())


def test_killed_between_two_stages_it_goes_on_from_there(
    tmp_path: Path, cars: Path, cache: Path
) -> None:
    recipe = write_recipe(tmp_path)
    common = [recipe, "--data", cars, "--cache", cache]
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    outcome = run(*common, "--out", whole)
    assert outcome.exit_code == 0, outcome.output

    script = """
import os, signal, sys
import carvana
from zoo.train.segmentation import Segmentation

def load(self, size, device, load=Segmentation._load):
    if size == 64:  # the second stage is about to begin
        os.kill(os.getpid(), signal.SIGKILL)
    load(self, size, device)

Segmentation._load = load
carvana.app(sys.argv[1:])
"""
    arguments = [str(argument) for argument in ["train", *common, "--out", broken]]
    path = os.pathsep.join([str(RECIPES.parent), str(RECIPES.parents[1])])
    killed = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert [row["step"] for row in json.loads((broken / "history.json").read_text())] == [1, 2, 3]

    refused = run(*common, "--out", broken)
    assert isinstance(refused.exception, TrainingError)
    outcome = run(*common, "--out", broken, "--resume")
    assert outcome.exit_code == 0, outcome.output
    histories = [json.loads((run / "history.json").read_text()) for run in (whole, broken)]
    assert histories[0] == histories[1]
    assert [set(row) - {"step", "lr", "loss"} for row in histories[0]] == [
        set(),
        {"dice_pooled@32", "accuracy@32"},
        {"dice_pooled@32", "accuracy@32"},
        {"dice_pooled@64", "accuracy@64"},
        {"dice_pooled@64", "accuracy@64"},
    ]
    first, second = (zoo.load_model(run / "best").state_dict() for run in (whole, broken))
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_a_folder_of_ones_own_with_several_classes(tmp_path: Path) -> None:
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    for side in ("images", "masks"):
        (tmp_path / "own" / side).mkdir(parents=True)
    for i in range(5):
        Image.fromarray(rng.integers(0, 256, (40, 50, 3), np.uint8)).save(
            tmp_path / "own" / "images" / f"{i}.jpg"
        )
        Image.fromarray(rng.integers(0, 3, (40, 50), np.uint8)).save(
            tmp_path / "own" / "masks" / f"{i}.png"
        )
    options = MODEL["options"] | {"classes": 3}
    recipe = write_recipe(
        tmp_path, model=MODEL | {"options": options}, dice_weight=0.5, precision="bf16",
        stages=TINY["stages"][:1],
    )  # fmt: skip
    outcome = run(
        recipe, "--data", tmp_path / "own", "--out", tmp_path / "run", "--cache", tmp_path / "c"
    )
    assert outcome.exit_code == 0, outcome.output
    assert zoo.load_model(tmp_path / "run" / "best").classes == 3


def test_smoke_runs_a_whole_recipe(tmp_path: Path) -> None:
    """Frozen stages, layer groups and three sizes on generated cars, without any download."""
    recipe = RECIPES / "dynamic_unet_effnet_lite0_carvana.yaml"
    outcome = run(recipe, "--smoke", "--out", tmp_path)
    assert outcome.exit_code == 0, outcome.output
    history = json.loads((tmp_path / "history.json").read_text())
    assert [row["step"] for row in history] == list(range(1, 9))
    assert zoo.load_model(tmp_path / "best").config["options"]["encoder_weights"] is None


def test_a_model_of_the_other_task_is_refused(tmp_path: Path, cars: Path) -> None:
    outcome = run(write_recipe(tmp_path, model={"name": "srresnet_x2"}), "--data", cars)
    assert "srresnet_x2 is no segmentation model" in str(outcome.exception)


# The learning-rate finder


def test_the_finder_suggests_where_the_loss_falls_fastest() -> None:
    rising = Stage(steps=101, batch=1, lr=1, schedule="exponential")
    rates = [rate_factor(rising, step) for step in range(101)]
    assert (rates[0], rates[50], rates[100]) == pytest.approx((1e-6, 1e-3, 1))
    drop = torch.sigmoid(torch.linspace(-10, 10, 101)).tolist()  # steepest at 1e-3
    blown = [1 - 0.9 * fall if rate < 0.1 else 1e3 for rate, fall in zip(rates, drop, strict=True)]
    assert 5e-4 < suggest(rates, blown, memory=0.5).suggestion < 4e-3
    with pytest.raises(TrainingError, match="never fell"):
        suggest(rates, [1.0 + rate for rate in rates])


def test_the_command_prints_a_rate_and_draws_why(tmp_path: Path, cars: Path, cache: Path) -> None:
    recipe = write_recipe(tmp_path)
    out = tmp_path / "run"
    outcome = run(recipe, "--data", cars, "--cache", cache, "--out", out, "--find-lr")
    assert outcome.exit_code == 0, outcome.output
    rate = float(outcome.output.split("Try lr: ")[1].split()[0])
    assert 1e-6 < rate < 1
    with Image.open(out / "find_lr.png") as plot:
        assert plot.width > 400
    assert [file.name for file in out.iterdir()] == ["find_lr.png"]

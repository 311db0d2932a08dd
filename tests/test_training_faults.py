"""What stops a run, and what is on disk then."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny_sr import Constant, write_recipe

import zoo
from zoo.errors import RecipeError, TrainingError
from zoo.train.checkpoints import load_checkpoint, save_checkpoint
from zoo.train.loop import Trainer
from zoo.train.recipe import load_recipe
from zoo.train.sr_recipe import SRRecipe


def test_a_loss_that_is_no_number_stops_the_run(tmp_path: Path) -> None:
    recipe = load_recipe(write_recipe(tmp_path), SRRecipe)
    trainer = Trainer(zoo.create_model("srresnet_x2", width=8, depth=1), recipe, tmp_path / "run")
    with pytest.raises(
        TrainingError, match=r"The loss was nan at step 9: .* is .*last\.pt"
    ) as info:
        trainer.fit(Constant(spoiled=9))
    assert load_checkpoint(tmp_path / "run" / "last.pt")["step"] == 8
    assert "\n" not in str(info.value)


def test_weights_that_are_no_numbers_are_not_kept(tmp_path: Path) -> None:
    recipe = load_recipe(write_recipe(tmp_path), SRRecipe)
    model = zoo.create_model("srresnet_x2", width=8, depth=1)
    trainer = Trainer(model, recipe, tmp_path / "run")
    task = Constant()

    def steep(prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        # ∞ · 0: the loss is 0, its gradient is nan
        return (prediction - prediction.detach()).abs().sqrt().mean()

    task.loss = steep  # type: ignore[method-assign]
    with pytest.raises(TrainingError, match="weights were no longer finite at step 1: there is no"):
        trainer.fit(task)
    assert not (tmp_path / "run" / "last.pt").exists()


def test_another_recipe_does_not_go_on_with_a_run(tmp_path: Path) -> None:
    recipe = load_recipe(write_recipe(tmp_path), SRRecipe)
    model = zoo.create_model("srresnet_x2", width=8, depth=1)
    assert not Trainer(model, recipe, tmp_path / "run").fit(Constant(), time_limit=0)
    other = recipe.model_copy(update={"ema": 0.5})
    with pytest.raises(TrainingError, match=r"another recipe.*: ema was 0\.\d+ and is 0\.5\."):
        Trainer(model, other, tmp_path / "run").fit(Constant(), resume=True)


def test_a_run_older_than_a_key_of_recipes_goes_on(tmp_path: Path) -> None:
    recipe = load_recipe(write_recipe(tmp_path), SRRecipe)
    model = zoo.create_model("srresnet_x2", width=8, depth=1)
    assert not Trainer(model, recipe, tmp_path / "run").fit(Constant(), time_limit=0)
    state = load_checkpoint(tmp_path / "run" / "last.pt")
    for stage in state["recipe"]["stages"]:
        del stage["candidates"]
    save_checkpoint(tmp_path / "run" / "last.pt", state)
    assert Trainer(model, recipe, tmp_path / "run").fit(Constant(), resume=True)


def test_a_run_in_the_way_is_not_overwritten(tmp_path: Path) -> None:
    recipe = load_recipe(write_recipe(tmp_path), SRRecipe)
    model = zoo.create_model("srresnet_x2", width=8, depth=1)
    with pytest.raises(TrainingError, match="no checkpoint .* to resume from"):
        Trainer(model, recipe, tmp_path / "run").fit(Constant(), resume=True)
    assert Trainer(model, recipe, tmp_path / "run").fit(Constant())
    with pytest.raises(TrainingError, match="holds a run already"):
        Trainer(model, recipe, tmp_path / "run").fit(Constant())
    (tmp_path / "run" / "last.pt").write_bytes(b"PK half a file")
    with pytest.raises(TrainingError, match="can't be read: it is damaged"):
        Trainer(model, recipe, tmp_path / "run").fit(Constant(), resume=True)


def test_the_time_limit_ends_in_order(tmp_path: Path) -> None:
    recipe = load_recipe(write_recipe(tmp_path), SRRecipe)
    model = zoo.create_model("srresnet_x2", width=8, depth=1)
    assert not Trainer(model, recipe, tmp_path / "run").fit(Constant(), time_limit=0)
    assert load_checkpoint(tmp_path / "run" / "last.pt")["step"] == 1
    assert zoo.load_model(tmp_path / "run" / "best").scale == 2


def test_an_unknown_module_for_adam_is_refused(tmp_path: Path) -> None:
    optimizer = {"name": "muon", "adam_modules": ["heda"]}
    recipe = load_recipe(write_recipe(tmp_path, optimizer=optimizer), SRRecipe)
    model = zoo.create_model("srresnet_x2", width=8, depth=1)
    with pytest.raises(RecipeError, match=r"no module 'heda'\. Did you mean 'head'\?"):
        Trainer(model, recipe, tmp_path / "run")

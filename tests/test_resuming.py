"""Runs that go on: exactly as if never stopped, with more steps, or not at all."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference_loop as plain
import torch
import yaml
from reference_loop import Noise, recipe_with
from test_training_wiring import little_garbage  # noqa: F401
from timm.layers import DropPath
from torch import Tensor, nn

import zoo
from zoo.errors import TrainingError, ZooError
from zoo.registry import register_model
from zoo.train.checkpoints import load_checkpoint, save_checkpoint
from zoo.train.find_rate import find_rate
from zoo.train.loop import Trainer
from zoo.train.recipe import Recipe, Stage


class Shaky(plain.Net):
    """A net that draws from every global generator."""

    def __init__(self) -> None:
        super().__init__()
        self.dropout, self.depth = nn.Dropout(0.3), DropPath(0.4)

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            x = x * random.uniform(0.9, 1.1) + float(np.random.normal(0, 0.1))
        x = self.dropout(self.norm(self.head(x)))
        return self.tail(x + self.depth(self.body(x)))


def shaky() -> Shaky:
    return Shaky()


class Curious(Noise):
    """A measurement that draws random numbers, too."""

    def validate(self, model: nn.Module) -> dict[str, float]:
        torch.rand(3), random.random(), np.random.rand()
        return super().validate(model)


@pytest.fixture(autouse=True)
def with_toy_nets(own_registry: None, on_the_cpu: None) -> None:
    plain.register()
    register_model(task="super-resolution")(shaky)


def trainer_of(recipe: Recipe, folder: Path, *, seed: int = 0, name: str = "wired") -> Trainer:
    torch.manual_seed(seed)
    return Trainer(zoo.create_model(name), recipe, folder)


# Exactly


@pytest.mark.parametrize("stop", [3, 6, 10])  # in the first stage, at its end, in the second
@pytest.mark.parametrize("seed", [0, 2**24 + 1, 2**40])
def test_with_random_layers_it_is_the_unbroken_run(tmp_path: Path, stop: int, seed: int) -> None:
    recipe = recipe_with({"seed": seed, "log_every": 1, "checkpoint_every": 1})
    whole = trainer_of(recipe, tmp_path / "whole", name="shaky")
    assert whole.fit(Curious())
    random.seed(stop), np.random.seed(stop)
    broken = trainer_of(recipe, tmp_path / "broken", name="shaky")
    with pytest.raises(KeyboardInterrupt):
        broken.fit(Curious(stop=stop))
    random.seed(7), np.random.seed(7)  # as another process would have it
    resumed = trainer_of(recipe, tmp_path / "broken", seed=7, name="shaky")
    assert resumed.fit(Curious(), resume=True)
    assert resumed.history == whole.history
    a, b = load_checkpoint(whole.checkpoint), load_checkpoint(resumed.checkpoint)
    for part in ("model", "averaged"):
        assert all(torch.equal(a[part][key], b[part][key]) for key in a[part])
    assert torch.equal(a["random"][0]["torch"], b["random"][0]["torch"])
    assert a["random"][0]["python"] == b["random"][0]["python"]
    assert a["random"][0]["numpy"] == b["random"][0]["numpy"]


def test_the_seed_alone_decides_a_run(tmp_path: Path) -> None:
    outcomes = []
    for folder, seed in (("one", 1), ("same", 1), ("other", 2)):
        random.seed(folder), np.random.seed(len(folder))
        model = trainer_of(recipe_with({"seed": seed}), tmp_path / folder, name="shaky")
        torch.manual_seed(len(folder))
        assert model.fit(Noise())
        outcomes.append(model.history)
    assert outcomes[0] == outcomes[1] != outcomes[2]


def test_measuring_more_often_changes_no_step(tmp_path: Path) -> None:
    losses = []
    for every in (2, 4):
        run = trainer_of(
            recipe_with({"validate_every": every}), tmp_path / str(every), name="shaky"
        )
        assert run.fit(Curious())
        losses.append([row["loss"] for row in run.history])
    assert losses[0] == losses[1]


def test_killed_behind_its_last_checkpoint_it_still_has_its_history(tmp_path: Path) -> None:
    recipe = recipe_with({})
    assert trainer_of(recipe, tmp_path).fit(Noise())
    file = tmp_path / "history.json"
    history = file.read_text()
    file.write_text("[]")
    assert trainer_of(recipe, tmp_path).fit(Noise(), resume=True)
    assert file.read_text() == history


@pytest.mark.parametrize(("entry", "batches"), [("batches", 2), ("processes", 3)])
def test_one_process_goes_on_with_the_batches_of_several(
    tmp_path: Path, entry: str, batches: int
) -> None:
    """Checkpoints of older versions have the number of processes instead."""
    recipe = recipe_with({})
    trainer = trainer_of(recipe, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(Noise(stop=6))
    state = load_checkpoint(trainer.checkpoint)
    assert state.pop("batches") == 1
    save_checkpoint(trainer.checkpoint, state | {entry: batches})
    task = Noise()
    assert trainer_of(recipe, tmp_path).fit(task, resume=True)
    assert len(task.batches) == batches * (11 - state["step"])
    assert load_checkpoint(trainer.checkpoint)["batches"] == batches


# Not at all


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"ema": 0.5}, "ema was 0.9 and is 0.5"),
        ({"stages.1.lr": 1.0}, "stages.1.lr was 0.03 and is 1.0"),
        ({"stages.0.trainable": ["body"]}, r"stages.0.trainable was \[\] and is \['body'\]"),
        ({"optimizer.name": "muon"}, "optimizer.name was adam and is muon"),
        ({"clip": 2.0}, "clip was None and is 2.0"),
        ({"model.options": {"a": 1}}, "model.options.a was None and is 1"),
        ({"stages": plain.RECIPE["stages"][:1]}, "it had 2 stages and has 1"),
        ({"stages": plain.RECIPE["stages"] * 2}, "it had 2 stages and has 4"),
    ],
)
@pytest.mark.parametrize("finished", [True, False])
def test_a_changed_recipe_is_told_the_way(
    tmp_path: Path, options: dict[str, Any], found: str, finished: bool
) -> None:
    run = trainer_of(recipe_with({}), tmp_path).fit(
        Noise(), time_limit=float("inf") if finished else 0
    )
    assert run == finished
    with pytest.raises(TrainingError, match=found) as caught:
        trainer_of(recipe_with(options), tmp_path).fit(Noise(), resume=True)
    assert f"set model.start to {tmp_path / 'best'}" in str(caught.value)
    assert len(str(caught.value)) - 2 * len(str(tmp_path)) < 200


def test_what_fit_refuses_is_refused_before(tmp_path: Path) -> None:
    """By `begin`, which needs no data; no folder is made."""
    unknown = trainer_of(recipe_with({"stages.1.trainable": ["boddy"]}), tmp_path / "new")
    with pytest.raises(ZooError, match="no module 'boddy'. Did you mean 'body'"):
        unknown.begin()
    with pytest.raises(TrainingError, match="no checkpoint"):
        trainer_of(recipe_with({}), tmp_path / "new").begin(resume=True)
    with pytest.raises(TrainingError, match="--resume is missing"):
        trainer_of(recipe_with({}), tmp_path / "new").begin(steps_more=5)
    alien = Trainer(nn.Conv2d(3, 3, 1), recipe_with({}), tmp_path / "new")
    with pytest.raises(ZooError, match="takes a model that create_model built, not a Conv2d"):
        alien.begin()
    odd = zoo.create_model("wired")
    odd.config["options"] = {"act": nn.ReLU()}
    with pytest.raises(ZooError, match="config.json cannot hold"):
        Trainer(odd, recipe_with({}), tmp_path / "new").fit(Noise())
    with pytest.raises(ZooError, match="config.json cannot hold"):
        find_rate(odd, recipe_with({}), Noise())
    fixed = zoo.create_model("wired").requires_grad_(False)
    with pytest.raises(ZooError, match="Nothing can learn in the model"):
        Trainer(fixed, recipe_with({}), tmp_path / "new").begin()
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("place", ["file", "file/below", "held", "file/a/b"])
def test_a_folder_that_can_not_be_used_is_one_sentence(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "held").mkdir()
    (tmp_path / "held" / "last.pt").touch()
    with pytest.raises(TrainingError, match=r"is a file; --out|holds a run already: --resume") as e:
        trainer_of(recipe_with({}), tmp_path / place).fit(Noise())
    assert "\n" not in str(e.value)
    assert "--out" in str(e.value)
    long = trainer_of(recipe_with({}), tmp_path / ("x" * 300))
    with pytest.raises(TrainingError, match="Nothing can be kept in .*: File name too long"):
        long.begin()


# Further


@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize(
    ("options", "steps", "schedule", "warmup"),
    [
        ({"stages.1.warmup": 2}, 6, "cosine", 2),
        ({}, 20, "cosine", 2),
        ({"stages.1.warmup": 6}, 8, "cosine", 4),
        ({"stages.1.schedule": "constant", "stages.1.warmup": 3}, 6, "cosine", 3),
        ({"stages.1.schedule": "onecycle"}, 6, "onecycle", 0),
    ],
)
def test_added_steps_warm_up_and_anneal(
    tmp_path: Path, options: dict[str, Any], steps: int, schedule: str, warmup: int, cut: bool
) -> None:
    recipe = recipe_with(options | {"log_every": 1})
    assert trainer_of(recipe, tmp_path).fit(Noise())
    longer = trainer_of(recipe, tmp_path, seed=3)
    if cut:
        with pytest.raises(KeyboardInterrupt):
            longer.fit(Noise(stop=5), resume=True, steps_more=steps)
        longer = trainer_of(recipe, tmp_path)  # the added stage is the run's, not the recipe's
        assert longer.fit(Noise(), resume=True)
    else:
        assert longer.fit(Noise(), resume=True, steps_more=steps)
    assert longer.step == 11 + steps
    assert [row["step"] for row in longer.history] == list(range(1, 12 + steps))
    stage = Stage(steps=steps, batch=1, lr=0.03, schedule=schedule, warmup=warmup)
    rates = [0.03 * factor for factor in plain.factors(stage)]
    assert [row["lr"] for row in longer.history[11:]] == pytest.approx(rates)
    for saved in (
        load_checkpoint(longer.checkpoint)["recipe"],
        yaml.safe_load((tmp_path / "recipe.yaml").read_text()),
    ):
        assert [stage["steps"] for stage in saved["stages"]] == [5, 6, steps]
    again = trainer_of(recipe, tmp_path)
    assert again.fit(Noise(), resume=True, steps_more=4)
    assert again.step == 15 + steps


def test_added_steps_keep_the_best_weights(tmp_path: Path) -> None:
    """Their scores are comparable with those of the stage before."""
    recipe = recipe_with({})
    assert trainer_of(recipe, tmp_path).fit(Noise(sign=-1))
    best = zoo.load_model(tmp_path / "best").state_dict()
    longer = trainer_of(recipe, tmp_path)
    assert longer.fit(Noise(sign=-1), resume=True, steps_more=6)  # the score falls on
    kept = zoo.load_model(tmp_path / "best").state_dict()
    assert all(torch.equal(best[key], kept[key]) for key in best)


def test_a_run_ended_by_time_leaves_the_model_free(tmp_path: Path) -> None:
    frozen = {"stages.0.trainable": ["body"], "stages.0.frozen_statistics": ["norm"]}
    for how in ({"time_limit": 0}, {"resume": True}):
        trainer = trainer_of(recipe_with(frozen), tmp_path)
        task = Noise(stop=None if "time_limit" in how else 1)
        if "time_limit" in how:
            assert not trainer.fit(task, **how)
        else:
            with pytest.raises(KeyboardInterrupt):
                trainer.fit(task, **how)
        assert all(parameter.requires_grad for parameter in trainer.model.parameters())
        trainer.model.train()
        assert trainer.model.norm.training

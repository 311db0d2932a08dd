"""Every option of a recipe reaches the loop: runs are held against a plain loop of the tests' own.

Left out here are the tasks' own options, see `test_training_wiring_tasks.py`.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import reference_loop as plain
import torch
from pydantic import ValidationError
from reference_loop import Noise, distance, recipe_with, reference, trained

from zoo.train.checkpoints import load_checkpoint
from zoo.train.find_rate import find_rate

# What a run has beyond `RECIPE`, and the option added to it, which must be followed and matter.
OPTIONS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {"optimizer.betas": (0.5, 0.9)}),
    ({}, {"optimizer.weight_decay": 0.1}),
    ({"optimizer.weight_decay": 0.3}, {"optimizer.name": "adamw"}),
    ({"optimizer.name": "adamw"}, {"optimizer.betas": (0.5, 0.9)}),
    ({"optimizer.name": "adamw"}, {"optimizer.weight_decay": 0.3}),
    ({}, {"optimizer.name": "muon"}),
    ({"optimizer.name": "muon"}, {"optimizer.betas": (0.5, 0.9)}),
    ({"optimizer.name": "muon"}, {"optimizer.weight_decay": 0.3}),
    ({"optimizer.name": "muon"}, {"optimizer.adam_modules": ["head", "tail"]}),
    ({"optimizer.name": "muon"}, {"optimizer.adam_ratio": 0.2}),
    ({}, {"clip": 0.5}),
    ({}, {"ema": 0.2}),
    ({}, {"precision": "bf16"}),
    ({}, {"log_every": 1}),
    ({}, {"validate_every": 2}),
    ({}, {"stages.1.lr": 0.01}),
    ({}, {"stages.1.schedule": "constant"}),
    ({}, {"stages.1.schedule": "onecycle"}),
    ({}, {"stages.1.warmup": 3}),
    ({}, {"stages.1.lr_ratios": {"early": 0.1}}),
    ({"optimizer.name": "muon"}, {"stages.1.lr_ratios": {"late": 0.1}}),
    ({}, {"stages.0.trainable": ["body", "tail"]}),
    ({}, {"stages.1.trainable": ["body", "tail"]}),
    ({"clip": 0.5}, {"stages.1.trainable": ["norm", "body"]}),
    ({}, {"stages.0.frozen_statistics": ["norm"]}),
    ({}, {"stages.1.frozen_statistics": ["norm"]}),
]
SCORES = ["score-is-minus-the-loss", "score-is-the-loss"]


@pytest.fixture(autouse=True, scope="module")
def little_garbage() -> Iterator[None]:
    """A stage ends with a collection of garbage, which takes ten times as long as the stage."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def with_the_toy_net(own_registry: None, on_the_cpu: None) -> None:
    plain.register()


def label(options: dict[str, Any]) -> str:
    return "-".join(f"{name}={value}" for name, value in options.items())


@pytest.mark.parametrize("sign", [1, -1], ids=SCORES)
def test_a_run_is_the_plain_loops(tmp_path: Path, sign: int) -> None:
    """Weights, averaged weights, the best of these and the curve, with scores of either sign."""
    recipe, task = recipe_with({}), Noise(sign=sign)
    run = trained(recipe, task, tmp_path)
    expected = reference(recipe, task, task.batches)
    assert distance(run, expected) < 1e-5
    assert [row["step"] for row in run.history] == [2, 4, 5, 6, 8, 10, 11]
    assert [row["step"] for row in run.history if "score" in row] == [4, 5, 8, 11]
    best_is_last = all(torch.equal(run.best[key], run.averaged[key]) for key in run.best)
    assert best_is_last == (sign == -1)  # so that both cases are met


@pytest.mark.parametrize(("given", "option"), OPTIONS, ids=label)
def test_an_option_is_followed(
    tmp_path: Path, given: dict[str, Any], option: dict[str, Any]
) -> None:
    recipe, task = recipe_with(given | option), Noise()
    run = trained(recipe, task, tmp_path)
    assert distance(run, reference(recipe, task, task.batches)) < 1e-5
    without = reference(recipe_with(given), task, task.batches)
    assert distance(run, without) > 1e-3  # or the option could be ignored unseen


@pytest.mark.parametrize("optimizer", ["adam", "muon"])
def test_in_parts_a_batch_is_the_same(tmp_path: Path, optimizer: str) -> None:
    """But for batch norm, whose statistics are fixed here."""
    fixed = {f"stages.{i}.frozen_statistics": ["norm"] for i in range(2)}
    options = {"optimizer.name": optimizer, "clip": 0.5, **fixed}
    parts = {"stages.0.accumulate": 2, "stages.1.accumulate": 3}
    task = Noise()
    run = trained(recipe_with(options | parts), task, tmp_path)
    assert task.seen == [1] * (5 * 2 + 6 * 3)  # images at a time
    assert distance(run, reference(recipe_with(options), task, task.batches)) < 1e-5


def test_parts_divide_the_batch() -> None:
    with pytest.raises(ValidationError, match="accumulate must divide the batch, which is 3"):
        recipe_with({"stages.1.accumulate": 2})


def drawn(folder: Path, *, seed: int = 0) -> list[torch.Tensor]:
    """The inputs of a whole run."""
    torch.manual_seed(folder.name == "one")  # the global generator has no say
    task = Noise()
    trained(recipe_with({"seed": seed}), task, folder)
    return [x for x, _ in task.batches]


def test_batches_follow_the_step_and_the_stage(tmp_path: Path) -> None:
    one, same = drawn(tmp_path / "one"), drawn(tmp_path / "same")
    assert [len(x) for x in one] == [2] * 5 + [3] * 6
    assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))
    assert not any(torch.equal(a[:2], b[:2]) for a, b in combinations(one, 2))


def test_another_seed_draws_other_batches(tmp_path: Path) -> None:
    one, other = drawn(tmp_path / "one"), drawn(tmp_path / "other", seed=1)
    assert not any(torch.equal(a, b) for a in one for b in other if len(a) == len(b))


@pytest.mark.parametrize("sign", [1, -1], ids=SCORES)
@pytest.mark.parametrize("options", [{}, {"optimizer.name": "muon"}], ids=label)
def test_resumed_inside_a_stage_it_is_the_unbroken_run(
    tmp_path: Path, options: dict[str, Any], sign: int
) -> None:
    """The optimizer's state, averaged weights, best score and history come from the checkpoint."""
    recipe = recipe_with(options)
    whole = trained(recipe, Noise(sign=sign), tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        trained(recipe, Noise(sign=sign, stop=10), tmp_path / "broken")
    assert load_checkpoint(tmp_path / "broken" / "last.pt")["step"] == 8  # checkpoint_every is 4
    rest = Noise(sign=sign)
    resumed = trained(recipe, rest, tmp_path / "broken", seed=1, resume=True)
    assert len(rest.batches) == 3
    assert distance(resumed, whole) == 0


@pytest.mark.parametrize("compiles", [False, True])
def test_only_a_recipe_that_says_so_compiles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compiles: bool
) -> None:
    calls = []

    def fake(model: torch.nn.Module) -> Any:
        return lambda x: calls.append(len(x)) or model(x)

    monkeypatch.setattr(torch, "compile", fake)
    recipe, task = recipe_with({"compile": compiles}), Noise()
    run = trained(recipe, task, tmp_path)
    assert calls == ([2] * 5 + [3] * 6 if compiles else [])
    assert distance(run, reference(recipe, task, task.batches)) < 1e-5


def test_the_rate_finder_trains_by_the_recipe() -> None:
    """Its losses are those of the first stage with rates that grow; no score stops it."""
    options = {"optimizer.name": "adamw", "optimizer.betas": (0.5, 0.9), "clip": 0.5}
    recipe, task = recipe_with(options), Noise()
    curve = find_rate(plain.net(), recipe, task, steps=40, highest=0.3)
    assert [len(x) for x, _ in task.batches] == [2] * 40
    grows = {"steps": 40, "lr": 0.3, "schedule": "exponential"}
    stages = (recipe.stages[0].model_copy(update=grows),)
    every = recipe.model_copy(update={"stages": stages, "log_every": 1})
    rows = reference(every, task, task.batches).history
    assert curve.rates == pytest.approx([row["lr"] for row in rows])
    mean, smooth = 0.0, []
    for step, row in enumerate(rows, start=1):
        mean = 0.9 * mean + 0.1 * row["loss"]
        smooth.append(mean / (1 - 0.9**step))
    assert curve.losses == pytest.approx(smooth, rel=1e-4)

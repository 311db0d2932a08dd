"""`zoo train` and the scripts: what they refuse before any work, and what they tell."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import carvana
import pytest
import reference_loop as plain
import super_resolution
import tiny_seg
import tiny_sr
import torch
from commands import run as run_zoo
from reference_loop import Noise, recipe_with
from typer.testing import CliRunner

import zoo
from zoo.errors import TrainingError, ZooError
from zoo.train import loop
from zoo.train.find_rate import find_rate
from zoo.train.loop import Trainer
from zoo.train.run import changed, load_plan

pytestmark = pytest.mark.usefixtures("own_registry", "on_the_cpu")

TASKS = {"sr": (tiny_sr, super_resolution), "seg": (tiny_seg, carvana)}


def told(way: str, task: str, *arguments: object) -> tuple[int, str]:
    """The exit status of `zoo train ...` or of the task's script, and all that it says."""
    words = ["train", *map(str, arguments)]
    if way == "zoo":
        result = run_zoo(*words)
        return result.status, result.stdout + result.stderr
    outcome = CliRunner().invoke(TASKS[task][1].app, words)
    assert isinstance(outcome.exception, ZooError | SystemExit | None), outcome.exception
    sentence = f"error: {outcome.exception}" if isinstance(outcome.exception, ZooError) else ""
    return outcome.exit_code, outcome.output + sentence


FAULTS: dict[str, tuple[dict[str, Any], list[str], str]] = {
    "out is a file": ({}, ["--out", "{here}/file"], "Nothing can be kept in .*file is a file"),
    "out is below a file": ({}, ["--out", "{here}/file/a/b"], "file is a file; --out names"),
    "out has too long a name": ({}, ["--out", "{here}/" + "x" * 300], "File name too long"),
    "out holds a run": ({}, ["--out", "{here}/held"], "a run already: --resume .* another --out"),
    "nothing to resume": ({}, ["--resume"], "There is no checkpoint .*last.pt to resume from"),
    "steps for a new run": ({}, ["--steps-more", "9"], "--resume is missing"),
    "no data": ({}, ["--data", "{here}/none"], "none"),
    "empty data": ({}, ["--data", "{here}/empty"], "empty"),
    "too few": ({}, ["--held-out", "40"], r"too few to set .*--held-out\) to 1"),
    "unknown key": ({"los": 1}, [], "unknown key 'los'"),
    "wrong value": ({"ema": 2}, [], "ema: "),
    "no model": ({"model": {}}, [], "model.name: Field required"),
    "unknown model": ({"model": {"name": "srresnet_x9"}}, [], "no model called 'srresnet_x9'"),
    "unknown option": ({"model.options.widht": 1}, [], "has no option 'widht'"),
    "unknown start": ({"model.start": "nowhere.none"}, [], "no model called 'nowhere'"),
    "unknown module": ({"stages.0.trainable": ["nothing"], "model.start": "{start}"}, [],
                       "no module 'nothing'"),
    "option of the other task": ({}, ["{other}", "3"], "{other} has no meaning here"),
}  # fmt: skip


@pytest.mark.parametrize("find_lr", [False, True], ids=["train", "find-lr"])
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("task", TASKS)
def test_it_is_refused_in_one_sentence_before_images_are_read(
    tmp_path: Path,
    training_images: dict[str, Path],
    task: str,
    fault: str,
    find_lr: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def read(*_: object, **__: object) -> None:
        raise AssertionError("images were read")

    changes, arguments, sentence = FAULTS[fault]
    if find_lr and fault == "out holds a run":
        pytest.skip("it is left alone")
    monkeypatch.setattr("zoo.train.super_resolution.load_pair", read)
    monkeypatch.setattr("zoo.train.segmentation.resized_copies", read)
    monkeypatch.chdir(tmp_path)
    for name in ("held", "empty"):
        Path(name).mkdir()
    Path("file").touch()
    Path("held/last.pt").touch()
    other = {"sr": "--validation", "seg": "--feature-weights"}[task]
    net = {
        "sr": lambda: zoo.create_model("srresnet_x2", width=8, depth=1),
        "seg": tiny_seg.tiny_net,
    }[task]
    zoo.save_model(net(), tmp_path / "start")
    words = {"here": str(tmp_path), "other": other, "start": str(tmp_path / "start")}
    recipe = recipe_file(task, {
        key: value.format(**words) if isinstance(value, str) else value
        for key, value in changes.items()
    })  # fmt: skip
    before = sorted(tmp_path.rglob("*"))
    way = [recipe, "--data", training_images[task], *(a.format(**words) for a in arguments)]
    status, output = told("zoo", task, *way, *(["--find-lr"] if find_lr else []))
    assert status in (1, 2), output
    assert re.search(sentence.format(**words), output), output
    assert output.count("error: ") == 1
    assert len(output.strip().splitlines()) == 1
    assert sorted(tmp_path.rglob("*")) == before


def recipe_file(task: str, changes: dict[str, Any]) -> Path:
    content = json.loads(json.dumps(TASKS[task][0].TINY))
    for path, value in changes.items():
        part = content
        *where, key = path.split(".")
        for step in where:
            part = part[int(step)] if step.isdigit() else part.setdefault(step, {})
        part[key] = value
    file = Path("recipe.yaml")
    file.write_text(json.dumps(content))  # YAML, too
    return file


@pytest.mark.parametrize("way", ["zoo", "script"])
@pytest.mark.parametrize("task", TASKS)
def test_both_ways_train_and_tell_each_step_once(
    tmp_path: Path,
    training_images: dict[str, Path],
    task: str,
    way: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ZOO_CACHE", str(training_images["seg"].parent / "cache"))
    recipe = recipe_file(task, {})
    status, output = told(way, task, recipe, "--data", training_images[task], "--held-out", 1)
    assert status == 0, output
    out = Path("runs/recipe")
    history = json.loads((out / "history.json").read_text())
    total = history[-1]["step"]
    lines = [line for line in output.splitlines() if line.startswith("step ")]
    assert [line.split("  ")[0] for line in lines] == [
        f"step {i} of {total}" for i in range(1, total + 1)
    ]
    assert f"Finished at step {total}: runs/recipe" in output
    assert zoo.load_model(out / "best")
    more = [recipe, "--data", training_images[task], "--held-out", 1, "--resume", "--steps-more", 3]
    status, output = told(way, task, *more)
    assert status == 0, output
    assert f"Finished at step {total + 3}" in output


def test_on_a_terminal_lines_fit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    plain.register()
    recipe = recipe_with({"log_every": 1, "validate_every": 2, "checkpoint_every": 2})
    assert Trainer(plain.net(), recipe, tmp_path).fit(Noise())
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", capsys.readouterr().out)
    lines = re.split(r"[\r\n]+", shown)
    assert max(map(len, lines)) <= 80
    scored = [line for line in lines if "score" in line]
    assert [line.split()[1] for line in scored] == ["2", "4", "5", "6", "8", "10", "11"]
    assert any("11/11" in line or "6/6" in line for line in lines)


# Time


class Clock:
    """Stands still but for what is added."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


class Slow(Noise):
    """Each step takes a second, and the first batch, which reads images, a hundred."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock, self.stage = clock, None

    def batch(self, stage: Any, generator: torch.Generator) -> Any:
        if stage is not self.stage:
            self.clock.now += 100
        self.stage = stage
        return super().batch(stage, generator)

    def loss(self, prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        self.clock.now += prediction.requires_grad  # a second for each step
        return super().loss(prediction, target)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    plain.register()
    clock = Clock()
    monkeypatch.setattr(loop, "time", clock)
    return clock


@pytest.mark.parametrize(("limit", "steps"), [(0, 2), (1.5, 3), (5.5, 8), (99, 11)])
@pytest.mark.parametrize("compiles", [False, True])
def test_the_limit_counts_steps_not_preparation(
    tmp_path: Path, clock: Clock, limit: float, steps: int, compiles: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def fake(model: torch.nn.Module) -> Callable[[torch.Tensor], torch.Tensor]:
        seen = set()

        def forward(x: torch.Tensor) -> torch.Tensor:
            if x.shape not in seen:
                clock.now += 1000
            seen.add(x.shape)
            return model(x)

        return forward

    monkeypatch.setattr(torch, "compile", fake)
    trainer = Trainer(plain.net(), recipe_with({"compile": compiles, "log_every": 1}), tmp_path)
    assert trainer.fit(Slow(clock), time_limit=limit) == (steps == 11)
    assert trainer.step == steps


def test_the_rate_finder_keeps_the_limit(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    curve = find_rate(plain.net(), recipe_with({}), Slow(clock), time_limit=40.5)
    assert len(curve.rates) == 42
    with pytest.raises(TrainingError, match="ended the search after 4 of 100 steps, too few"):
        find_rate(plain.net(), recipe_with({}), Slow(clock), time_limit=2.5)
    assert "inf" not in capsys.readouterr().out


# What options change


def test_options_change_a_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = load_plan(recipe_file("sr", {}))
    assert changed(recipe, held_out=7).held_out == 7
    stages = [{"size": 64, "batch": 2, "epochs": epochs, "lr": 1e-3} for epochs in (1, 3)]
    recipe = load_plan(recipe_file("seg", {"stages": stages}))
    same = changed(recipe)
    assert same == recipe
    new = changed(recipe, held_out=3, validation=0, epochs=20, encoder="resnet18")
    assert (new.split.held_out, new.split.validation) == (3, 0)
    assert [stage.epochs for stage in new.stages] == [5, 15]
    assert new.model.options["encoder"] == "resnet18"
    single = load_plan(recipe_file("seg", {"stages": tiny_seg.TINY["stages"][:1]}))
    assert changed(single, epochs=2).stages[0].epochs == 2
    assert changed(single, epochs=2).stages[0].steps == 0


@pytest.mark.parametrize(
    ("changes", "options", "sentence"),
    [
        ({}, {"epochs": 3}, "can't be divided among stages whose length is in steps"),
        ({"split": {"folds": 3}}, {"validation": 3}, "contradicts split.folds"),
        ({"model": {"name": "unet34"}}, {"encoder": "resnet18"},
         "unet34 has an encoder of its own; --encoder is for dynamic_unet and fpn"),
    ],
)  # fmt: skip
def test_options_that_do_not_fit(
    tmp_path: Path, changes: Any, options: Any, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = load_plan(recipe_file("seg", changes))
    with pytest.raises(ZooError, match=sentence):
        changed(recipe, **options)


@pytest.mark.parametrize("task", TASKS)
def test_a_script_takes_recipes_of_its_task(
    tmp_path: Path, training_images: dict[str, Path], task: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    other = {"sr": "seg", "seg": "sr"}[task]
    status, output = told("script", other, recipe_file(task, {}), "--data", training_images[task])
    assert status == 1
    assert re.search("srresnet_x2 is no segmentation model|is no super-resolution model", output)

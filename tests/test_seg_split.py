"""The split of a training goes with its weights, and evaluation measures what it set aside."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from carvana import app
from generated_cars import generate_cars
from tiny_seg import TINY, tiny_net, write_recipe
from typer.testing import CliRunner, Result

import zoo
from zoo.seg.data.folders import list_pairs
from zoo.seg.data.splits import fingerprint
from zoo.seg.measure.evaluate import validation_pairs
from zoo.seg.networks.carvana import LESSON_SPLIT
from zoo.train.segmentation import Segmentation, SegRecipe


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def cars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate_cars(tmp_path_factory.mktemp("data") / "cars", cars=6)


def trained(cars: Path, folder: Path, split: dict[str, int]) -> tuple[Path, Segmentation]:
    """A saved folder as a run leaves it, and its task."""
    recipe = SegRecipe.model_validate(TINY | {"split": split | {"held_out": 1}})
    task = Segmentation(recipe, cars, cache=folder / "cache")
    task.batch(recipe.stages[0], torch.Generator())
    net = tiny_net().eval()
    task.validate(net)
    return zoo.save_model(net, folder / "mine"), task


SPLITS: list[dict[str, int]] = [
    {"validation": 1},
    {"validation": 3},
    {"folds": 2, "fold": 1},
    {"folds": 3, "fold": 0},
    {"folds": 3, "fold": 2},
]


@pytest.mark.parametrize("split", SPLITS, ids=str)
def test_what_the_training_set_aside_is_measured(
    cars: Path, tmp_path: Path, split: dict[str, int]
) -> None:
    model, task = trained(cars, tmp_path, split)
    outcome = run("eval", model, "--data", cars, "--size", 32, "--out", tmp_path)
    assert outcome.exit_code == 0, outcome.output
    result = json.loads((tmp_path / "mine.json").read_text())
    measured = set(result["sets"]["validation"]["images"])
    assert measured == {task.pairs[row].image.stem for row in task.split.validation}
    learned = task.split.train + task.split.held_out
    assert not measured & {task.pairs[row].image.stem for row in learned}
    assert result["split"].items() >= split.items()
    saved = zoo.load_model(model).split
    assert saved == result["split"] == json.loads((model / "config.json").read_text())["split"]


def test_a_run_keeps_its_split(cars: Path, tmp_path: Path) -> None:
    split = {"folds": 3, "fold": 1, "held_out": 1}
    recipe = write_recipe(tmp_path, split=split, stages=TINY["stages"][:1])
    out = tmp_path / "run"
    outcome = run("train", recipe, "--data", cars, "--out", out, "--cache", tmp_path / "cache")
    assert outcome.exit_code == 0, outcome.output
    saved = zoo.load_model(out / "best").split
    assert saved == {"validation": 63, **split, "groups": fingerprint(list_pairs(cars))}
    again = zoo.load_model(zoo.save_model(zoo.load_model(out / "best"), tmp_path / "again"))
    assert again.split == saved


@pytest.mark.parametrize("split", SPLITS[2:4], ids=str)
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--validation", 2), "--validation 2 contradicts the training"),
        (("--all",), "trained on images of"),
    ],
    ids=["validation", "all"],
)
def test_a_contradiction_is_an_error(
    cars: Path, tmp_path: Path, split: dict[str, int], options: tuple[object, ...], sentence: str
) -> None:
    model, _ = trained(cars, tmp_path, split)
    outcome = run("eval", model, "--data", cars, "--size", 32, "--out", tmp_path, *options)
    assert sentence in str(outcome.exception)
    assert not (tmp_path / "mine.json").exists()


@pytest.mark.parametrize(
    ("split", "good"),
    [
        ({"validation": 3}, True),
        ({"validation": 2}, True),  # part of what was set aside
        ({"validation": 4}, False),
        ({"folds": 2, "fold": 0}, True),  # the same three cars
        ({"folds": 2, "fold": 1}, False),
        ({"folds": 6, "fold": 5}, False),
    ],
    ids=str,
)
def test_a_start_that_knows_the_validation_images_is_refused(
    cars: Path, tmp_path: Path, split: dict[str, int], good: bool
) -> None:
    start, _ = trained(cars, tmp_path, {"validation": 3})
    recipe = SegRecipe.model_validate(TINY | {"split": split | {"held_out": 1}})
    task = Segmentation(recipe, cars)
    if good:
        task.check_start(str(start))
    else:
        with pytest.raises(zoo.errors.RecipeError, match="sets aside for validation"):
            task.check_start(str(start))
    other = Segmentation(recipe, generate_cars(tmp_path / "other", cars=7))
    other.check_start(str(start))  # new images
    other.check_start("unet34")


@pytest.mark.parametrize("number", [5, 8])
def test_another_folder_is_measured_only_whole(cars: Path, tmp_path: Path, number: int) -> None:
    """One car more or less moves the borders of the split: trained cars would be measured."""
    model, _ = trained(cars, tmp_path, {"folds": 3, "fold": 1})
    other = generate_cars(tmp_path / "other", cars=number)
    outcome = run("eval", model, "--data", other, "--size", 32, "--out", tmp_path)
    assert "trained on another folder" in str(outcome.exception)
    outcome = run("eval", model, "--data", other, "--size", 32, "--out", tmp_path, "--all")
    assert outcome.exit_code == 0, outcome.output
    result = json.loads((tmp_path / "mine.json").read_text())
    assert result["split"] == "all"
    assert len(result["sets"]["all"]["images"]) == 2 * number


@pytest.mark.parametrize("saved", [{"fold": "one"}, {"cars": 3}, {"validation": -1}, {"folds": 0}])
def test_a_damaged_split_is_one_sentence(cars: Path, tmp_path: Path, saved: dict[str, Any]) -> None:
    model, _ = trained(cars, tmp_path, {"validation": 1})
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"split": saved}))
    outcome = run("eval", model, "--data", cars, "--size", 32, "--out", tmp_path)
    assert isinstance(outcome.exception, zoo.errors.ZooError)


def test_a_training_without_validation_is_told(cars: Path, tmp_path: Path) -> None:
    model, _ = trained(cars, tmp_path, {"validation": 0})
    outcome = run("eval", model, "--data", cars, "--size", 32, "--out", tmp_path)
    assert "set no image of" in str(outcome.exception)


@pytest.mark.parametrize("name", [n for m in zoo.list_models(task="segmentation")
                                  for n in zoo.list_weights(m)])  # fmt: skip
def test_shipped_weights_name_their_split(name: str, cars: Path, tmp_path: Path) -> None:
    assert zoo.get_weights(name).meta.split == zoo.load_model(name).split == LESSON_SPLIT
    outcome = run("eval", name, "--data", cars, "--out", tmp_path)
    assert "trained on another folder" in str(outcome.exception)


def test_the_lessons_split_is_that_of_kaggles_cars(data: Path) -> None:
    pairs = list_pairs(data / "carvana")
    assert fingerprint(pairs) == LESSON_SPLIT["groups"]
    assert validation_pairs(data / "carvana", LESSON_SPLIT) == pairs[:1008]

"""Recipes of segmentation: what fits the schema, and the sentence for what does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from generated_cars import generate_cars
from tiny_seg import RECIPES, TINY, tiny_net, write_recipe

import zoo
from zoo.errors import DataError, RecipeError
from zoo.train.freezing import train_only
from zoo.train.optimizers import lr_ratios, optimizer_of
from zoo.train.recipe import load_recipe
from zoo.train.segmentation import Segmentation, SegRecipe, smoke, split_of, with_steps

NAMES = [file.stem for file in sorted(RECIPES.glob("*.yaml")) if "srresnet" not in file.stem]


@pytest.mark.parametrize("name", NAMES)
def test_every_recipe_fits_the_schema_and_its_model(name: str) -> None:
    recipe = load_recipe(RECIPES / f"{name}.yaml", SegRecipe)
    assert [s.size for s in recipe.stages] == sorted(s.size for s in recipe.stages)
    model = zoo.create_model(recipe.model.name, **smoke(recipe).model.options)
    names = {id(parameter): key for key, parameter in model.named_parameters()}
    for stage in with_steps(recipe, 3760).stages:
        assert stage.steps > 0
        parameters, optimizer = optimizer_of(model, recipe.optimizer, stage)
        rates = {
            names[id(p)]: group["initial_lr"] for group in optimizer.param_groups
            for p in group["params"]
        }  # fmt: skip
        assert rates.keys() == parameters.keys()
        decoder = {rate for key, rate in rates.items() if key.startswith("decoder")}
        assert decoder == {stage.lr}
        if stage.lr_ratios:
            assert min(rates.values()) == pytest.approx(stage.lr * stage.lr_ratios["early"])


def test_a_random_encoder_starts_unfrozen() -> None:
    """Only what was trained before, by ImageNet or by the recipe that this one continues, is."""
    for name in NAMES:
        recipe = load_recipe(RECIPES / f"{name}.yaml", SegRecipe)
        frozen = [stage for stage in recipe.stages if stage.trainable or stage.frozen_statistics]
        first = recipe
        while first.model.start is not None and first.model.start.endswith(".yaml"):
            first = load_recipe(RECIPES / first.model.start, SegRecipe)
        assert bool(frozen) == ("encoder_weights" in first.model.options)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"los": "bce"}, r"unknown key 'los'; known are"),
        ({"split": {"held_ot": 3}}, r"'split.held_ot'; .*Did you mean 'held_out'\?"),
        ({"stages": []}, "stages: .*at least 1 item"),
        ({"stages": [TINY["stages"][0] | {"size": 16}]}, r"stages.0.size: .* equal to 32"),
        ({"stages": [TINY["stages"][0] | {"epochs": 1}]}, "either steps or epochs"),
        ({"stages": [TINY["stages"][0] | {"steps": 0}]}, "either steps or epochs"),
        ({"stages": [TINY["stages"][0] | {"lr_ratios": {"early": 0}}]}, "lr_ratios.early"),
        ({"stages": [TINY["stages"][0] | {"trainable": ["decoder"]}]}, "knows nothing yet"),
        ({"stages": [TINY["stages"][0] | {"frozen_statistics": ["encoder"]}]}, "nothing yet"),
    ],
)
def test_a_wrong_recipe_is_one_sentence(
    tmp_path: Path, changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(RecipeError, match=sentence) as caught:
        load_recipe(write_recipe(tmp_path, **changes), SegRecipe)
    assert "\n" not in str(caught.value)


def test_what_the_model_does_not_have_is_named(tmp_path: Path) -> None:
    model = tiny_net()
    with pytest.raises(RecipeError, match=r"no layer group 'earyl', .* Did you mean 'early'\?"):
        lr_ratios(model, {"earyl": 0.1})
    with pytest.raises(RecipeError, match="no layer group 'early', but none"):
        lr_ratios(torch.nn.Conv2d(3, 3, 1), {"early": 0.1})
    with pytest.raises(RecipeError, match=r"no module 'encdoer'. Did you mean 'encoder'\?"):
        train_only(model, (), frozen_statistics=("encdoer",))


@pytest.mark.parametrize("processes", [1, 2, 3, 4, 8])
@pytest.mark.parametrize(("epochs", "batch"), [(4, 16), (0.5, 8), (1, 64), (12, 1)])
def test_an_epoch_is_one_pass_by_all_processes(processes: int, epochs: float, batch: int) -> None:
    stages = [{"size": 32, "batch": batch, "epochs": epochs, "lr": 1}, TINY["stages"][1]]
    recipe = SegRecipe.model_validate(TINY | {"stages": stages})
    counted, fixed = with_steps(recipe, 3760, processes=processes).stages
    drawn = counted.steps * batch * processes
    assert drawn == pytest.approx(epochs * 3760, abs=batch * processes / 2)
    assert (counted.epochs, fixed.steps) == (0, TINY["stages"][1]["steps"])


def test_epochs_are_counted_out_and_splits_chosen(tmp_path: Path) -> None:
    stages = [{"size": 32, "batch": 3, "epochs": 2.5, "lr": 1}, TINY["stages"][1]]
    recipe = load_recipe(write_recipe(tmp_path, stages=stages), SegRecipe)
    cars = generate_cars(tmp_path / "cars")
    task = Segmentation(recipe, cars)
    assert len(task.split.train) == 4
    assert [stage.steps for stage in task.recipe.stages] == [3, 2]
    folds = {"folds": 4, "fold": 2, "held_out": 1}
    fold = load_recipe(write_recipe(tmp_path, split=folds), SegRecipe)
    assert split_of(fold, task.pairs).validation == [4, 5]
    few = load_recipe(write_recipe(tmp_path, split={"validation": 3}), SegRecipe)
    with pytest.raises(DataError, match="4 groups of images are too few"):
        Segmentation(few, cars)


@pytest.mark.parametrize(
    ("cars", "split", "advice", "fits"),
    [
        (4, {}, r"\(--validation\) and split.held_out \(--held-out\) to 1\.", (1, 1)),
        (10, {"validation": 2}, "split.held_out .* to 2", (2, 2)),
        (3, {"validation": 3, "held_out": 1}, "to 1", (1, 1)),
        (2, {}, "it takes 3 groups at least", None),
        (3, {"folds": 5}, "set split.folds to 2, and split.held_out to 1", None),
    ],
)
def test_small_folders_are_told_what_works(
    tmp_path: Path, cars: int, split: dict[str, int], advice: str, fits: tuple[int, int] | None
) -> None:
    folder = generate_cars(tmp_path / "cars", cars=cars)
    recipe = load_recipe(write_recipe(tmp_path, split=split), SegRecipe)
    with pytest.raises(DataError, match=advice):
        Segmentation(recipe, folder)
    works = dict(zip(("validation", "held_out"), fits or (1, 1), strict=True))
    if "folds" in split:
        works = {"folds": 2, "held_out": 1}
    if cars > 2:
        recipe = load_recipe(write_recipe(tmp_path, split=works), SegRecipe)
        assert Segmentation(recipe, folder).split.train

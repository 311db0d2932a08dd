"""What a recipe says of data, loss and measure reaches the loop, for both tasks."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_seg
import tiny_sr
import torch
from generated_cars import generate_cars
from PIL import Image
from test_training_wiring import little_garbage  # noqa: F401
from torch import Tensor, nn
from torch.nn import functional as F

import zoo
from zoo.pictures.picture import to_pixels, to_tensor
from zoo.seg.data.augment import Augmentation
from zoo.seg.data.batches import MaskedImages
from zoo.seg.data.folders import list_pairs
from zoo.seg.data.resized_copies import resized_copies
from zoo.seg.data.splits import lesson_split
from zoo.sr.data.imresize import bicubic_downscale
from zoo.sr.data.pairs import PairedPatches, load_pair
from zoo.sr.losses.feature_loss import FeatureLoss
from zoo.sr.losses.feature_nets import normalised_vgg19
from zoo.train.loop import Trainer
from zoo.train.segmentation import Segmentation, SegRecipe
from zoo.train.sr_recipe import FeatureSection, SRRecipe
from zoo.train.super_resolution import SuperResolution

Batch = tuple[Tensor, Tensor]
CALM = {"rotation": 0.0, "flip": False, "lighting": 0.0}


pytestmark = pytest.mark.usefixtures("on_the_cpu")


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six, each flat but for one noisy corner."""
    folder = tmp_path_factory.mktemp("photographs")
    for i in range(6):
        pixels = np.full((64, 72, 3), 30 * i, np.uint8)
        pixels[:24, :24] = np.random.default_rng(i).integers(0, 256, (24, 24, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    return folder


@pytest.fixture(scope="module")
def cars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate_cars(tmp_path_factory.mktemp("data") / "cars")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


class Watched:
    """A run, with the batches and the generator's states before each of them."""

    def __init__(self, model: nn.Module, task: Any, recipe: Any, folder: Path) -> None:
        self.first, self.states, self.batches = copy.deepcopy(model), list[Tensor](), list[Batch]()
        draw = task.batch

        def batch(stage: Any, generator: torch.Generator) -> Batch:
            self.states.append(generator.get_state())
            self.batches.append(draw(stage, generator))
            return self.batches[-1]

        task.batch = batch
        trainer = Trainer(model, recipe, folder)
        assert trainer.fit(task)
        self.history, self.averaged = trainer.history, trainer.averaged.module

    def generator(self, step: int) -> torch.Generator:
        generator = torch.Generator()
        generator.set_state(self.states[step])
        return generator

    def first_prediction(self) -> Tensor:
        with torch.no_grad():
            return self.first.train()(self.batches[0][0])


def same(one: Batch, other: Batch) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


# Super-resolution


def upscaler_run(photographs: Path, folder: Path, **changes: Any) -> Watched:
    recipe = SRRecipe.model_validate(tiny_sr.TINY | {"precision": "fp32"} | changes)
    torch.manual_seed(0)
    model = zoo.create_model("srresnet_x2", width=8, depth=1)
    task = SuperResolution(recipe, photographs, scale=2, device="cpu")
    return Watched(model, task, recipe, folder)


def test_patches_are_those_of_their_stage(tmp_path: Path, photographs: Path) -> None:
    sizes = [(16, 8, 1), (16, 8, 6), (2, 12, 1)]  # batch, patch, candidates
    stages = [
        {"steps": 2, "lr": 1e-3, "batch": batch, "patch": patch, "candidates": candidates}
        for batch, patch, candidates in sizes
    ]
    run = upscaler_run(photographs, tmp_path, stages=stages)
    pairs = [load_pair(photographs / f"{i}.png", scale=2) for i in (1, 2, 4, 5)]
    patches = PairedPatches(pairs, scale=2)
    for step, drawn in enumerate(run.batches):
        batch, patch, candidates = sizes[step // 2]
        cut = patches.batch(batch, patch, run.generator(step), candidates=candidates)
        assert same(drawn, cut)
        if candidates > 1:
            assert not same(drawn, patches.batch(batch, patch, run.generator(step)))
    few, many = (torch.stack([y for _, y in run.batches[i : i + 2]]) for i in (0, 2))
    assert many.std((-2, -1)).mean() > 1.3 * few.std((-2, -1)).mean()  # of six, the noisiest


@pytest.mark.parametrize("loss", ["l1", "mse", "charbonnier"])
def test_the_recipes_pixel_loss_is_trained(tmp_path: Path, photographs: Path, loss: str) -> None:
    run = upscaler_run(photographs, tmp_path, loss=loss)
    error = run.first_prediction() - run.batches[0][1]
    by_hand = {
        "l1": error.abs().mean(),
        "mse": error.square().mean(),
        "charbonnier": (error.square() + 1e-6).sqrt().mean(),
    }
    assert run.history[0]["loss"] == pytest.approx(by_hand[loss].item(), rel=1e-5)


@pytest.mark.parametrize(
    "option",
    [{"layers": {"features.8": 2.0}}, {"pixel": 0.5}, {"style": 1e3}, {"grid": 2.0}, {"excess": 2}],
    ids=lambda option: next(iter(option)),
)
def test_an_option_of_the_feature_loss_is_followed(option: dict[str, Any]) -> None:
    generator = torch.Generator().manual_seed(0)
    x, y = torch.rand(2, 1, 3, 48, 48, generator=generator)

    def value(**options: Any) -> float:
        torch.manual_seed(0)
        section = FeatureSection(net="vgg19_normalised", weights=None, **options)
        return section.build(2)(x, y).item()

    torch.manual_seed(0)
    net = normalised_vgg19(None)
    options = {"layers": {"features.3": 1.0}} | option
    direct = FeatureLoss(net, **options, period=2, mean=(0, 0, 0), std=(1, 1, 1))
    assert value(**options) == pytest.approx(direct(x, y).item(), rel=1e-5)
    assert value(**options) != pytest.approx(value(layers={"features.3": 1.0}), rel=1e-3)


def test_psnr_is_that_of_the_averaged_weights_on_what_was_set_aside(
    tmp_path: Path, photographs: Path
) -> None:
    stages = [{"steps": 8, "batch": 2, "patch": 8, "lr": 0.02, "schedule": "constant"}]
    run = upscaler_run(photographs, tmp_path, stages=stages, ema=0.9)
    luma = torch.tensor([65.481, 128.553, 24.966]).double() / 255
    values = []
    for i in (0, 3):  # every third of six
        target = np.array(Image.open(photographs / f"{i}.png"))
        with torch.no_grad():
            y = run.averaged(to_tensor(bicubic_downscale(target, 2))[None])[0]
        error = (to_pixels(y).astype(float) - target)[2:-2, 2:-2]
        values.append(10 * np.log10(255**2 / np.mean((error @ luma.numpy()) ** 2)))
    assert run.history[-1]["psnr_y"] == pytest.approx(np.mean(values), abs=1e-3)


# Segmentation


def segmenter_run(cars: Path, cache: Path, folder: Path, **changes: Any) -> Watched:
    recipe = SegRecipe.model_validate(tiny_seg.TINY | changes)
    task = Segmentation(recipe, cars, cache=cache)
    return Watched(tiny_seg.tiny_net(), task, task.recipe, folder)


@pytest.mark.parametrize(
    "options",
    [{}, {"rotation": 40}, {"flip": False}, {"lighting": 0.5}, CALM],
    ids=["default", "rotation", "flip", "lighting", "calm"],
)
def test_images_are_augmented_by_the_recipe(
    tmp_path: Path, cars: Path, cache: Path, options: dict[str, Any]
) -> None:
    stages = [
        {"size": 32, "batch": 4, "steps": 1, "lr": 1e-3},
        {"size": 64, "batch": 2, "steps": 1, "lr": 1e-3},
    ]
    run = segmenter_run(cars, cache, tmp_path, stages=stages, augmentation=options)
    pairs = list_pairs(cars)
    split = lesson_split(pairs, validation=1, held_out=1)
    for step, (size, batch) in enumerate([(32, 4), (64, 2)]):
        data = MaskedImages(*resized_copies(cars, pairs, size, cache=cache), rows=split.train)

        def cut(data: MaskedImages = data, batch: int = batch, step: int = step, **how: Any) -> Any:
            given: Any = {"rotation": 4.0, "flip": True, "lighting": 0.05} | how
            return data.batch(batch, run.generator(step), augmentation=Augmentation(**given))

        assert same(run.batches[step], cut(**options))
        if options and step == 0:
            assert not same(run.batches[step], cut())
    if options is CALM:
        known = torch.cat([x for x, _ in data.in_order(9)])
        assert all((known - x).abs().amax((1, 2, 3)).min() < 1e-5 for x in run.batches[1][0])


@pytest.mark.parametrize("weight", [0.0, 0.7])
def test_the_loss_has_the_recipes_share_of_dice(
    tmp_path: Path, cars: Path, cache: Path, weight: float
) -> None:
    run = segmenter_run(cars, cache, tmp_path, dice_weight=weight)
    logits, masks = run.first_prediction()[:, 0], run.batches[0][1].float()
    shares, pixels = logits.sigmoid(), (1, 2)
    overlap, total = (shares * masks).sum(pixels), (shares + masks).sum(pixels)
    dice = 1 - ((2 * overlap + 1) / (total + 1)).mean()
    expected = F.binary_cross_entropy_with_logits(logits, masks) + weight * dice
    assert run.history[0]["loss"] == pytest.approx(expected.item(), rel=1e-4)


def test_dice_is_that_of_the_averaged_weights_on_what_was_set_aside(
    tmp_path: Path, cars: Path, cache: Path
) -> None:
    stages = [{"size": 32, "batch": 4, "steps": 12, "lr": 1e-2, "schedule": "constant"}]
    run = segmenter_run(cars, cache, tmp_path, stages=stages, ema=0.5)
    pairs = list_pairs(cars)
    images, masks = (torch.tensor(x) for x in resized_copies(cars, pairs, 32, cache=cache))
    rows = [i for i, pair in enumerate(pairs) if "car3" in str(pair.image)]  # the last group
    with torch.no_grad():
        found, actual = run.averaged(images[rows] / 255)[:, 0] > 0, masks[rows] > 0
    assert 0 < found.float().mean() < 1
    dice = 2 * (found & actual).sum() / (found.sum() + actual.sum())
    assert run.history[-1]["dice_pooled@32"] == pytest.approx(dice.item(), rel=1e-5)
    right = (found == actual).float().mean()
    assert run.history[-1]["accuracy@32"] == pytest.approx(right.item(), rel=1e-5)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_it_measures_in_the_recipes_precision(cars: Path, cache: Path, precision: str) -> None:
    recipe = SegRecipe.model_validate(tiny_seg.TINY | {"precision": precision})
    task = Segmentation(recipe, cars, cache=cache)
    task.batch(task.recipe.stages[1], torch.Generator())
    seen = []
    model = tiny_seg.tiny_net().eval()
    model.register_forward_hook(lambda module, x, y: seen.append((y.dtype, len(x[0]))))
    assert set(task.validate(model)) == {"dice_pooled@64", "accuracy@64"}
    assert seen == [(torch.bfloat16 if precision == "bf16" else torch.float32, 2)]
    assert model.image_size == 64

"""Recipes, the loop, checkpoints: what a run does, and what is left when it is killed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_sr import TINY, Constant, write_recipe

import zoo
from zoo.errors import DataError, RecipeError, ZooError
from zoo.train.checkpoints import load_checkpoint, start_from
from zoo.train.loop import Trainer
from zoo.train.optimizers import make_optimizer, rate_factor, trainable_parameters
from zoo.train.recipe import OptimizerSection, Stage, load_recipe
from zoo.train.sr_recipe import SRRecipe
from zoo.train.super_resolution import SuperResolution, split_held_out

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "benchmarks" / "super_resolution.py"
RECIPES = sorted((ROOT / "benchmarks" / "recipes").glob("srresnet*.yaml"))


def command(recipe: Path, out: Path, photographs: Path, *options: str) -> list[str]:
    return [
        sys.executable, str(SCRIPT), "train", str(recipe),
        "--data", str(photographs), "--out", str(out), *options,
    ]  # fmt: skip


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import skimage.data
    from PIL import Image

    folder = tmp_path_factory.mktemp("photographs")
    for i, image in enumerate([skimage.data.astronaut(), skimage.data.chelsea()]):
        for j in range(3):
            Image.fromarray(image[j * 64 : j * 64 + 64, :72]).save(folder / f"{i}{j}.png")
    return folder


@pytest.mark.parametrize("file", RECIPES, ids=lambda file: file.stem)
def test_every_recipe_fits_the_schema_and_its_model(file: Path) -> None:
    recipe = load_recipe(file, SRRecipe)
    model = zoo.create_model(recipe.model.name, **recipe.model.options)
    for stage in recipe.stages:
        parameters = trainable_parameters(model, stage.trainable)
        optimizer = make_optimizer(recipe.optimizer, parameters, lr=stage.lr)
        grouped = [p for group in optimizer.param_groups for p in group["params"]]
        assert {id(p) for p in grouped} == {id(p) for p in parameters.values()}
        assert len(grouped) == len(parameters)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"los": "l1"}, r"unknown key 'los'; known are .*Did you mean 'loss'\?"),
        ({"loss": "l3"}, r"loss: Input should be 'l1', 'mse', 'charbonnier' or 'feature'"),
        ({"optimizer": {"name": "muon", "lr": 1}}, r"unknown key 'optimizer.lr'; known are name"),
        (
            {"stages": [TINY["stages"][0] | {"step": 3}]},
            r"unknown key 'stages.0.step'; .*Did you mean 'steps'\?",
        ),
        ({"stages": [{"steps": 0, "batch": 1, "patch": 8, "lr": 1}]}, r"stages.0.steps: .* than 0"),
        ({"checkpoint_every": 3, "log_every": 2}, r"of log_every, which is 2: set log_every to 1"),
        ({"checkpoint_every": 60, "validate_every": 90, "log_every": 50}, "set log_every to 30"),
        ({"stages": []}, r"stages: .* at least 1 item"),
        (
            {"stages": [TINY["stages"][1] | {"schedule": "onecycle"}]},
            r"onecycle warms up by itself",
        ),
    ],
)
def test_a_wrong_recipe_is_one_sentence(
    tmp_path: Path, changes: dict[str, object], sentence: str
) -> None:
    with pytest.raises(RecipeError, match=sentence) as caught:
        load_recipe(write_recipe(tmp_path, **changes), SRRecipe)
    assert "\n" not in str(caught.value)


def test_recipes_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="can't be read: No such file"):
        load_recipe(tmp_path / "none.yaml", SRRecipe)
    (tmp_path / "bad.yaml").write_text("a: [1")
    with pytest.raises(RecipeError, match="no valid YAML"):
        load_recipe(tmp_path / "bad.yaml", SRRecipe)


def test_learning_rates() -> None:
    cosine = Stage(steps=110, batch=1, lr=1, warmup=10)
    assert [rate_factor(cosine, step) for step in (0, 9, 10, 60)] == pytest.approx([0.1, 1, 1, 0.5])
    assert rate_factor(cosine, 109) < 0.001
    cycle = Stage(steps=100, batch=1, lr=1, schedule="onecycle")
    assert [rate_factor(cycle, s) for s in (0, 30, 65)] == pytest.approx([0.04, 1, 0.5])
    assert rate_factor(Stage(steps=9, batch=1, lr=1, schedule="constant"), 8) == 1


def test_unknown_modules_are_refused() -> None:
    model = zoo.create_model("srresnet_x2", width=8, depth=1)
    with pytest.raises(RecipeError, match="no module 'tial'. Did you mean 'tail'?"):
        trainable_parameters(model, ("tial",))
    assert set(trainable_parameters(model, ("tail",))) == {"tail.weight", "tail.bias"}


def test_muon_keeps_off_the_ends_and_the_biases() -> None:
    model = zoo.create_model("srresnet_x2", width=8, depth=1)
    section = OptimizerSection(name="muon", adam_modules=("head", "tail"), adam_ratio=0.5)
    optimizer = make_optimizer(section, dict(model.named_parameters()), lr=1e-3)
    muon, adam = optimizer.param_groups
    names = {id(p): name for name, p in model.named_parameters()}
    muon_names = {names[id(p)] for p in muon["params"]}
    assert muon_names == {
        "body.0.conv1.weight", "body.0.conv2.weight", "fuse.weight", "upsampler.0.0.weight"
    }  # fmt: skip
    assert "head.weight" in {names[id(p)] for p in adam["params"]}
    assert (muon["initial_lr"], adam["initial_lr"]) == (1e-3, 5e-4)


@pytest.mark.parametrize("name", ["adam", "adamw", "muon"])
@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("srresnet_x2", {"width": 8, "depth": 1}),
        ("srresnet_lesson_x2", {}),
        ("dynamic_unet", {"encoder": "test_resnet"}),
        ("fpn", {"encoder": "test_efficientnet"}),
        ("dynamic_unet", {"encoder": "test_convnext"}),  # norms of layers, scales of branches
    ],
    ids=str,
)
def test_norms_and_biases_do_not_decay(model: str, options: dict[str, str], name: str) -> None:
    net = zoo.create_model(model, **options)
    section = OptimizerSection(name=name, weight_decay=0.3, adam_modules=("tail", "head"))
    optimizer = make_optimizer(section, dict(net.named_parameters()), lr=1.0)
    decay = {id(p): g["weight_decay"] for g in optimizer.param_groups for p in g["params"]}
    kinds = (torch.nn.Conv2d, torch.nn.Linear)
    weights = {id(layer.weight) for layer in net.modules() if isinstance(layer, kinds)}
    assert len(decay) == len(list(net.parameters()))
    assert {key for key, value in decay.items() if value == 0.3} == weights
    assert set(decay.values()) == {0.0, 0.3}


def test_without_a_weight_decay_nothing_is_set_apart() -> None:
    parameters = dict(zoo.create_model("dynamic_unet", encoder="test_resnet").named_parameters())
    for name, groups in (("adam", 1), ("adamw", 1), ("muon", 2)):
        optimizer = make_optimizer(OptimizerSection(name=name), parameters, lr=1.0)
        assert len(optimizer.param_groups) == groups


def test_held_out_photographs_are_spread_and_separate() -> None:
    files = [Path(f"{i:03}") for i in range(100)]
    train, held_out = split_held_out(files, 4)
    assert [file.name for file in held_out] == ["000", "025", "050", "075"]
    assert sorted(train + held_out) == files


@pytest.mark.parametrize(("count", "wanted", "fits"), [(4, 4, 1), (20, 24, 4), (2, 24, 1)])
def test_too_few_photographs_are_told_what_works(count: int, wanted: int, fits: int) -> None:
    files = [Path(f"{i:03}") for i in range(count)]
    with pytest.raises(
        DataError, match=rf"{count} photographs .* held_out \(--held-out\) to {fits}\."
    ):
        split_held_out(files, wanted)
    assert len(split_held_out(files, fits)[0]) == count - fits


@pytest.mark.parametrize("count", [0, 1])
def test_one_photograph_is_never_enough(count: int) -> None:
    with pytest.raises(DataError, match="it takes 2 photographs at least"):
        split_held_out([Path(str(i)) for i in range(count)], 24)


class Grey(torch.nn.Module):
    """Luma in all channels."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weights = torch.tensor([65.481, 128.553, 24.966]) / 219
        return (x * weights[:, None, None]).sum(1, keepdim=True).expand_as(x)


def test_where_the_size_stays_colours_count(photographs: Path) -> None:
    recipe = SRRecipe.model_validate(TINY)
    same = SuperResolution(recipe, photographs, scale=1, degrade=lambda x, scale: x, device="cpu")
    assert same.score == "psnr_rgb"
    assert same.validate(torch.nn.Identity()) == {"psnr_rgb": 50}
    grey = same.validate(Grey())["psnr_rgb"]
    pixels = [pair.target.astype(float) for pair in same.held_out]
    errors = [y - (y @ [65.481, 128.553, 24.966] / 219)[..., None] for y in pixels]
    by_hand = [10 * np.log10(255**2 / np.mean(error**2)) for error in errors]
    assert grey == pytest.approx(np.mean(by_hand), abs=0.05)
    assert SuperResolution(recipe, photographs, scale=2, device="cpu").score == "psnr_y"


def test_shrunk_copies_join_both_sides(tmp_path: Path) -> None:
    for i in range(4):
        pixels = np.random.default_rng(i).integers(0, 256, (40, 60, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
    recipe = SRRecipe.model_validate({**TINY, "shrunk": [0.5]})
    task = SuperResolution(recipe, tmp_path, scale=2, device="cpu")
    assert task.patches.names == ["1.png", "3.png"] * 2
    assert task.patches.sizes.tolist() == [[20, 30]] * 2 + [[10, 15]] * 2
    assert [pair.target.shape for pair in task.held_out] == [(40, 60, 3)] * 2 + [(20, 30, 3)] * 2
    with pytest.raises(RecipeError, match="no ready-made inputs"):
        SuperResolution(recipe, tmp_path, scale=2, device="cpu", inputs=tmp_path)
    large = [{**TINY["stages"][0], "patch": 12}]
    recipe = SRRecipe.model_validate({**TINY, "shrunk": [0.5], "stages": large})
    with pytest.raises(DataError, match=r"1\.png is 15×10 .*set patch to 10 at most"):
        SuperResolution(recipe, tmp_path, scale=2, device="cpu")


def test_a_frozen_stage_moves_only_its_modules(tmp_path: Path) -> None:
    torch.manual_seed(0)
    recipe = load_recipe(write_recipe(tmp_path, stages=[TINY["stages"][0]]), SRRecipe)
    model = zoo.create_model("srresnet_x2", width=8, depth=1)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    assert Trainer(model, recipe, tmp_path / "run").fit(Constant())
    moved = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert moved == {
        "upsampler.0.0.weight", "upsampler.0.0.bias", "tail.weight", "tail.bias"
    }  # fmt: skip


def test_killed_in_the_middle_of_a_save_it_resumes_exactly(
    tmp_path: Path, photographs: Path
) -> None:
    """SIGKILL while a checkpoint is being written; the losses are those of an unbroken run."""
    long = TINY["stages"][1] | {"steps": 150}  # saves enough for one to be caught halfway
    recipe = write_recipe(tmp_path, stages=[TINY["stages"][0], long], validate_every=50)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    subprocess.run(command(recipe, whole, photographs), check=True, capture_output=True)

    process = subprocess.Popen(
        command(recipe, broken, photographs), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while not ((broken / "last.pt").exists() and list(broken.glob(".*.part*"))):
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
    process.send_signal(signal.SIGKILL)
    process.wait()
    killed_at = load_checkpoint(broken / "last.pt")["step"]
    assert 1 <= killed_at < 156

    subprocess.run(
        command(recipe, broken, photographs, "--resume"), check=True, capture_output=True
    )
    assert (broken / "history.json").read_text() == (whole / "history.json").read_text()
    assert not list(broken.glob(".*.part*"))
    x = torch.rand(1, 3, 6, 6)
    with torch.no_grad():
        best = [zoo.load_model(run / "best")(x) for run in (whole, broken)]
    assert torch.equal(*best)


@pytest.mark.parametrize("name", ["srresnet_x4", "srresnet_x4_perceptual"])
def test_smoke_runs_the_whole_path(name: str, tmp_path: Path) -> None:
    """The ×4 recipes on generated images: stages, history, weights that load."""
    recipe = ROOT / "benchmarks" / "recipes" / f"{name}.yaml"
    subprocess.run(
        [sys.executable, str(SCRIPT), "train", str(recipe), "--smoke", "--out", str(tmp_path)],
        check=True,
        capture_output=True,
    )
    history = json.loads((tmp_path / "history.json").read_text())
    steps = 2 * len(load_recipe(recipe, SRRecipe).stages)
    assert [row["step"] for row in history] == list(range(1, steps + 1))
    assert ("minus_feature_loss" in history[-1]) == ("perceptual" in name)
    assert zoo.load_model(tmp_path / "best").scale == 4


def test_a_start_names_what_was_copied(tmp_path: Path) -> None:
    source = zoo.create_model("srresnet_x2", width=8, depth=1)
    zoo.save_model(source, tmp_path / "x2")
    target = zoo.create_model("srresnet_x4", width=8, depth=1)
    report = start_from(target, str(tmp_path / "x2"), min_copied=0.5)
    assert report.fresh == ("upsampler.1.0.weight", "upsampler.1.0.bias")
    assert torch.equal(target.head.weight, source.head.weight)
    with pytest.raises(ZooError, match="srresnet_x9"):
        start_from(target, "srresnet_x9.psnr", min_copied=0.5)


def test_a_start_is_never_random() -> None:
    target = zoo.create_model("srresnet_x2")
    start_from(target, "srresnet_x2", min_copied=1)
    assert torch.equal(target.head.weight, zoo.create_model("srresnet_x2.psnr").head.weight)
    with pytest.raises(ZooError, match="srresnet_lesson_x2 has no weights"):
        start_from(target, "srresnet_lesson_x2", min_copied=1)

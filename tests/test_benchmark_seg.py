"""The Carvana benchmark's commands, on generated cars."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from carvana import app
from generated_cars import generate_cars
from PIL import Image
from typer.testing import CliRunner, Result

import zoo
from zoo.seg.data.folders import list_pairs, load_pair
from zoo.seg.data.resize import resize_image, resize_mask


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def cars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate_cars(tmp_path_factory.mktemp("data") / "cars")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    net = zoo.create_model(
        "dynamic_unet", encoder="test_resnet", decoder_channels=(16, 16, 8, 8, 8)
    )
    return zoo.save_model(net, tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def outcome(cars: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """What eval prints, and the folder that it writes."""
    out = tmp_path_factory.mktemp("results")
    shown = run(
        "eval", model, "--data", cars, "--native", cars, "--size", 64, "--validation", 2,
        "--out", out,
    )  # fmt: skip
    assert shown.exit_code == 0, shown.output
    return shown.output, out


def test_figures_are_those_of_the_validation_cars(
    outcome: tuple[str, Path], cars: Path, model: Path
) -> None:
    result = json.loads((outcome[1] / "tiny.json").read_text())
    assert (result["model"], result["task"], result["size"]) == ("tiny", "segmentation", 64)
    net = zoo.load_model(model)
    assert result["parameters"] == sum(p.numel() for p in net.parameters())
    assert result["multiply_adds_64"] > 1e6
    assert len(result["weights_sha256"]) == 64
    assert result["environment"]["libraries"]["torch"]
    pairs = list_pairs(cars)[:4]  # two cars, two photographs each
    for title, at, size in (("validation", "64", (64, 64)), ("validation-native", "native", None)):
        figures, overlap, total, right = result["sets"][title], 0, 0, []
        for pair in pairs:
            image, mask = load_pair(pair)
            if size:
                image, mask = resize_image(image, size), resize_mask(mask, size)
            found = zoo.segment(np.asarray(image), net, size=64, precision="fp32") > 0
            overlap += 2 * (found & (mask == 1)).sum()
            total += found.sum() + mask.sum()
            right.append(found == mask)
            dice = 2 * (found & (mask == 1)).sum() / (found.sum() + mask.sum())
            assert figures["images"][pair.image.stem]["dice"] == pytest.approx(dice)
        assert len(figures["images"]) == 4
        assert figures[f"dice_pooled@{at}"] == pytest.approx(overlap / total)
        assert figures[f"accuracy@{at}"] == pytest.approx(np.mean(right))


def test_the_worst_the_median_and_the_best_are_drawn(outcome: tuple[str, Path]) -> None:
    with Image.open(outcome[1] / "tiny.jpg") as image:
        assert image.width > 3 * 64
        assert image.height > 64


def test_the_table_shows_the_lesson_at_the_same_size(
    outcome: tuple[str, Path], cars: Path, model: Path, tmp_path: Path
) -> None:
    assert "lesson" not in outcome[0]  # it has no figures at 64 pixels
    shown = run("eval", model, "--data", cars, "--size", 128, "--validation", 1, "--out", tmp_path)
    assert shown.exit_code == 0, shown.output
    assert "0.99361" in shown.output.replace("\n", "")
    assert "0.98520" in shown.output.replace("\n", "")


def test_mistakes_are_one_sentence(cars: Path, model: Path, tmp_path: Path) -> None:
    other = generate_cars(tmp_path / "other", cars=3)
    for file in [*other.rglob("car*.jpg"), *other.rglob("car*.gif")]:
        file.rename(file.with_name("x" + file.name))
    alien = run("eval", model, "--data", cars, "--native", other, "--size", 64, "--validation", 1,
                "--out", tmp_path)  # fmt: skip
    assert "has no image of a validation car" in str(alien.exception)
    net = zoo.save_model(zoo.create_model("srresnet_x2", width=8, depth=1), tmp_path / "x2")
    assert "x2 is no segmentation model" in str(
        run("eval", net, "--data", cars, "--out", tmp_path).exception
    )
    few = run("eval", model, "--data", cars, "--size", 64, "--out", tmp_path)
    assert "too few" in str(few.exception)


def test_check_names_every_problem(cars: Path, tmp_path: Path) -> None:
    good = run("check", "--data", cars)
    assert (good.exit_code, good.output.splitlines()[-1]) == (0, f"No problems in {cars}.")
    folder = generate_cars(tmp_path / "bad")
    masks = sorted((folder / "train_masks").iterdir())
    masks[0].unlink()
    masks[1].write_bytes(masks[1].read_bytes()[:50])
    Image.new("L", (96, 64)).save(masks[2])
    Image.new("L", (10, 10), 255).save(masks[3])
    bad = run("check", "--data", folder)
    assert bad.exit_code == 1
    assert "4 problems" in bad.output
    for sentence in ("car0_01.jpg has no mask", "car0_02_mask.gif can't be read as a mask",
                     "car1_01_mask.gif is empty", "car1_02_mask.gif is 10 × 10"):  # fmt: skip
        assert sentence in bad.output

"""The Carvana benchmark's commands, on generated cars."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from cars import write_mask, write_photo
from carvana import app, table
from generated_cars import generate_cars
from PIL import Image
from tables import LESSON_CARS
from typer.testing import CliRunner, Result

import zoo
from zoo.seg.data.folders import list_pairs
from zoo.seg.data.pairs import load_pair
from zoo.seg.data.resize import resize_image, resize_mask
from zoo.seg.data.splits import fingerprint
from zoo.seg.measure.evaluate import validation_pairs


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


@pytest.mark.parametrize("size", [128, 512])
def test_the_lessons_rows_stand_beside_its_own_cars_only(
    cars: Path, model: Path, tmp_path: Path, size: int
) -> None:
    shown = run("eval", model, "--data", cars, "--size", size, "--validation", 1, "--out", tmp_path)
    assert shown.exit_code == 0, shown.output
    assert "lesson" not in shown.output
    result = json.loads((tmp_path / "tiny.json").read_text())
    accuracy = {128: "0.99361", 512: "0.99744"}[size]
    for beside in (True, False):
        grid = table(result, beside_lesson=beside)
        assert (accuracy in [str(cell) for cell in grid.columns[2].cells]) == beside


def test_the_lessons_cars_are_known(data: Path) -> None:
    assert fingerprint(validation_pairs(data / "carvana")) == LESSON_CARS
    assert fingerprint(validation_pairs(data / "carvana", {"validation": 62})) != LESSON_CARS


def test_several_classes_have_their_figures(tmp_path: Path) -> None:
    for i in range(3):
        write_photo(tmp_path / "images" / f"{i}.png", 40, 40, seed=i)
        mask = np.zeros((40, 40), np.uint8)
        mask[:20], mask[30:] = 1, 255
        write_mask(tmp_path / "masks" / f"{i}.png", mask)
    options = {"encoder": "test_resnet", "decoder_channels": (8,) * 5, "classes": 3}
    net = zoo.save_model(zoo.create_model("dynamic_unet", **options), tmp_path / "three")
    shown = run("eval", net, "--data", tmp_path, "--native", tmp_path, "--size", 32,
                "--all", "--out", tmp_path)  # fmt: skip
    assert shown.exit_code == 0, shown.output
    result = json.loads((tmp_path / "three.json").read_text())
    for at, title in (("32", "all"), ("native", "all-native")):
        row = result["sets"][title]
        assert list(row["classes"]) == ["0", "1", "2"]
        pooled = [figures[f"dice_pooled@{at}"] for figures in row["classes"].values()]
        occur = [value for value in pooled if value is not None]
        assert row[f"dice_pooled@{at}"] == pytest.approx(np.mean(occur))
    names = [str(cell) for cell in table(result, beside_lesson=False).columns[0].cells]
    assert names == ["three", "class 0", "class 1", "class 2"] * 2


@pytest.mark.parametrize(
    ("levels", "classes", "option"),
    [
        ([0, 1, 2], 1, "--classes 3"),
        ([0, 1, 2, 255], 1, "--classes 3"),
        ([0, 5, 33], 1, "--classes 34"),
        ([0, 1, 2, 3], 3, "--classes 4"),
        ([*range(0, 151), 255], 1, "--classes 151"),
        ([0, 1, 255], 1, "--ignore-index 255"),
        ([0, 128, 255], 1, "--ignore-index 128"),
        ([0, 128], 1, "--mask-threshold 64"),
        ([0, 200], 1, "--mask-threshold 100"),
        ([0, 65535], 1, "--mask-threshold 32767"),
        ([*range(0, 9), *range(246, 256)], 1, "--mask-threshold 127"),
        ([*range(256)], 1, "--mask-threshold 127"),
    ],
)
def test_check_says_once_what_all_masks_need(
    tmp_path: Path, levels: list[int], classes: int, option: str
) -> None:
    generator = np.random.default_rng(0)
    dtype = np.uint16 if max(levels) > 255 else np.uint8
    for i in range(20):
        write_photo(tmp_path / "images" / f"{i:02}.png", 24, 20, seed=i)
        mask = generator.choice(levels, (24, 20)).astype(dtype)
        mask[0, :2] = levels[0], levels[-1]
        write_mask(tmp_path / "masks" / f"{i:02}.png", mask)
    bad = run("check", "--data", tmp_path, "--classes", classes)
    assert bad.exit_code == 1
    assert bad.output.count(option) == 1
    assert len(bad.output.splitlines()) == 2  # the sentence and the sum
    assert "masks are like it" in bad.output
    good = run("check", "--data", tmp_path, "--classes", classes, *option.split())
    assert good.exit_code == 0, good.output


def test_check_keeps_naming_masks_that_no_option_cures(tmp_path: Path) -> None:
    for i in range(6):
        write_photo(tmp_path / "images" / f"{i}.png")
        mask = np.zeros((12, 10), np.uint8)
        mask[:4] = 1
        mask[5] = 200 if i < 3 else 2
        write_mask(tmp_path / "masks" / f"{i}.png", mask)
    bad = run("check", "--data", tmp_path, "--classes", 3)
    assert [f"{i}.png holds the values 0, 1, 200" in bad.output for i in range(6)] == (
        [True] * 3 + [False] * 3
    )


def test_images_of_one_name_in_two_folders_are_two_rows(model: Path, tmp_path: Path) -> None:
    for folder in ("a", "b", "c"):
        write_photo(tmp_path / "images" / folder / "1.png", 40, 40, seed=ord(folder))
        mask = np.zeros((40, 40), np.uint8)
        mask[: ord(folder) - 80] = 1
        write_mask(tmp_path / "masks" / folder / "1.png", mask)
    shown = run("eval", model, "--data", tmp_path, "--native", tmp_path, "--size", 64,
                "--validation", 2, "--out", tmp_path)  # fmt: skip
    assert shown.exit_code == 0, shown.output
    for row in json.loads((tmp_path / "tiny.json").read_text())["sets"].values():
        assert list(row["images"]) == ["a/1", "b/1"]
        dice = next(value for name, value in row.items() if name.startswith("dice@"))
        assert dice == pytest.approx(np.mean([image["dice"] for image in row["images"].values()]))


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

"""`zoo segment` on real files: what is written, that each option counts, and the exit status."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands import files, photograph, run
from pictures import photo
from PIL import Image

import zoo
from zoo.inference.segmenter import Segmenter
from zoo.jobs.segmenting import is_unsure
from zoo.pictures.files import read_image


def scene(height: int = 60, width: int = 90) -> np.ndarray:
    """A red rectangle, a quarter of the picture, in the middle of green."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 1] = 200
    pixels[height // 4 : -(height // 4), width // 4 : -(width // 4)] = (200, 0, 0)
    return pixels


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    net = zoo.create_model(
        "dynamic_unet", encoder="test_resnet", decoder_channels=(16, 16, 8, 8, 8)
    )
    with torch.no_grad():
        net.decoder.head.weight.mul_(20)  # probabilities of all kinds
    return zoo.save_model(net, tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def cars(tmp_path: Path) -> Path:
    folder = tmp_path / "cars"
    (folder / "more").mkdir(parents=True)
    turned = Image.Exif()
    turned[0x0112] = 6  # to be turned by a quarter
    Image.fromarray(scene()).save(folder / "a.jpg", exif=turned)
    Image.fromarray(scene()).save(folder / "more" / "b.webp")
    (folder / "broken.png").write_text("no picture")
    return folder


@pytest.mark.parametrize(
    ("kind", "names", "mode"),
    [
        ("mask", {"a.png", "more/b.png"}, "L"),
        ("overlay", {"a.jpg", "more/b.webp"}, "RGB"),
        ("cutout", {"a.png", "more/b.webp"}, "RGBA"),
    ],
)
def test_a_folder_of_cars(
    model: Path, cars: Path, tmp_path: Path, kind: str, names: set[str], mode: str
) -> None:
    out = tmp_path / "out"
    result = run("segment", cars, "-o", out, "--as", kind, "--model", model, "--size", 64)
    assert result.status == 1
    assert "2 of 3 segmented" in result.stdout
    assert "broken.png" in result.stderr
    assert files(out) == names
    for name in names:
        with Image.open(out / name) as image:
            assert image.mode == mode
            assert image.size == ((60, 90) if name.startswith("a.") else (90, 60))
            assert image.getexif().get(0x0112, 1) == 1


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (("--threshold", "0.7"), {"threshold": 0.7}),
        (("--tta",), {"tta": True}),
        (("--size", "96"), {"size": 96}),
        (("--precision", "bf16"), {"precision": "bf16"}),
    ],
)
def test_every_option_counts_as_in_the_library(
    model: Path, tmp_path: Path, arguments: tuple[str, ...], option: dict[str, Any]
) -> None:
    source, target = tmp_path / "a.png", tmp_path / "b.png"
    photograph(70, 50).save(source)
    usual = {"size": 64, "precision": "fp32"}
    by_default, by_option = (
        Segmenter(model, **options).picture(read_image(source), "cutout").alpha
        for options in (usual, usual | option)
    )
    assert (by_default != by_option).any()
    call = ("segment", source, "-o", target, "--as", "cutout", "--model", model)
    result = run(*call, "--size", 64, "--precision", "fp32", *arguments)
    assert result.status == 0, result.stderr
    np.testing.assert_array_equal(read_image(target).alpha, by_option)


def test_format_quality_and_the_limit_of_pixels(model: Path, cars: Path, tmp_path: Path) -> None:
    call = ("segment", cars / "a.jpg", "--as", "overlay", "--model", model, "--size", 64, "-o")
    tables = []
    for quality in (20, 90):
        out = tmp_path / str(quality)
        assert run(*call, out, "--format", "jpeg", "--quality", quality).status == 0
        with Image.open(out / "a.jpg") as image:
            tables.append(sum(image.quantization[0]))
    assert tables[0] > 4 * tables[1]
    assert run(*call, tmp_path / "out", "--format", "webp").status == 0
    assert files(tmp_path / "out") == {"a.webp"}
    result = run(*call, tmp_path / "none", "--max-pixels", 100)
    assert result.status == 1
    assert "limit of 100" in result.stderr


def test_files_that_exist_stay(model: Path, cars: Path, tmp_path: Path) -> None:
    call = ["segment", cars / "a.jpg", "-o", tmp_path / "mask.png", "--model", model, "--size", 64]
    assert run(*call).status == 0
    assert run(*call).status == 1
    assert run(*call, "--overwrite").status == 0


def test_a_photograph_without_a_car_is_told(tmp_path: Path, data: Path) -> None:
    cars = sorted((data / "carvana" / "train").iterdir())[:2]
    result = run("segment", *cars, "-o", tmp_path / "cars")
    assert result.status == 0, result.stderr
    assert "unsure" not in result.stdout
    others = [photo("coffee.png"), photo("rocket.jpg")]
    result = run("segment", *others, cars[0], "-o", tmp_path / "out")
    assert result.status == 0, result.stderr
    assert "unsure of 2 of them" in result.stdout
    assert "zoo info dynamic_unet" in result.stdout


def test_what_counts_as_unsure() -> None:
    logits = torch.full((1, 100, 100), -9.0)
    assert is_unsure(logits)  # nothing is found
    logits[:, 20:80, 20:80] = 9
    assert not is_unsure(logits)
    logits[:, 20, 20:80] = 0.0
    assert not is_unsure(logits)  # an edge
    logits[:, :, :5] = 0.0
    assert is_unsure(logits)
    assert not is_unsure(logits.expand(3, -1, -1))  # of classes it tells nothing


def test_wrong_calls_end_with_status_2(model: Path, cars: Path, tmp_path: Path) -> None:
    call = ["segment", cars / "a.jpg", "--model", model, "-o"]
    for arguments, sentence in (
        ((tmp_path / "m.jpg",), "JPEG can't hold a mask exactly"),
        ((tmp_path / "c.bmp", "--as", "cutout"), "BMP"),
        ((tmp_path / "out", "--as", "cut"), "'cut' is none of mask, overlay, cutout"),
    ):
        result = run(*call, *arguments)
        assert result.status == 2
        assert sentence in result.stderr

"""`zoo eval`: figures of a model on images of one's own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import skimage.data
import tiny_seg
from commands import run
from generated_cars import generate_cars
from PIL import Image

import zoo
from zoo.predict import upscale
from zoo.seg.data.folders import list_pairs
from zoo.seg.data.splits import fingerprint
from zoo.sr.data.imresize import bicubic_downscale, bicubic_upscale
from zoo.sr.measure.metrics import psnr_y


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    folder = tmp_path / "photographs"
    folder.mkdir()
    for i in range(2):
        Image.fromarray(skimage.data.chelsea()[i * 60 : i * 60 + 50, :64]).save(folder / f"{i}.png")
    return folder


def test_enlarging_is_held_against_bicubic(photographs: Path, tmp_path: Path) -> None:
    out = tmp_path / "figures.json"
    shown = run("eval", "srresnet_x2", "--data", photographs, "--out", out)
    assert shown.status == 0, shown.stderr
    figures = json.loads(out.read_text())
    net = zoo.load_model("srresnet_x2")
    for way in ("bicubic", "srresnet_x2"):
        scores = []
        for i in range(2):
            original = skimage.data.chelsea()[i * 60 : i * 60 + 50, :64]
            small = bicubic_downscale(original, 2)
            large = (
                upscale(small, net, precision="fp32")
                if way != "bicubic"
                else bicubic_upscale(small, 2)
            )
            scores.append(psnr_y(large, original, crop=2))
        assert figures[way]["psnr_y"] == pytest.approx(sum(scores) / 2, abs=1e-3)
        assert f"{figures[way]['psnr_y']:.4f}" in shown.stdout
    assert max(map(len, shown.stdout.splitlines())) <= 80


def test_masks_are_measured_where_the_training_set_images_aside(tmp_path: Path) -> None:
    cars = generate_cars(tmp_path / "cars")
    zoo.save_model(tiny_seg.tiny_net(), tmp_path / "net")
    out = tmp_path / "figures.json"
    shown = run("eval", tmp_path / "net", "--data", cars, "--validation", 1, "--size", 64,
                "--out", out)  # fmt: skip
    assert shown.status == 0, shown.stderr
    (figures,) = json.loads(out.read_text()).values()
    assert len(figures["images"]) == 2  # of the first car
    assert f"{figures['dice_pooled@64']:.4f}" in shown.stdout
    assert "lesson" not in shown.stdout
    assert max(map(len, shown.stdout.splitlines())) <= 80


def test_a_saved_split_is_kept_to(tmp_path: Path) -> None:
    cars, others = generate_cars(tmp_path / "cars"), generate_cars(tmp_path / "more", cars=6)
    net = tiny_seg.tiny_net()
    net.split = {"validation": 2, "groups": fingerprint(list_pairs(cars))}
    zoo.save_model(net, tmp_path / "net")

    def measured(*arguments: object) -> int:
        shown = run("eval", tmp_path / "net", "--size", 64, *arguments, "--out", tmp_path / "out")
        assert shown.status == 0, shown.stderr
        (figures,) = json.loads((tmp_path / "out").read_text()).values()
        (tmp_path / "out").unlink()
        return len(figures["images"])

    assert measured("--data", cars) == measured("--data", cars, "--validation", 2) == 4
    assert measured("--data", others, "--all") == len(list_pairs(others))
    for arguments, sentence in (
        (["--data", cars, "--validation", 1], "contradicts the training"),
        (["--data", cars, "--all"], "leave --all out"),
        (["--data", others], "another folder"),
    ):
        refused = run("eval", tmp_path / "net", *arguments)
        assert refused.status in (1, 2)
        assert sentence in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["srresnet_x2", "--data", "{here}/none"], "none"),
        (["srresnet_x9", "--data", "{here}"], "no model called 'srresnet_x9'"),
        (["unet34", "--data", "{here}"], "has no images and masks"),
        (["srresnet_x2", "--data", "{here}", "--out", "{here}/a/b.json"], "does not exist"),
        (["srresnet_x2", "--data", "{here}", "--out", "{here}/taken"], "the file exists"),
    ],
)
def test_it_is_refused_in_one_sentence(tmp_path: Path, arguments: list[str], sentence: str) -> None:
    (tmp_path / "taken").touch()
    shown = run("eval", *(word.format(here=tmp_path) for word in arguments))
    assert shown.status in (1, 2)
    assert sentence in shown.stderr
    assert len(shown.stderr.splitlines()) == 1

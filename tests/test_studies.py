"""The studies' scripts, with a few steps of training each; what they claim about starts is real."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import encoders
import gallery
import losses
import perceptual
import pytest
import skimage.data
import sources
import stability
import timm
import torch
import typer
import upsampling
from PIL import Image
from typer.testing import CliRunner

from zoo.registry import list_weights
from zoo.sr.data.imresize import imresize
from zoo.sr.losses.feature_nets import normalised_vgg19, resnet50_to_layer2
from zoo.store.state_dict import save_weights

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """The sweep of encoders silences its whole process, which here is that of all tests."""
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photographs")
    for i, image in enumerate([skimage.data.astronaut(), skimage.data.chelsea()]):
        for j in range(2):
            Image.fromarray(image[j * 140 : j * 140 + 140, :144]).save(folder / f"{i}{j}.png")
    return folder


def run(script: object, *arguments: object) -> str:
    app = typer.Typer()
    app.command()(script.main)
    outcome = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert outcome.exit_code == 0, outcome.output
    return outcome.output


@pytest.mark.slow
def test_upsamplers_differ_at_the_start(photographs: Path, tmp_path: Path) -> None:
    figure = tmp_path / "figure.png"
    run(upsampling, "--data", photographs, "--steps", 2, "--held-out", 1, "--out", tmp_path,
        "--figure", figure)  # fmt: skip
    rows = json.loads((tmp_path / "upsampling.json").read_text())["variants"]
    for name in ("transposed", "pixel shuffle"):
        assert rows[name]["grid_at_start"] > 10
    for name in ("nearest", "pixel shuffle + ICNR"):
        assert rows[name]["grid_at_start"] < 2
    last, first = rows["pixel shuffle + ICNR"], rows["enlarge first"]
    assert first["multiply_adds_720p"] > 2.5 * last["multiply_adds_720p"]
    assert Image.open(figure).width > 1000


def test_sources_are_compared_from_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, targets = tmp_path / "data", tmp_path / "targets"
    for folder in (data, targets / "0.5"):
        folder.mkdir(parents=True)
    for i in range(4):
        photograph = skimage.data.astronaut()[i * 90 : i * 90 + 208, 100:308]
        for folder in (data, targets):
            Image.fromarray(photograph).save(folder / f"{i}.png")
        Image.fromarray(imresize(photograph, (104, 104))).save(targets / "0.5" / f"{i}.png")
    monkeypatch.setattr(sources, "LARGE", 100)
    for variant in ("teacher_half", "drawings"):
        run(sources, variant, "--data", data, "--targets", targets, "--drawings", data,
            "--steps", 2, "--held-out", 1, "--out", tmp_path)  # fmt: skip
    study = json.loads((tmp_path / "sources.json").read_text())
    assert list(study["variants"]) == ["start", "teacher_half", "drawings"]
    assert study["variants"]["teacher_half"]["teacher_share"] == 0.5
    start, taught = (study["variants"][row]["sharp"] for row in ("start", "teacher_half"))
    assert start != taught
    assert start == pytest.approx(taught, abs=1)


def test_losses_train_from_the_same_weights(photographs: Path, tmp_path: Path) -> None:
    vgg = tmp_path / "vgg.safetensors"
    save_weights(normalised_vgg19(None).state_dict(), vgg)
    run(losses, "--data", photographs, "--feature-weights", vgg, "--steps", 2, "--held-out", 1,
        "--out", tmp_path, "--picture", tmp_path / "losses.png")  # fmt: skip
    study = json.loads((tmp_path / "losses.json").read_text())
    assert list(study["losses"]) == ["MSE", "L1", "feature loss", "features alone"]
    assert all(row["top_octave"] > 0 and row["grid"] > 0 for row in study["losses"].values())
    assert Image.open(tmp_path / "losses.png").width > 1000


def test_stability_has_a_curve_for_each(photographs: Path, tmp_path: Path) -> None:
    run(stability, "--data", photographs, "--steps", 4, "--held-out", 1, "--out", tmp_path,
        "--picture", tmp_path / "stability.png")  # fmt: skip
    curves = json.loads((tmp_path / "stability.json").read_text())["curves"]
    assert set(curves) == set(stability.STABILITY)
    assert [row["step"] for row in curves["res_scale 0.1, batch 16"]] == [1, 2, 3, 4]
    assert Image.open(tmp_path / "stability.png").width > 500


def test_the_perceptual_benchmark_measures_every_weight(photographs: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    resnet, lite = tmp_path / "resnet.safetensors", tmp_path / "lite.safetensors"
    state = resnet50_to_layer2(None).state_dict()
    save_weights({key: value for key, value in state.items() if key[:2] != "fc"}, resnet)
    save_weights(timm.create_model("tf_efficientnet_lite0").state_dict(), lite)
    run(perceptual, "srresnet_x2", "--data", photographs.parent, "--sets", photographs.name,
        "--resnet50", resnet, "--lite0", lite, "--out", tmp_path)  # fmt: skip
    study = json.loads((tmp_path / "srresnet_x2.perceptual_study.json").read_text())
    rows = study["sets"][photographs.name]
    assert list(rows) == ["bicubic_x2", *list_weights("srresnet_x2")]
    bicubic, ours = rows["bicubic_x2"], rows["srresnet_x2.psnr"]
    assert len(ours["images"]) == 4
    assert ours["psnr_y"] > bicubic["psnr_y"] + 1
    assert ours["distance_resnet50"] < bicubic["distance_resnet50"]
    assert bicubic["top_octave"] < ours["top_octave"] < 1.1


@pytest.mark.slow
def test_the_gallery_shows_what_it_names(tmp_path: Path) -> None:
    run(gallery, "--docs", tmp_path)
    page = (tmp_path / "gallery.md").read_text()
    named = [line.split("](")[1][:-1] for line in page.splitlines() if line.startswith("![")]
    treated = sum(bool(gallery.treated(scale)) for scale in gallery.TREATED_SCALES)
    assert len(named) == 2 * len(gallery.SCENES) + treated * len(gallery.TREATED_SCENES)
    for file in named:
        assert Image.open(tmp_path / file).width > 1000


def test_the_encoder_sweep_says_what_works(tmp_path: Path) -> None:
    run(encoders, "resnet18*", "--out", tmp_path, "--jobs", 1)
    study = json.loads((tmp_path / "encoders.json").read_text())
    assert study["shapes"]["resnet18"]["strides"] == [2, 4, 8, 16, 32]
    assert study["real"] == {"resnet18": {"works": True}}
    assert study["summary"]["share"] == 100
    report = run(encoders, "resnet18*", "--out", tmp_path, "--resume")
    assert f"{study['summary']['names']}" in report

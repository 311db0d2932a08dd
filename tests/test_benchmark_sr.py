"""The benchmark's commands, on two small pictures."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import skimage.data
from PIL import Image
from typer.testing import CliRunner, Result

import zoo
from zoo.sr.data.imresize import bicubic_downscale, bicubic_upscale
from zoo.sr.degradations.named import NAMED
from zoo.sr.measure.metrics import psnr_y

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "super_resolution.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("super_resolution", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A set of two pictures under tmp_path, one of odd size and one grey."""
    folder = tmp_path / "benchmark" / "Two"
    folder.mkdir(parents=True)
    Image.fromarray(skimage.data.astronaut()[:65, :71]).save(folder / "colour.png")
    Image.fromarray(skimage.data.camera()[200:260, 200:264]).save(folder / "grey.png")
    return tmp_path


def run(script: ModuleType, *arguments: object) -> Result:
    return CliRunner().invoke(script.app, [str(argument) for argument in arguments])


def test_bicubic_is_measured_by_the_protocol(script: ModuleType, pictures: Path) -> None:
    outcome = run(
        script, "eval", "bicubic", "--scale", 2, "--data", pictures, "--sets", "Two",
        "--out", pictures / "out",
    )  # fmt: skip
    assert outcome.exit_code == 0, outcome.output
    result = json.loads((pictures / "out" / "bicubic_x2_Two.json").read_text())
    original = np.asarray(Image.open(pictures / "benchmark" / "Two" / "colour.png"))[:64, :70]
    expected = psnr_y(bicubic_upscale(bicubic_downscale(original, 2), 2), original, crop=2)
    images = result["sets"]["Two"]["images"]
    assert images["colour"]["psnr_y"] == pytest.approx(expected)
    assert result["sets"]["Two"]["psnr_y"] == pytest.approx(
        (images["colour"]["psnr_y"] + images["grey"]["psnr_y"]) / 2
    )
    assert f"{result['sets']['Two']['psnr_y']:.4f}" in outcome.output
    assert "psnr_y" in result["protocol"]
    assert result["environment"]["libraries"]["torch"]


def test_bicubic_is_measured_at_both_scales_on_sets_in_a_row(
    script: ModuleType, pictures: Path
) -> None:
    options = ["--data", pictures, "--out", pictures / "out"]
    outcome = run(script, "eval", "bicubic", *options, "--sets", "Two", "One")
    assert "The set One is in neither" in str(outcome.exception)
    (pictures / "benchmark" / "One").symlink_to(pictures / "benchmark" / "Two")
    outcome = run(script, "eval", "bicubic", *options, "--sets", "Two", "One")
    assert outcome.exit_code == 0, outcome.output
    for scale in (2, 4):
        result = json.loads((pictures / "out" / f"bicubic_x{scale}_Two_One.json").read_text())
        assert list(result["sets"]) == ["Two", "One"]
        assert result["scale"] == scale


def test_sets_of_one_name_in_two_folders_are_two_rows(script: ModuleType, pictures: Path) -> None:
    for folder in ("a", "b"):
        (pictures / folder).mkdir()
        (pictures / folder / "Two").symlink_to(pictures / "benchmark" / "Two")
    outcome = run(
        script, "eval", "bicubic", "--scale", 2, "--data", pictures, "--sets", "a/Two", "b/Two",
        "--out", pictures / "out",
    )  # fmt: skip
    assert outcome.exit_code == 0, outcome.output
    result = json.loads((pictures / "out" / "bicubic_x2_a_Two_b_Two.json").read_text())
    assert list(result["sets"]) == ["a_Two", "b_Two"]


def test_a_saved_model_and_a_weight_file_are_measured_alike(
    script: ModuleType, pictures: Path
) -> None:
    """The folder that a run leaves, and its weight file with the model's name."""
    net = zoo.create_model("srresnet_x2")
    zoo.save_model(net, pictures / "mine")
    options = ["--data", pictures, "--sets", "Two", "--out", pictures / "out"]
    assert run(script, "eval", pictures / "mine", *options).exit_code == 0
    file = pictures / "mine" / "model.safetensors"
    outcome = run(script, "eval", "srresnet_x2", "--weights", file, *options)
    assert outcome.exit_code == 0, outcome.output
    files = ("mine_Two", "srresnet_x2_model_Two")
    first, second = (json.loads((pictures / "out" / f"{name}.json").read_text()) for name in files)
    assert first["sets"]["Two"]["psnr_y"] == second["sets"]["Two"]["psnr_y"]
    assert first["weights_sha256"] == second["weights_sha256"]
    assert first["parameters"] == 1_369_859
    # 16 blocks of two convolutions, head, fuse, upsampler and tail, counted by hand.
    low, high = 360 * 640, 720 * 1280
    by_hand = low * 9 * (3 * 64 + 33 * 64 * 64 + 64 * 256) + high * 9 * 64 * 3
    assert first["multiply_adds_720p"] == by_hand


def test_mistakes_are_one_sentence(script: ModuleType, pictures: Path) -> None:
    out = ("--out", pictures / "out")
    no_scale = run(script, "eval", "unet34", "--data", pictures, "--sets", "Two", *out)
    assert "no super-resolution model" in str(no_scale.exception)
    unknown = run(script, "eval", "srresnet_x3", "--data", pictures, "--sets", "Two", *out)
    assert "no model called 'srresnet_x3'" in str(unknown.exception)
    degrade = ("--degrade", "jpeg4", "--sets", "Two")
    typo = run(script, "eval", "bicubic", "--data", pictures, *degrade, *out)
    assert "'jpeg4' is no degradation. Did you mean 'jpeg40'?" in str(typo.exception)
    half = run(script, "eval", "bicubic", "--data", pictures, "--lite0", "a", *degrade[2:], *out)
    assert "both --resnet50 and --lite0" in str(half.exception)
    comma = run(script, "eval", "bicubic", "--data", pictures, "--sets", "Two,Set5", *out)
    assert "repeat the option for several, --sets Two --sets Set5." in str(comma.exception)
    nowhere = run(
        script, "eval", "bicubic", "--scale", 2, "--data", pictures, "--sets", "Three", *out
    )
    assert "The set Three is in neither" in str(nowhere.exception)


def test_time_limit(script: ModuleType, tmp_path: Path) -> None:
    recipe = SCRIPT.parent / "recipes" / "srresnet_x2.yaml"
    arguments = ("train", recipe, "--smoke", "--out", tmp_path / "run", "--time-limit")
    outcome = run(script, *arguments, "5x")
    assert outcome.exit_code == 2
    assert "'5x' is no duration" in outcome.output
    assert not (tmp_path / "run").exists()
    outcome = run(script, *arguments, "0.1s")
    assert outcome.exit_code == 0, outcome.output
    assert "Stopped in time at step" in outcome.output
    assert (tmp_path / "run" / "last.pt").is_file()


def test_the_table_fits_a_narrow_terminal(
    script: ModuleType, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    outcome = run(script, "eval", "bicubic", "--scale", 2, "--data", pictures, "--sets", "Two",
                  "--out", pictures / "out")  # fmt: skip
    lines = outcome.output.splitlines()
    assert max(map(len, lines)) <= 80
    assert all(name in outcome.output for name in ("psnr_y", "psnr_y_rounded", "ssim_y"))


@pytest.mark.parametrize("names", [("jpeg40",), ("noise25", "mixed"), ("all",)])
def test_degraded_inputs_are_measured_and_named(
    script: ModuleType, pictures: Path, names: tuple[str, ...]
) -> None:
    options = [option for name in names for option in ("--degrade", name)]
    outcome = run(
        script, "eval", "bicubic", "--scale", 2, "--data", pictures, "--sets", "Two", *options,
        "--out", pictures / "out",
    )  # fmt: skip
    assert outcome.exit_code == 0, outcome.output
    every = "all" in names
    file = "degraded" if every else "_".join(names)
    result = json.loads((pictures / "out" / f"bicubic_x2_Two_{file}.json").read_text())
    assert list(result["degraded"]) == list(NAMED if every else names)
    assert "sets" not in result
    original = np.asarray(Image.open(pictures / "benchmark" / "Two" / "colour.png"))[:64, :70]
    for name, part in result["degraded"].items():
        expected = psnr_y(bicubic_upscale(NAMED[name](original, 2), 2), original, crop=2)
        assert part["sets"]["Two"]["images"]["colour"]["psnr_y"] == pytest.approx(expected)
        assert part["degradation"] == NAMED[name].__doc__
        assert f"Two {name}" in outcome.output


def test_at_scale_1_bicubic_is_the_input_itself(script: ModuleType, pictures: Path) -> None:
    outcome = run(
        script, "eval", "bicubic", "--scale", 1, "--data", pictures, "--sets", "Two",
        "--degrade", "jpeg40", "--out", pictures / "out",
    )  # fmt: skip
    assert outcome.exit_code == 0, outcome.output
    result = json.loads((pictures / "out" / "bicubic_x1_Two_jpeg40.json").read_text())
    original = np.asarray(Image.open(pictures / "benchmark" / "Two" / "colour.png"))
    measured = result["degraded"]["jpeg40"]["sets"]["Two"]["images"]["colour"]["psnr_y"]
    assert measured == pytest.approx(psnr_y(NAMED["jpeg40"](original, 1), original, crop=1))


def test_distances_are_measured_where_both_networks_are_there(
    script: ModuleType, pictures: Path, data: Path
) -> None:
    nets = data / "backbones"
    outcome = run(
        script, "eval", "bicubic", "--scale", 2, "--data", pictures, "--sets", "Two",
        "--out", pictures / "out", "--degrade", "blur",
        "--resnet50", nets / "resnet50_imagenet_to_layer2.safetensors",
        "--lite0", nets / "tf_efficientnet_lite0_imagenet.safetensors",
    )  # fmt: skip
    assert outcome.exit_code == 0, outcome.output
    result = json.loads((pictures / "out" / "bicubic_x2_Two_blur.json").read_text())
    row = result["degraded"]["blur"]["sets"]["Two"]
    for metric in ("distance_resnet50", "distance_lite0"):
        assert 0 < row[metric] < 4
        rows = [image[metric] for image in row["images"].values()]
        assert row[metric] == pytest.approx(np.mean(rows))

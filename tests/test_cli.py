"""The other commands: list, info, verify and demo."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from cars import write_cars
from commands import files, photograph, run
from PIL import Image

import zoo
from zoo.commands.parts import rgb8
from zoo.inference.device import pick_device, pick_precision
from zoo.inference.segmenter import Segmenter
from zoo.pictures.picture import Picture
from zoo.registry import WeightsMeta
from zoo.seg.data.folders import list_pairs
from zoo.seg.measure.evaluate import evaluate
from zoo.sr.networks.srresnet import SRResNet
from zoo.store.download import sha256_of
from zoo.store.state_dict import save_weights


@pytest.fixture
def weights(own_registry: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of weights "tiny_for_cli.one", registered and bundled."""

    @zoo.register_model(task="super-resolution")
    def tiny_for_cli() -> SRResNet:
        """A small net for tests."""
        return SRResNet(2, width=4, depth=1)

    bundle = tmp_path / "bundle"
    bundle.mkdir()
    file = bundle / "tiny.safetensors"
    save_weights(zoo.create_model("tiny_for_cli").state_dict(), file)
    monkeypatch.setattr("zoo.sources.PRETRAINED", bundle)
    meta = WeightsMeta(
        version=3,
        license="CC-BY-4.0",
        training_data="holiday photographs",
        training_data_terms="with attribution",
        recipe="benchmarks/recipes/tiny.yaml",
    )
    zoo.register_weights(
        zoo.Weights(
            name="tiny_for_cli.one",
            file=file.name,
            sha256=sha256_of(file),
            size=file.stat().st_size,
            meta=meta,
        ),
        default=True,
    )
    return file


def test_info_alone_names_versions_and_what_auto_means() -> None:
    shown = run("info")
    assert shown.status == 0
    rows = [line.split(maxsplit=1) for line in shown.stdout.splitlines() if line.strip()]
    said = {name: value.strip() for name, value in rows}
    assert said["zoo"] == zoo.__version__
    assert said["torch"] == version("torch")
    assert said["device"].startswith(str(pick_device()))
    assert said["precision"] == str(pick_precision("auto", pick_device())).removeprefix("torch.")


def test_list(weights: Path) -> None:
    result = run("list")
    assert result.status == 0
    rows = {line.split()[0]: line.split()[1:] for line in result.stdout.splitlines()}
    assert rows["tiny_for_cli"][:5] == ["super-resolution", "one", "A", "small", "net"]
    assert set(zoo.list_models()) < set(rows)
    pretrained = run("list", "tiny*", "--pretrained").stdout.splitlines()
    assert [line.split()[0] for line in pretrained[1:]] == ["tiny_for_cli"]
    tags = run("list", "tiny*.*").stdout.splitlines()
    assert [line.split()[0] for line in tags[1:]] == ["tiny_for_cli.one"]


def test_listing_builds_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def build(self: object, *arguments: object) -> None:
        raise AssertionError("a network was built")

    monkeypatch.setattr("torch.nn.Module.__init__", build)
    assert run("list").status == 0


def test_info(weights: Path) -> None:
    for name in ("tiny_for_cli", "tiny_for_cli.one"):
        text = run("info", name).stdout
        for part in ("A small net", "version 3", "CC-BY-4.0", "holiday photographs", "tiny.yaml"):
            assert part in text
        assert sha256_of(weights) in text
    assert "No weights" in run("info", "srresnet_lesson_x2").stdout
    assert run("info", "tiny_for_cil").status == 2


def test_info_of_a_folder(tiny_upscaler: Path, tmp_path: Path) -> None:
    result = run("info", tiny_upscaler)
    assert result.status == 0, result.stderr
    for part in ("srresnet_x2  super-resolution", "width=8", "depth=1", "Nothing is recorded"):
        assert part in result.stdout
    assert "training data  " not in result.stdout
    same = zoo.save_model(zoo.load_model("srresnet_x2.perceptual"), tmp_path / "same")
    said = " ".join(run("info", same).stdout.split())
    assert "The weights are those of srresnet_x2.perceptual" in said
    assert zoo.get_weights("srresnet_x2.perceptual").sha256 in said.replace(" ", "")
    changed = zoo.load_model("srresnet_x2.perceptual")
    changed.head.bias.data[0] += 1
    said = run("info", zoo.save_model(changed, tmp_path / "changed")).stdout
    assert "Nothing is recorded" in said
    assert "CC BY-NC-SA" not in said
    for name in (tmp_path / "none", tmp_path):
        result = run("info", name)
        assert result.status == 1
        assert "There is no config.json" in result.stderr


@pytest.mark.parametrize("name", [w for m in zoo.list_models() for w in zoo.list_weights(m)])
def test_info_says_what_weights_are_for_and_what_they_do_badly(name: str) -> None:
    meta = zoo.get_weights(name).meta
    said = " ".join(run("info", name).stdout.split())
    assert f"intended use {meta.use}" in said
    assert f"limits {meta.limits}" in said
    known = ("noise", "JPEG") if name.startswith("srresnet") else ("cars alone|car alone",)
    assert all(re.search(word, meta.limits) for word in known)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (("upscale", "a.png", "-o", "b.png", "-m", "perceptual"), "srresnet_x2.perceptual or sr"),
        (("segment", "a.png", "-o", "b.png", "-m", "carvana"), "simple_up34.carvana or unet34.c"),
        (("info", "psnr"), "srresnet_x2.psnr or srresnet_x4.psnr"),
        (("upscale", "a.png", "-o", "b.png", "-m", "srresnet_lesson_x2"), "has no weights"),
        (("export", "srresnet_lesson_x2", "-o", "b.pt2"), "pretrained=False"),
    ],
)
def test_hints_send_people_on(
    call: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    photograph().save("a.png")
    result = run(*call)
    assert result.status == 2
    assert said in result.stderr
    assert files(tmp_path) == {"a.png"}


def test_verify(weights: Path) -> None:
    result = run("verify", "tiny_for_cli")
    assert result.status == 0
    assert f"ok tiny_for_cli.one {sha256_of(weights)}" in result.stdout
    assert "tiny_for_cli.one" in run("verify").stdout
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    result = run("verify", "tiny_for_cli.one")
    assert result.status == 1
    assert "altered" in result.stdout
    weights.unlink()
    result = run("verify")
    assert result.status == 0  # it may be one that the wheel leaves out
    assert "not here: tiny_for_cli.one" in result.stdout
    result = run("verify", "tiny_for_cli")
    assert result.status == 1
    assert "failed tiny_for_cli.one" in result.stdout
    assert "srresnet_lesson_x2 has no weights" in run("verify", "srresnet_lesson_x2").stderr


def test_verify_measures(weights: Path, data: Path) -> None:
    result = run("verify", "tiny_for_cli", "--data", data / "sr", "--sets", "Set5")
    assert result.status == 0
    assert "Set5" in result.stdout


def test_verify_compares_with_what_is_published(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sets" / "Mine").mkdir(parents=True)
    photograph(48, 32).save(tmp_path / "sets" / "Mine" / "a.png")
    arguments = ("verify", "tiny_for_cli", "--data", tmp_path / "sets", "--sets", "Mine")
    unpublished = run(*arguments)
    assert unpublished.status == 0
    line = next(line for line in unpublished.stdout.splitlines() if "psnr_y" in line)
    measured = float(line.split()[-2])
    assert line.split() == ["Mine", "psnr_y", f"{measured:.5f}", "-"]
    for published, status in ((measured, 0), (measured + 0.1, 1)):
        entry = {"tiny_for_cli.one": {"metrics": {"Mine": {"psnr_y": published}}}}
        monkeypatch.setattr("zoo.registry.index", lambda entry=entry: entry)
        result = run(*arguments)
        assert result.status == status
        assert ("differs" in result.stdout) == bool(status)


def test_verify_measures_masks_at_the_size_of_the_weights(
    own_registry: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @zoo.register_model(task="segmentation")
    def tiny_masks() -> zoo.ZooModel:
        return zoo.create_model("dynamic_unet", encoder="test_resnet", decoder_channels=(8,) * 5)

    file = tmp_path / "masks.safetensors"
    save_weights(zoo.create_model("tiny_masks").state_dict(), file)
    monkeypatch.setattr("zoo.sources.PRETRAINED", tmp_path)
    facts = dict.fromkeys(("license", "training_data", "training_data_terms", "recipe"), "-")
    meta = WeightsMeta(version=1, image_size=32, **facts)
    size, sha256 = file.stat().st_size, sha256_of(file)
    zoo.register_weights(
        zoo.Weights(name="tiny_masks.one", file=file.name, sha256=sha256, size=size, meta=meta)
    )
    cars = write_cars(tmp_path / "cars", cars=64, views=1)  # 63 of them validate
    result = run("verify", "tiny_masks.one", "--data", cars)
    assert result.status == 0, result.stdout
    segmenter = Segmenter("tiny_masks.one", precision="fp32")
    figures = evaluate(segmenter.logits, list_pairs(cars)[:63], size=32)
    for metric in ("accuracy@32", "dice@32", "dice_pooled@32"):
        assert f"{metric} {figures[metric]:.5f}" in " ".join(result.stdout.split())
    assert "native" not in result.stdout
    result = run("verify", "tiny_masks.one", "--data", cars, "--native", cars)
    assert result.status == 0, result.stdout
    native = evaluate(segmenter.logits, list_pairs(cars)[:63], size=None)
    figure = f"validation-native dice@native {native['dice@native']:.5f}"
    assert figure in " ".join(result.stdout.split())
    (tmp_path / "others").mkdir()
    others = write_cars(tmp_path / "others", cars=1, views=1)
    for file in [*others.rglob("*.jpg"), *others.rglob("*.gif")]:
        file.rename(file.with_name(file.name.replace("000000000000", "ffffffffffff")))
    result = run("verify", "tiny_masks.one", "--data", cars, "--native", others)
    assert result.status == 1
    assert "has no image of a validation car" in result.stdout


def test_verify_goes_on_without_the_data_of_one_task(weights: Path) -> None:
    nowhere = weights.parent / "nowhere"
    assert run("verify", "tiny_for_cli", "--data", nowhere).status == 1
    result = run("verify", "--data", nowhere)
    assert result.status == 1  # nothing at all was measured
    assert "not measured: The set Set5 is in neither" in result.stdout


def test_demo_of_samples(tiny_upscaler: Path, tmp_path: Path) -> None:
    pytest.importorskip("skimage")
    result = run("demo", "-o", tmp_path / "demo", "-m", tiny_upscaler)
    assert result.status == 0
    assert str(tmp_path / "demo" / "comparison.png") in result.stdout
    names = {
        f"{name}_{kind}.png"
        for name in ("astronaut", "chelsea", "coffee")
        for kind in ("small", "x2")
    }
    assert files(tmp_path / "demo") == names | {"comparison.png"}
    small, large = (
        Image.open(tmp_path / "demo" / f"coffee_{kind}.png") for kind in ("small", "x2")
    )
    assert large.size == (2 * small.width, 2 * small.height)
    assert Image.open(tmp_path / "demo" / "comparison.png").width > 1000


def test_the_demo_is_refused_before_its_work(
    tiny_upscaler: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("skimage")
    monkeypatch.setattr(zoo.Upscaler, "array", lambda *_: pytest.fail("it ran"))
    (tmp_path / "coffee_x2.png").write_text("dear")  # the last result of all
    result = run("demo", "-o", tmp_path, "-m", tiny_upscaler)
    assert result.status == 1
    assert "coffee_x2.png: the file exists" in result.stderr
    assert files(tmp_path) == {"coffee_x2.png"}


def test_the_demo_rounds_16_bits() -> None:
    levels = np.array([0, 128, 129, 255, 32768, 65406, 65407, 65535], np.uint16)
    shown = rgb8(Picture(levels[None, :, None]))
    assert shown[0, :, 0].tolist() == [0, 0, 1, 1, 128, 254, 255, 255]


def test_demo_of_own_pictures(tiny_upscaler: Path, tmp_path: Path) -> None:
    photograph(1, 1).save(tmp_path / "one.png")
    photograph(400, 30, "L").save(tmp_path / "grey.jpg")
    (tmp_path / "empty.png").touch()
    result = run("demo", tmp_path, "-o", tmp_path / "demo", "-m", tiny_upscaler)
    assert result.status == 1
    assert "empty.png" in result.stderr
    assert files(tmp_path / "demo") == {"one.png", "grey.jpg", "comparison.png"}
    before = (tmp_path / "demo" / "comparison.png").read_bytes()
    result = run("demo", tmp_path / "grey.jpg", "-o", tmp_path / "demo", "-m", tiny_upscaler)
    assert result.status == 1
    assert "comparison.png: the file exists" in result.stderr
    photograph(30, 30).save(tmp_path / "grey.jpg")
    result = run(
        "demo", tmp_path / "grey.jpg", "-o", tmp_path / "demo", "-m", tiny_upscaler, "--overwrite"
    )
    assert result.status == 0
    assert (tmp_path / "demo" / "comparison.png").read_bytes() != before


def test_help_and_version() -> None:
    assert zoo.__version__ in run("--version").stdout
    for command in ("list", "info", "upscale", "verify", "demo"):
        assert command in run("--help").stdout
        assert run(command, "--help").status == 0

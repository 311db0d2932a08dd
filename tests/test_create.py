"""What a string or a path means, everywhere; new heads; the words of other libraries."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from toys import same_state

import zoo
from zoo.errors import OptionError, UnknownNameError, WeightsError
from zoo.model import InputSpec

OPENERS: list[Callable[[Any], torch.nn.Module]] = [
    zoo.load_model,
    zoo.create_model,
    lambda name: zoo.Upscaler(name, device="cpu").model,
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(3)
    return zoo.save_model(zoo.create_model("srresnet_x2", width=8, depth=1), tmp_path / "mine")


@pytest.mark.parametrize("open_", OPENERS, ids=["load_model", "create_model", "Upscaler"])
def test_a_name_means_the_same_everywhere(
    open_: Callable[[Any], torch.nn.Module], folder: Path
) -> None:
    for place in (folder, str(folder)):
        assert same_state(open_(place), zoo.load_model(folder))
    shipped = zoo.create_model("srresnet_x2", weights="psnr")
    assert same_state(open_("srresnet_x2.psnr"), shipped)


def test_load_model_never_starts_at_random() -> None:
    model = zoo.load_model("srresnet_x2")
    assert same_state(model, zoo.create_model("srresnet_x2.psnr"))
    assert not model.training
    with pytest.raises(UnknownNameError, match="srresnet_lesson_x2 has no weights"):
        zoo.load_model("srresnet_lesson_x2")


def test_a_path_is_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for open_ in OPENERS:
        with pytest.raises(WeightsError, match="no config.json in srresnet_x2"):
            open_(Path("srresnet_x2"))


def test_weights_may_be_a_folder(folder: Path) -> None:
    model = zoo.create_model("srresnet_x2", weights=folder)
    assert same_state(model, zoo.load_model(folder))
    with pytest.raises(WeightsError, match="weights of srresnet_x2, not of srresnet_x4"):
        zoo.create_model("srresnet_x4", weights=str(folder))
    with pytest.raises(OptionError, match="has weights of its own"):
        zoo.create_model(folder, weights="psnr")


def test_words_of_other_libraries() -> None:
    model = zoo.create_model("srresnet_x2", weights="DEFAULT")
    assert model.source == "srresnet_x2.psnr"
    for option, ours in {
        "pretrained": "weights='default'",
        "num_classes": "classes",
        "in_channels": "in_chans",
        "backbone": "encoder",
    }.items():
        with pytest.raises(OptionError, match=f"no option {option!r}. Here it is {ours}"):
            zoo.create_model("dynamic_unet", **{option: 1})


def test_imagenet_means_the_default_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def trunk(name: str, *, weights: object, in_chans: int) -> None:
        asked.append(weights)
        raise OptionError("enough")

    monkeypatch.setattr("zoo.seg.encoders.encoder.timm_trunk", trunk)
    with pytest.raises(OptionError, match="enough"):
        zoo.create_model("dynamic_unet", encoder="resnet18", encoder_weights="imagenet")
    assert asked == ["default"]


def test_a_new_head_keeps_all_other_weights(caplog: pytest.LogCaptureFixture) -> None:
    torch.manual_seed(1)
    model = zoo.create_model("dynamic_unet.carvana_effnet_lite0", classes=3, head="new")
    shipped = zoo.create_model("dynamic_unet.carvana_effnet_lite0").state_dict()
    kept = {key: value for key, value in model.state_dict().items() if "head" not in key}
    assert kept.keys() == {key for key in shipped if not key.startswith("decoder.head.")}
    assert all(torch.equal(value, shipped[key]) for key, value in kept.items())
    assert model.eval()(torch.rand(1, 3, 32, 32)).shape == (1, 3, 32, 32)
    assert "decoder.head, which is new" in caplog.text
    assert model.source is None  # these are no longer the shipped weights


def test_other_classes_without_a_new_head_say_how() -> None:
    with pytest.raises(OptionError, match="for classes=3 pass head='new'"):
        zoo.create_model("dynamic_unet.carvana_effnet_lite0", classes=3)
    with pytest.raises(OptionError, match="head='new' is for weights"):
        zoo.create_model("unet34", classes=3, head="new")
    with pytest.raises(OptionError, match="no head that could be new"):
        zoo.create_model("srresnet_x2.psnr", head="new")
    with pytest.raises(OptionError, match="head='fresh' is none of kept, new"):
        zoo.create_model("srresnet_x2.psnr", head="fresh")


def test_a_pattern_with_a_dot_lists_weights() -> None:
    names = zoo.list_models("srresnet_x4.*", pretrained=True)
    assert names == sorted(zoo.list_weights("srresnet_x4")) != []
    assert zoo.list_models("*.carvana", task="super-resolution") == []


def test_what_a_model_takes_is_data(model_name: str, tiny_model: zoo.ZooModel) -> None:
    spec = tiny_model.input_spec
    assert isinstance(spec, InputSpec)
    assert len(spec.mean) == len(spec.std) == spec.channels
    image = torch.rand(2, spec.channels, spec.min_side, spec.min_side + 1)
    assert len(tiny_model(image)) == 2
    grey = torch.tensor(spec.mean).view(1, -1, 1, 1).expand(1, -1, 64, 64)
    assert tiny_model(grey).isfinite().all()


def test_the_trained_size_travels_with_the_weights(tmp_path: Path) -> None:
    model = zoo.create_model("dynamic_unet", encoder="test_resnet")
    assert model.input_spec.image_size is None
    model.image_size = 96
    again = zoo.load_model(zoo.save_model(model, tmp_path))
    assert again.input_spec.image_size == 96
    assert zoo.Segmenter(tmp_path, device="cpu").size == 96
    assert zoo.Segmenter("dynamic_unet", device="cpu").size == 512


def test_segmentation_defaults_to_the_weights_that_measure_best() -> None:
    names = zoo.list_models("*.*", task="segmentation")
    dice = {name: zoo.get_weights(name).metrics["validation"]["dice_pooled@512"] for name in names}
    default = zoo.Segmenter(device="cpu").model.source
    assert default == max(dice, key=dice.__getitem__)

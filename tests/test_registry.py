"""Models by name: registering, listing, creating, and the sentences for what does not exist."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import zoo
from zoo.errors import OptionError, UnknownNameError
from zoo.registry import get_model, register_model


@pytest.fixture
def toy(own_registry: None):
    @register_model(task="super-resolution")
    def toy_x2(*, width: int = 4, bias: bool = True) -> Toy:
        return Toy(width, bias)

    return toy_x2


class Toy(zoo.ZooModel):
    def __init__(self, width: int, bias: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, width, 1, bias=bias)


def test_created_model_carries_its_whole_configuration(toy):
    model = zoo.create_model("toy_x2", width=7)
    assert model.conv.out_channels == 7
    assert model.config == {"architecture": "toy_x2", "options": {"width": 7, "bias": True}}
    assert toy(bias=False).config["options"] == {"width": 4, "bias": False}


def test_names_are_listed_by_wildcard_and_task(toy):
    assert zoo.list_models("toy*") == ["toy_x2"]
    assert zoo.list_models("*_x2", task="super-resolution") == [
        "srresnet_lesson_x2",
        "srresnet_x2",
        "toy_x2",
    ]
    assert "toy_x2" not in zoo.list_models(task="segmentation")
    assert zoo.list_models("TOY*") == []
    assert "toy_x2" not in zoo.list_models(pretrained=True)


def test_unknown_task_is_told(toy):
    with pytest.raises(UnknownNameError, match="accepted are super-resolution, segmentation"):
        zoo.list_models(task="colouring")
    with pytest.raises(ValueError, match="task must be one of"):
        register_model(task="colouring")


@pytest.mark.parametrize("name", ["toy_x3", "toy_x3.psnr", "Toy_x2"])
def test_unknown_model_suggests_the_nearest(toy, name):
    with pytest.raises(UnknownNameError, match="Did you mean 'toy_x2'"):
        zoo.create_model(name)


def test_unknown_option_suggests_the_nearest(toy):
    with pytest.raises(OptionError, match="no option 'widht'. Did you mean 'width'"):
        zoo.create_model("toy_x2", widht=3)
    with pytest.raises(TypeError):  # what Python itself would have raised
        zoo.create_model("toy_x2", weight=3)


def test_a_name_is_registered_once(toy):
    with pytest.raises(ValueError, match="'toy_x2' is already registered"):

        @register_model(task="super-resolution")
        def toy_x2(*, width: int = 1) -> Toy:
            return Toy(width, True)

    assert get_model("toy_x2").options == {"width": 4, "bias": True}


def test_options_must_be_keyword_only(own_registry):
    with pytest.raises(TypeError, match="'width' must be keyword-only"):

        @register_model(task="super-resolution")
        def toy(width: int = 1) -> Toy:
            return Toy(width, True)

    with pytest.raises(UnknownNameError):
        zoo.create_model("toy")


def test_a_tag_and_weights_exclude_each_other(toy):
    with pytest.raises(OptionError, match="names its weights already"):
        zoo.create_model("toy_x2.psnr", weights="other")


def test_a_dot_without_a_tag_is_no_random_start(toy):
    with pytest.raises(UnknownNameError, match=r"'toy_x2\.' names no weights"):
        zoo.create_model("toy_x2.")


@pytest.mark.parametrize("options", [
    {"width": "8"}, {"width": -1}, {"width": 0}, {"depth": None}, {"res_scale": float("nan")},
])  # fmt: skip
@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
def test_options_that_nothing_can_be_built_with_are_named(options):
    with pytest.raises(OptionError, match=f"can't be built with {next(iter(options))}="):
        zoo.create_model("srresnet_x2", **options)


def test_every_model_can_be_built_from_its_configuration(tiny_model):
    config = tiny_model.config
    again = zoo.create_model(config["architecture"], **config["options"])
    shapes = {key: value.shape for key, value in tiny_model.state_dict().items()}
    assert {key: value.shape for key, value in again.state_dict().items()} == shapes
    assert again.training
    assert again.source is None


def test_random_start_follows_the_seed(model_name):
    def start() -> torch.Tensor:
        torch.manual_seed(1)
        return next(get_model(model_name).build().parameters())

    assert torch.equal(start(), start())

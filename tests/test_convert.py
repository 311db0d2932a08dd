"""Weights of other libraries compute here what they compute there, and others are told apart."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import segmentation_models_pytorch as smp
import torch
import torch.nn.functional as F
from commands import files, photograph, run
from PIL import Image
from safetensors.torch import save_file
from test_pickles import Trap
from torch import Tensor, nn

import zoo
from zoo.convert import convert
from zoo.errors import OptionError, WeightsError
from zoo.layers.imagenet import IMAGENET_MEAN, IMAGENET_STD


def conv(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1)


class Block(nn.Module):
    def __init__(self, width: int, res_scale: float) -> None:
        super().__init__()
        self.conv1, self.conv2, self.res_scale = conv(width, width), conv(width, width), res_scale

    def forward(self, x: Tensor) -> Tensor:
        return x + self.res_scale * self.conv2(self.conv1(x).relu())


class ReferenceMSRResNet(nn.Module):
    """What BasicSR's MSRResNet computes, with its names."""

    def __init__(self, scale: int, width: int = 8, depth: int = 2) -> None:
        super().__init__()
        self.scale, self.step = scale, 2 if scale == 4 else scale
        self.conv_first = conv(3, width)
        self.body = nn.Sequential(*(Block(width, 1.0) for _ in range(depth)))
        self.upconv1 = conv(width, width * self.step**2)
        if scale == 4:
            self.upconv2 = conv(width, width * 4)
        self.conv_hr, self.conv_last = conv(width, width), conv(width, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(F.leaky_relu(self.conv_first(x), 0.1))
        y = F.leaky_relu(F.pixel_shuffle(self.upconv1(y), self.step), 0.1)
        if self.scale == 4:
            y = F.leaky_relu(F.pixel_shuffle(self.upconv2(y), 2), 0.1)
        y = self.conv_last(F.leaky_relu(self.conv_hr(y), 0.1))
        large = F.interpolate(x, scale_factor=self.scale, mode="bilinear", align_corners=False)
        return y + large


class ReferenceEDSR(nn.Module):
    """What BasicSR's EDSR computes, with its names."""

    def __init__(self, scale: int, width: int = 8, depth: int = 2, res_scale: float = 1.0) -> None:
        super().__init__()
        self.conv_first = conv(3, width)
        self.body = nn.Sequential(*(Block(width, res_scale) for _ in range(depth)))
        self.conv_after_body = conv(width, width)
        steps = [3] if scale == 3 else [2] * (scale.bit_length() - 1)
        self.upsample = nn.Sequential()
        for step in steps:
            self.upsample.extend([conv(width, width * step**2), nn.PixelShuffle(step)])
        self.conv_last = conv(width, 3)

    def forward(self, x: Tensor) -> Tensor:
        mean = torch.tensor([0.4488, 0.4371, 0.4040]).view(1, 3, 1, 1)
        y = self.conv_first((x - mean) * 255)
        y = self.conv_last(self.upsample(self.conv_after_body(self.body(y)) + y))
        return y / 255 + mean


def image(height: int, width: int, channels: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(2, channels, height, width, generator=generator)


def saved(net: nn.Module, file: Path, wrap: Callable[[Any], Any] = lambda state: state) -> Path:
    torch.save(wrap(net.state_dict()), file)
    return file


def unet(name: str = "resnet18", **options: Any) -> nn.Module:
    """A Unet whose batch norm is no identity."""
    torch.manual_seed(0)
    net = smp.Unet(name, encoder_weights=None, **options)
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 1.5)
                module.bias.normal_(0, 0.1)
    return net.eval()


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize(
    ("reference", "architecture"), [(ReferenceMSRResNet, "msrresnet"), (ReferenceEDSR, "edsr")]
)
def test_basicsr(
    reference: Callable[[int], nn.Module], architecture: str, scale: int, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    net = reference(scale)
    done = convert(saved(net, tmp_path / "net.pth"), tmp_path / "folder")
    ours = zoo.load_model(done.folder)
    assert ours.config["architecture"] == architecture
    assert (ours.scale, ours.config["options"]["width"], len(ours.body)) == (scale, 8, 2)
    x = image(11, 14)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), net(x), atol=2e-6, rtol=1e-5)
    assert files(done.folder) == {"config.json", "model.safetensors"}


def test_the_large_edsr_is_known_by_its_shape_or_told(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = ReferenceEDSR(2, 256, 32, 0.1)
    done = convert(saved(net, tmp_path / "net.pth"), tmp_path / "large")
    x = image(6, 5)
    with torch.no_grad():
        torch.testing.assert_close(done.model(x), net(x), atol=1e-5, rtol=1e-4)
    assert done.assumed == "res_scale=0.1 and the mean of DIV2K"
    net = ReferenceEDSR(2, res_scale=0.3)
    done = convert(saved(net, tmp_path / "net.pth"), tmp_path / "told", res_scale=0.3)
    with torch.no_grad():
        torch.testing.assert_close(zoo.load_model(done.folder)(x), net(x), atol=2e-6, rtol=1e-5)
    assert done.assumed == "the mean of DIV2K"


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("resnet18", {"classes": 3, "in_channels": 4}),
        ("resnet18", {"decoder_channels": (64, 48, 32, 24, 8)}),
        pytest.param("resnet34", {}, marks=pytest.mark.slow),
        pytest.param("resnet50", {}, marks=pytest.mark.slow),
        pytest.param("resnet101", {}, marks=pytest.mark.slow),
        pytest.param("resnet152", {}, marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("normalise", [None, "none"])
def test_unets_of_segmentation_models_pytorch(
    name: str, options: dict[str, Any], normalise: str | None, tmp_path: Path
) -> None:
    net = unet(name, **options)
    file = saved(net, tmp_path / "net.pth")
    done = convert(file, tmp_path / "folder", normalise=normalise)
    assert done.assumed == ("" if normalise else "normalise=imagenet")
    ours = zoo.load_model(done.folder)
    assert ours.config["options"]["encoder"] == name
    x = image(64, 96, options.get("in_channels", 3))
    prepared = x
    if normalise is None:
        mean, std = (torch.tensor(values) for values in (IMAGENET_MEAN, IMAGENET_STD))
        if x.shape[1] != 3:  # every channel uses their average
            mean, std = mean.mean(), std.mean()
        prepared = (x - mean.view(-1, 1, 1)) / std.view(-1, 1, 1)
    with torch.no_grad():
        expected = net(prepared)
        torch.testing.assert_close(
            ours(x), expected, atol=1e-5 * float(expected.abs().max()), rtol=0
        )


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: {"params": {}, "params_ema": state},
        lambda state: {"params": state, "epoch": 3},
        lambda state: {"state_dict": {f"module.{key}": value for key, value in state.items()}},
        lambda state: {key: value.half() for key, value in state.items()},
    ],
    ids=["params_ema", "params", "state_dict", "half"],
)
def test_what_is_around_a_state_dict_is_taken_off(
    wrap: Callable[[Any], Any], tmp_path: Path
) -> None:
    net = ReferenceMSRResNet(2)
    done = convert(saved(net, tmp_path / "net.pt", wrap), tmp_path / "folder")
    x = image(5, 7)
    with torch.no_grad():
        torch.testing.assert_close(done.model(x), net(x), atol=1e-3, rtol=1e-3)


def test_the_command_and_what_becomes_of_the_folder(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = ReferenceEDSR(2)
    save_file(net.state_dict(), tmp_path / "net.safetensors")
    out = tmp_path / "new" / "folder"
    result = run("convert", tmp_path / "net.safetensors", "-o", out)
    assert result.status == 0, result.stderr
    assert "edsr(scale=2, width=8, depth=2, res_scale=1.0); assumed, for the file" in result.stdout
    assert json.loads((out / "config.json").read_text())["architecture"] == "edsr"
    photograph(20, 10).save(tmp_path / "a.png")
    call = ("upscale", tmp_path / "a.png", "-o", tmp_path / "big.png", "-m", out, "--tile", 8)
    assert run(*call).status == 0
    assert Image.open(tmp_path / "big.png").size == (40, 20)

    before = (out / "model.safetensors").read_bytes()
    save_file(ReferenceMSRResNet(3).state_dict(), tmp_path / "other.safetensors")
    again = ("convert", tmp_path / "other.safetensors", "-o", out)
    result = run(*again)
    assert (result.status, "exists; overwrite=True (--overwrite)" in result.stderr) == (1, True)
    assert (out / "model.safetensors").read_bytes() == before
    assert run(*again, "--overwrite").status == 0
    assert zoo.load_model(out).scale == 3
    assert files(tmp_path / "new") == {"folder/config.json", "folder/model.safetensors"}


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (
            lambda: {
                key: value
                for key, value in ReferenceMSRResNet(2).state_dict().items()
                if "conv_hr" not in key
            },
            r"nearest is BasicSR's MSRResNet \(missing: conv_hr\.weight and 1 more\)\.",
        ),
        (
            lambda: ReferenceEDSR(2).state_dict() | {"extra": torch.zeros(1)},
            r"nearest is BasicSR's EDSR \(unexpected: extra\)\.",
        ),
        (
            lambda: ReferenceEDSR(2).state_dict() | {"conv_last.bias": torch.zeros(4)},
            r"nearest is BasicSR's EDSR \(of another shape: conv_last\.bias\)\.",
        ),
        (
            lambda: ReferenceEDSR(2).state_dict() | {"conv_first.weight": torch.zeros(0)},
            r"nearest is BasicSR's EDSR \(.*of another shape: conv_first\.weight",
        ),
        (
            lambda: unet(decoder_attention_type="scse").state_dict(),
            r"nearest is a Unet of segmentation_models\.pytorch on a ResNet \(unexpected: dec",
        ),
        (
            lambda: smp.Unet("resnext50_32x4d", encoder_weights=None).state_dict(),
            r"nearest is a Unet of .* \(of another shape: encoder\.layer1\.0\.conv1\.weight and",
        ),
        (
            lambda: smp.FPN("resnet18", encoder_weights=None).state_dict(),
            r"nearest is a Unet of .* unexpected: decoder\.p5\.weight",
        ),
        (lambda: {"a": torch.zeros(2)}, r"fits none of BasicSR's MSRResNet, .*; unexpected: a\)\."),
    ],
    ids=["missing", "unexpected", "shape", "hostile", "attention", "resnext", "fpn", "nothing"],
)
def test_what_fits_nothing_gets_one_sentence(
    state: Callable[[], Any], message: str, tmp_path: Path
) -> None:
    torch.save(state(), tmp_path / "net.pth")
    result = run("convert", tmp_path / "net.pth", "-o", tmp_path / "folder")
    assert (result.status, len(result.stderr.splitlines())) == (1, 1)
    assert re.search(message, result.stderr)
    assert files(tmp_path) == {"net.pth"}


def test_names_of_weights_do_not_command_the_terminal(tmp_path: Path) -> None:
    save_file({"\x1b[31m\nerror: ": torch.zeros(1)}, tmp_path / "net.safetensors")
    result = run("convert", tmp_path / "net.safetensors", "-o", tmp_path / "folder")
    assert (result.status, len(result.stderr.splitlines())) == (1, 1)
    assert r"unexpected: \x1b[31m\nerror: " in result.stderr


def in_itself() -> dict[str, Any]:
    content: dict[str, Any] = {}
    content["params"] = content
    return content


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"weight": Trap()}, "whose code zoo does not run"),
        ([1, 2], "holds no state dict, but a list"),
        ({}, "holds no state dict, but a dict"),
        ({"a": 3}, "'a' is a int, not a plain tensor"),
        ({1: torch.zeros(1)}, "'1' is a Tensor"),
        ({"a": torch.zeros(2, 2).to_sparse()}, "not a plain tensor"),
        ({"a": torch.zeros(1).expand(10**9)}, "its tensor 'a' repeats its values"),
        (nn.Conv2d(1, 1, 1), "save the network's state_dict"),
        (in_itself(), "holds no state dict|is a dict, not a plain tensor"),
    ],
)
def test_files_that_hold_no_state_dict(content: Any, message: str, tmp_path: Path) -> None:
    file = tmp_path / "net.pth"
    torch.save(content, file)
    with pytest.raises(WeightsError, match=message) as caught:
        convert(file, tmp_path / "folder")
    assert "\n" not in str(caught.value)
    assert files(tmp_path) == {"net.pth"}


def test_files_that_are_damaged_or_none(tmp_path: Path) -> None:
    whole = saved(ReferenceEDSR(2), tmp_path / "whole.pth").read_bytes()
    (tmp_path / "half.pth").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.pth").write_text("hello")
    for name, message in (
        ("half.pth", "it is damaged"),
        ("text.pth", "it is damaged"),
        ("gone.pth", "There is no weight file"),
        ("gone.safetensors", "There is no weight file"),
        ("net.h5", r"accepted are \*\.safetensors and \*\.pth"),
    ):
        with pytest.raises(WeightsError, match=message):
            convert(tmp_path / name, tmp_path / "folder")
    assert not (tmp_path / "folder").exists()


def test_options_of_another_network(tmp_path: Path) -> None:
    file = saved(ReferenceMSRResNet(2), tmp_path / "net.pth")
    with pytest.raises(OptionError, match=r"MSRResNet has no res_scale=0\.1: leave it out"):
        convert(file, tmp_path / "folder", res_scale=0.1)
    file = saved(unet(), tmp_path / "unet.pth")
    with pytest.raises(OptionError, match="normalise='imagnet' is none of imagenet, none"):
        convert(file, tmp_path / "folder", normalise="imagnet")
    assert not (tmp_path / "folder").exists()


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    file = saved(ReferenceEDSR(2), tmp_path / "net.pth")
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(WeightsError, match=r"folder can't be written \(.*No space left"):
        convert(file, tmp_path / "folder")
    assert [each.name for each in tmp_path.iterdir()] == ["net.pth"]

"""Segmentation networks: parity with the lesson, decoders, padding, bad input."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

import zoo
from zoo.errors import InputError, OptionError, UnknownNameError, WeightsError
from zoo.layers.save_features import SaveFeatures
from zoo.seg.networks.base import SegmentationModel
from zoo.train.freezing import freeze_statistics

MEAN = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)


def picture(*size: int) -> Tensor:
    return torch.rand(size, generator=torch.Generator().manual_seed(0))


def tiny_unet(**options: object) -> SegmentationModel:
    torch.manual_seed(0)
    return zoo.create_model("dynamic_unet", **{"encoder": "test_resnet", **options})


# The lesson's networks, as its notebooks write them: with hooks


def resnet34() -> nn.Sequential:
    return nn.Sequential(*list(torchvision.models.resnet34().children())[:8])


class StdUpsample(nn.Module):
    def __init__(self, nin: int, nout: int) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(nin, nout, 2, stride=2)
        self.bn = nn.BatchNorm2d(nout)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(F.relu(self.conv(x)))


def lesson_simple() -> nn.Module:
    ups = [StdUpsample(512, 256), *(StdUpsample(256, 256) for _ in range(3))]
    return nn.Sequential(resnet34(), nn.ReLU(), *ups, nn.ConvTranspose2d(256, 1, 2, stride=2))


class Hook:
    def __init__(self, module: nn.Module) -> None:
        module.register_forward_hook(self.keep)

    def keep(self, module: nn.Module, inputs: object, output: Tensor) -> None:
        self.features = output


class UnetBlock(nn.Module):
    def __init__(self, up_in: int, x_in: int, n_out: int) -> None:
        super().__init__()
        self.x_conv = nn.Conv2d(x_in, n_out // 2, 1)
        self.tr_conv = nn.ConvTranspose2d(up_in, n_out // 2, 2, stride=2)
        self.bn = nn.BatchNorm2d(n_out)

    def forward(self, up_p: Tensor, x_p: Tensor) -> Tensor:
        return self.bn(F.relu(torch.cat([self.tr_conv(up_p), self.x_conv(x_p)], dim=1)))


class Unet34(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rn = resnet34()
        self.sfs = [Hook(self.rn[i]) for i in (2, 4, 5, 6)]
        self.up1 = UnetBlock(512, 256, 256)
        self.up2 = UnetBlock(256, 128, 256)
        self.up3 = UnetBlock(256, 64, 256)
        self.up4 = UnetBlock(256, 64, 256)
        self.up5 = nn.ConvTranspose2d(256, 1, 2, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.rn(x))
        x = self.up1(x, self.sfs[3].features)
        x = self.up2(x, self.sfs[2].features)
        x = self.up3(x, self.sfs[1].features)
        x = self.up4(x, self.sfs[0].features)
        return self.up5(x)


LESSON = [("simple_up34", lesson_simple, 22_599_489), ("unet34", Unet34, 22_009_665)]


def layers_in_order(model: nn.Module, x: Tensor) -> list[tuple[str, torch.Size]]:
    """The layers with weights, in the order in which the forward runs them."""
    seen, handles = [], []
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.BatchNorm2d):
            handles.append(
                module.register_forward_hook(
                    lambda m, *_: seen.append((type(m).__name__, m.weight.shape))
                )
            )
    model(x)
    for handle in handles:
        handle.remove()
    return seen


@pytest.mark.parametrize(("name", "lesson", "parameters"), LESSON)
def test_parity_with_the_lesson(name: str, lesson: type[nn.Module], parameters: int) -> None:
    torch.manual_seed(0)
    reference, model = lesson(), zoo.create_model(name)
    assert sum(p.numel() for p in model.parameters()) == parameters
    assert sum(p.numel() for p in reference.parameters()) == parameters

    state = model.state_dict()
    names = [key for key in state if key not in ("encoder.mean", "encoder.std")]
    theirs = reference.state_dict()
    assert [state[key].shape for key in names] == [value.shape for value in theirs.values()]
    model.load_state_dict({**state, **dict(zip(names, theirs.values(), strict=True))})
    x = picture(2, 3, 64, 64)
    normalised = (x - MEAN) / STD
    with torch.no_grad():
        assert layers_in_order(model, x) == layers_in_order(reference, normalised)
        # both have seen one batch in training mode: the statistics of batch norm count too
        torch.testing.assert_close(model.eval()(x), reference.eval()(normalised))


def test_the_lessons_three_groups_of_layers() -> None:
    model = zoo.create_model("unet34")
    groups = model.layer_groups()
    assert {k.split(".")[2] for k in groups["early"]} == {"conv1", "bn1", "layer1", "layer2"}
    assert {k.split(".")[2] for k in groups["late"]} == {"layer3", "layer4"}
    assert {k.split(".")[0] for k in groups["decoder"]} == {"decoder"}
    together = {**groups["early"], **groups["late"], **groups["decoder"]}
    assert together == dict(model.named_parameters())
    assert sum(map(len, groups.values())) == len(together)


# Any encoder


@pytest.mark.parametrize("upsampler", ["pixelshuffle", "transposed", "nearest", "plain"])
def test_upsamplers(upsampler: str) -> None:
    model = tiny_unet(upsampler=upsampler)
    assert model(picture(2, 3, 33, 65)).shape == (2, 1, 33, 65)


def test_pixelshuffle_starts_without_checkerboards() -> None:
    block = tiny_unet().decoder.blocks[0]
    cells = block.up(torch.randn(1, 96, 3, 4)).unfold(2, 2, 2).unfold(3, 2, 2)
    assert torch.equal(cells, cells[..., :1, :1].expand_as(cells))


def test_decoder_channels_are_one_for_each_doubling() -> None:
    model = tiny_unet(decoder_channels=(20, 16, 12, 8, 4))
    assert [block.mix[0].out_channels for block in model.decoder.blocks] == [20, 16, 12, 8, 4]
    with pytest.raises(InputError, match="needs 5 widths .* from stride 32 to 1, not 2"):
        tiny_unet(decoder_channels=(20, 16))


def test_an_encoder_with_gaps_and_full_resolution() -> None:
    """Strides 1 and 8: skips where there are maps, none where not."""
    body = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 6, 8, stride=8))
    for name in ("dynamic_unet", "fpn"):
        model = zoo.create_model(name, encoder=body, classes=2)
        assert model.encoder.strides == (1, 8)
        assert model(picture(2, 3, 37, 50)).shape == (2, 2, 37, 50)
    assert zoo.create_model("dynamic_unet", encoder=body).decoder.joins == [False, False, True]


def test_a_module_as_encoder_cannot_be_written_to_a_configuration(tmp_path: Path) -> None:
    model = zoo.create_model("dynamic_unet", encoder=nn.Sequential(nn.Conv2d(3, 4, 2, stride=2)))
    with pytest.raises(InputError, match=r"config\.json cannot hold"):
        zoo.save_model(model, tmp_path / "model")


def test_where_the_encoder_started_is_not_kept(data: Path, tmp_path: Path) -> None:
    """No path travels, and loading the whole model never asks for the encoder's weights."""
    name = "tf_efficientnet_lite0"
    file = data / "backbones" / f"{name}_imagenet.safetensors"
    model = zoo.create_model("dynamic_unet", encoder=name, encoder_weights=file).eval()
    zoo.save_model(model, tmp_path)
    assert str(data) not in (tmp_path / "config.json").read_text()
    again = zoo.load_model(tmp_path)
    x = picture(1, 3, 40, 50)
    with torch.no_grad():
        assert torch.equal(again(x), model(x))
    assert again.config["options"]["encoder_weights"] is None


# Any size


@pytest.mark.parametrize("name", ["dynamic_unet", "fpn"])
def test_images_are_padded_by_replication_and_logits_cropped(name: str) -> None:
    torch.manual_seed(0)
    model = zoo.create_model(name, encoder="test_resnet").eval()
    x = picture(1, 3, 45, 70)
    padded = F.pad(x, (0, 96 - 70, 0, 64 - 45), mode="replicate")
    with torch.no_grad():
        assert torch.equal(model(x), model(padded)[..., :45, :70])


def test_tensorflows_padding_exports_too() -> None:
    encoder = "tf_mobilenetv3_small_minimal_100"
    model = zoo.create_model("dynamic_unet", encoder=encoder, decoder_channels=[8] * 5).eval()
    dim = torch.export.Dim.DYNAMIC
    shapes = ({2: dim, 3: dim},)
    exported = torch.export.export(model, (picture(1, 3, 40, 50),), dynamic_shapes=shapes)
    x = picture(1, 3, 64, 71)
    with torch.no_grad():
        torch.testing.assert_close(exported.module()(x), model(x), atol=1e-5, rtol=1e-4)


# Bad input


@pytest.mark.parametrize("name", zoo.list_models(task="segmentation"))
def test_classes_must_be_at_least_one(name: str) -> None:
    with pytest.raises(InputError, match="classes is .*, not 0"):
        zoo.create_model(name, classes=0)


def test_bad_options_are_told() -> None:
    with pytest.raises(OptionError, match="Did you mean 'pixelshuffle'"):
        tiny_unet(upsampler="pixel_shuffle")
    with pytest.raises(UnknownNameError, match="Did you mean 'resnet"):
        tiny_unet(encoder="resnet43")
    with pytest.raises(WeightsError, match="There is no weight file"):
        tiny_unet(encoder_weights="absent.safetensors")


@pytest.mark.parametrize(
    ("x", "sentence"),
    [
        (picture(1, 3, 31, 64), "32 pixels a side or more, not 31 × 64"),
        (picture(1, 3, 64, 1), "32 pixels a side or more, not 64 × 1"),
        (picture(1, 4, 64, 64), r"takes float images \[N, 3, H, W\] .*, not .* \[1, 4, 64, 64\]"),
        (picture(3, 64, 64), r"not torch.float32 \[3, 64, 64\]"),
        (torch.zeros(1, 3, 64, 64, dtype=torch.uint8), r"not torch.uint8 \[1, 3, 64, 64\]"),
    ],
)
def test_bad_images_are_told(x: Tensor, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        tiny_unet()(x)


@pytest.mark.parametrize("name", ["simple_up34", "unet34"])
def test_batch_norm_needs_more_than_one_value(name: str) -> None:
    model = zoo.create_model(name)
    with pytest.raises(InputError, match="Batch norm can't learn from 1 image of 32 × 32 pixels"):
        model(picture(1, 3, 32, 32))
    assert model(picture(1, 3, 32, 33)).isfinite().all()
    freeze_statistics(model)
    assert model(picture(1, 3, 32, 32)).isfinite().all()


# Looking inside


def test_saved_features_and_no_hook_afterwards() -> None:
    model = tiny_unet().eval()
    x = picture(1, 3, 64, 64)
    with SaveFeatures(model, "encoder.trunk.layer2", "decoder.head") as features:
        logits = model(x)
    assert torch.equal(features["decoder.head"], logits)
    assert torch.equal(features["encoder.trunk.layer2"], model.encoder(x)[2])
    model(torch.zeros(1, 3, 64, 64))
    assert torch.equal(features["decoder.head"], logits)  # the later call was not seen


def test_unknown_layers_suggest_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="no layer called 'decoder.heads'. Did you mean"):
        SaveFeatures(tiny_unet(), "decoder.heads")

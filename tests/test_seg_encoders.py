"""Encoders: pyramids from names, files and modules, and the sentences for what can't be one."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn

import zoo
from zoo.errors import InputError, OptionError, UnknownNameError, WeightsError
from zoo.seg.encoders import Encoder, make_encoder
from zoo.statedict import save_weights

LITE0 = "tf_efficientnet_lite0"


@pytest.fixture
def lite0_file(data: Path) -> Path:
    return data / "backbones" / f"{LITE0}_imagenet.safetensors"


@pytest.fixture
def resnet18_file(tmp_path: Path) -> Path:
    """A file of torchvision's names, which are timm's too."""
    torch.manual_seed(0)
    save_weights(torchvision.models.resnet18().state_dict(), tmp_path / "resnet18.safetensors")
    return tmp_path / "resnet18.safetensors"


def picture(*size: int) -> Tensor:
    return torch.rand(size, generator=torch.Generator().manual_seed(0))


def maps_of(encoder: Encoder, x: Tensor) -> list[Tensor]:
    with torch.no_grad():
        return encoder.eval()(x)


def conv(inputs: int, outputs: int, stride: int = 1, **options: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, **options)


class Maps(nn.Module):
    """A user's own network: a list of the outputs of its layers."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = []
        for layer in self.layers:
            x = layer(x)
            maps.append(x)
        return maps


# By name


@pytest.mark.parametrize("name", timm.list_models("test_*"))
def test_every_kind_of_encoder_makes_a_unet(name: str) -> None:
    model = zoo.create_model("dynamic_unet", encoder=name, decoder_channels=None).eval()
    with torch.no_grad():
        logits = model(picture(1, 3, 45, 71))
    assert logits.shape == (1, 1, 45, 71)
    assert logits.isfinite().all()


def test_maps_are_those_of_timm_on_a_normalised_image() -> None:
    torch.manual_seed(0)
    encoder = make_encoder("test_resnet")
    assert encoder.strides == (2, 4, 8, 16, 32)
    torch.manual_seed(0)
    reference = timm.create_model("test_resnet", features_only=True).eval()
    assert list(encoder.channels) == reference.feature_info.channels()
    cfg, x = reference.pretrained_cfg, picture(2, 3, 64, 96)
    mean, std = (torch.tensor(cfg[key]).view(3, 1, 1) for key in ("mean", "std"))
    for ours, theirs in zip(maps_of(encoder, x), reference((x - mean) / std), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_a_plain_transformer_becomes_a_pyramid() -> None:
    encoder = make_encoder("test_vit")
    assert encoder.strides == (4, 8, 16)
    maps = maps_of(encoder, picture(1, 3, 64, 96))
    assert [tuple(m.shape[-2:]) for m in maps] == [(16, 24), (8, 12), (4, 6)]


def test_a_stem_of_stride_4_and_its_channels() -> None:
    encoder = make_encoder("test_convnext", in_chans=5)
    assert encoder.strides == (4, 8, 16, 32)
    maps = maps_of(encoder, picture(1, 5, 32, 64))
    assert [m.shape[1] for m in maps] == list(encoder.channels)


def test_torchvision_gives_what_timm_gives(resnet18_file: Path) -> None:
    ours = make_encoder("torchvision:resnet18", weights=resnet18_file)
    theirs = make_encoder("resnet18", weights=resnet18_file)
    assert ours.channels == theirs.channels == (64, 64, 128, 256, 512)
    assert ours.strides == theirs.strides == (2, 4, 8, 16, 32)
    x = picture(1, 3, 32, 64)
    torch.testing.assert_close(maps_of(ours, x), maps_of(theirs, x))


def test_torchvision_with_other_channels(resnet18_file: Path) -> None:
    one = make_encoder("torchvision:resnet18", weights=resnet18_file, in_chans=1)
    three = make_encoder("torchvision:resnet18", weights=resnet18_file)
    assert torch.equal(one.trunk.layers[0].weight, three.trunk.layers[0].weight.sum(1, True))
    five = make_encoder("torchvision:resnet18", in_chans=5)
    assert len(maps_of(five, picture(1, 5, 32, 32))) == 5


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("resnet43", "no encoder called 'resnet43'. Did you mean 'resnet"),
        ("resnet34.tv_in2k", "no weights called 'tv_in2k'. Did you mean 'resnet34.tv_in1k'"),
        ("torchvision:resnet19", "called 'torchvision:resnet19'. Did you mean 'resnet1"),
        ("torch:resnet18", "no encoder called 'torch:resnet18'"),
    ],
)
def test_unknown_names_suggest_the_nearest(name: str, sentence: str) -> None:
    with pytest.raises(UnknownNameError, match=sentence.replace(".", r"\.")):
        make_encoder(name)


# Weights


def test_a_real_file_of_imagenet_weights(lite0_file: Path) -> None:
    encoder = make_encoder(LITE0, weights=lite0_file)
    assert encoder.channels == (16, 24, 40, 112, 320)
    assert encoder.strides == (2, 4, 8, 16, 32)
    assert encoder.mean.flatten().tolist() == encoder.std.flatten().tolist() == [0.5] * 3
    whole = timm.create_model(LITE0, checkpoint_path=str(lite0_file)).eval()
    x = picture(1, 3, 64, 64)
    with torch.no_grad():
        deepest = whole.blocks(whole.bn1(whole.conv_stem((x - 0.5) / 0.5)))
    torch.testing.assert_close(maps_of(encoder, x)[-1], deepest)


def test_a_grey_image_is_seen_as_grey_rgb(lite0_file: Path) -> None:
    grey = picture(1, 1, 64, 64)
    one = maps_of(make_encoder(LITE0, weights=lite0_file, in_chans=1), grey)
    three = maps_of(make_encoder(LITE0, weights=lite0_file), grey.expand(1, 3, 64, 64))
    torch.testing.assert_close(one, three, atol=1e-4, rtol=1e-3)


def test_more_channels_repeat_the_filters(lite0_file: Path) -> None:
    three = make_encoder(LITE0, weights=lite0_file).trunk.conv_stem.weight
    five = make_encoder(LITE0, weights=lite0_file, in_chans=5)
    expected = torch.cat([three, three[:, :2]], dim=1) * 3 / 5
    torch.testing.assert_close(five.trunk.conv_stem.weight, expected)
    assert five.mean.flatten().tolist() == [0.5] * 5


def test_normalisation_of_other_channels_is_the_average() -> None:
    three, four = make_encoder("test_resnet"), make_encoder("test_resnet", in_chans=4)
    torch.testing.assert_close(four.mean, three.mean.mean().expand(4, 1, 1))
    torch.testing.assert_close(four.std, three.std.mean().expand(4, 1, 1))


def test_a_transformers_file_loads(tmp_path: Path) -> None:
    whole = timm.create_model("test_vit").eval()
    save_weights(whole.state_dict(), tmp_path / "vit.safetensors")
    encoder = make_encoder("test_vit", weights=tmp_path / "vit.safetensors")
    assert torch.equal(encoder.trunk.model.patch_embed.proj.weight, whole.patch_embed.proj.weight)


def test_a_file_without_the_classifier_loads(tmp_path: Path) -> None:
    state = timm.create_model("test_resnet").state_dict()
    kept = {key: value for key, value in state.items() if not key.startswith("fc.")}
    save_weights(kept, tmp_path / "cut.safetensors")
    encoder = make_encoder("test_resnet", weights=tmp_path / "cut.safetensors")
    assert torch.equal(encoder.trunk.layer2[0].conv1.weight, state["layer2.0.conv1.weight"])


@pytest.mark.parametrize("name", ["tf_efficientnet_lite1", "resnet18", "torchvision:resnet18"])
def test_another_networks_file_is_refused(lite0_file: Path, name: str) -> None:
    with pytest.raises(WeightsError, match="holds weights of another model"):
        make_encoder(name, weights=lite0_file)


def test_a_deeper_networks_file_is_refused(tmp_path: Path) -> None:
    """It has every entry that the shallower one needs, and more."""
    save_weights(
        timm.create_model("tf_efficientnet_lite1").state_dict(), tmp_path / "x.safetensors"
    )
    with pytest.raises(WeightsError, match="another model.*unexpected.*names of timm's tf_eff"):
        make_encoder(LITE0, weights=tmp_path / "x.safetensors")


def test_missing_files_and_other_words_are_told(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="There is no weight file"):
        make_encoder("test_resnet", weights=tmp_path / "none.safetensors")
    for weights in ("imagenet", tmp_path / "x.pth"):
        with pytest.raises(OptionError, match="None, 'default' or a \\*.safetensors file, not"):
            make_encoder("test_resnet", weights=weights)


def test_default_weights_that_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    create = timm.create_model

    def offline(*names: str, pretrained: bool = False, **options: object) -> nn.Module:
        if pretrained:
            raise OSError("no network")
        return create(*names, **options)

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(WeightsError, match=r"\(no network\); fetch .* timm/test_resnet.r160_in1k"):
        make_encoder("test_resnet", weights="default")
    with pytest.raises(WeightsError, match="no default weights of resnet50t"):
        make_encoder("resnet50t", weights="default")


# Modules


def test_a_module_that_returns_maps() -> None:
    torch.manual_seed(0)
    module = Maps(conv(3, 4, 2), conv(4, 5, 2), conv(5, 6, 2))
    encoder = make_encoder(module)
    assert (encoder.strides, encoder.channels) == ((2, 4, 8), (4, 5, 6))
    x = picture(2, 3, 32, 64)
    torch.testing.assert_close(maps_of(encoder, x), module(x))  # not normalised: no configuration


def test_maps_by_name_will_do() -> None:
    class Named(Maps):
        def forward(self, x: Tensor) -> dict[str, Tensor]:
            return {str(i): features for i, features in enumerate(super().forward(x))}

    assert make_encoder(Named(conv(3, 4, 2), conv(4, 5, 2))).strides == (2, 4)


def test_a_sequential_is_cut_and_tapped_before_every_halving() -> None:
    torch.manual_seed(0)
    body = nn.Sequential(
        conv(3, 4, 2), nn.ReLU(), nn.Sequential(conv(4, 5, 2), conv(5, 6)), conv(6, 7, 2)
    )
    whole = nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(7, 10))
    encoder = make_encoder(whole, cut=4)
    assert (encoder.strides, encoder.channels) == ((2, 4, 8), (4, 6, 7))
    x = picture(1, 3, 32, 32)
    torch.testing.assert_close(
        maps_of(encoder, x), [body[:2](x), body[:3](x), body(x)], atol=0, rtol=0
    )


def test_dilated_networks_give_the_deepest_map_of_each_stride() -> None:
    encoder = make_encoder(
        Maps(conv(3, 4, 2), conv(4, 5, 2), nn.Conv2d(5, 6, 3, padding=2, dilation=2), conv(6, 7))
    )
    assert (encoder.strides, encoder.channels) == ((2, 4), (4, 7))


def test_maps_of_odd_strides_are_resampled() -> None:
    encoder = make_encoder(Maps(nn.Conv2d(3, 4, 14, stride=14)))  # refuses nothing, fits nothing
    assert encoder.strides == (16,)
    (features,) = maps_of(encoder, picture(1, 3, 2 * encoder.multiple, encoder.multiple))
    assert features.shape[-2:] == (encoder.multiple // 8, encoder.multiple // 16)


def test_a_network_for_one_size_sees_the_image_resized() -> None:
    class Fixed(Maps):
        pretrained_cfg = MappingProxyType(
            {"mean": (0.5,) * 3, "std": (0.25,) * 3, "input_size": (3, 48, 48)}
        )

        def forward(self, x: Tensor) -> list[Tensor]:
            if x.shape[-2:] != (48, 48):
                raise ValueError("only 48 pixels.")
            return super().forward(x)

    encoder = make_encoder(Fixed(conv(3, 4, 4), conv(4, 5, 2)))
    assert (encoder.strides, encoder.multiple, encoder.resized_to) == ((4, 8), 8, (48, 48))
    maps = maps_of(encoder, torch.full((1, 3, 64, 32), 0.5))
    assert [tuple(m.shape) for m in maps] == [(1, 4, 16, 8), (1, 5, 8, 4)]


def test_measuring_leaves_no_trace() -> None:
    module = Maps(conv(3, 4, 2), nn.BatchNorm2d(4), nn.Dropout())
    module.layers[1].eval()
    module.layers[0].weight.requires_grad_(False)
    before = {key: value.clone() for key, value in module.state_dict().items()}
    encoder = make_encoder(module)
    encoder.early_parameters()
    assert [layer.training for layer in module.layers] == [True, False, True]
    assert [p.requires_grad for p in module.parameters()] == [False, True, True, True]
    assert all(p.grad is None for p in module.parameters())
    assert all(torch.equal(before[key], value) for key, value in module.state_dict().items())


class Vector(Maps):
    def forward(self, x: Tensor) -> list[Tensor]:
        return [x.mean((2, 3))]


class Last(Maps):
    def forward(self, x: Tensor) -> Tensor:
        return self.layers[0](x)


class Turned(Maps):
    def forward(self, x: Tensor) -> list[Tensor]:
        return [self.layers[0](x).permute(0, 2, 3, 1)]


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        (Vector, r"Vector can't be an encoder; on 32 × 64 pixels: it returned \[1, 3\], not a map"),
        (Last, "it returned a Tensor, not a list of maps"),
        (Turned, r"it returned \[1, 8, 16, 64\], which is no map \[N, C, H, W\] of that image"),
    ],
)
def test_other_outputs_are_refused(kind: type[Maps], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        make_encoder(kind(conv(3, 64, 4)))


def test_networks_that_are_no_chain_are_refused() -> None:
    with pytest.raises(InputError, match="torchvision:maxvit_t can't be an encoder; .*ModuleList"):
        make_encoder("torchvision:maxvit_t")


def test_options_that_contradict() -> None:
    with pytest.raises(OptionError, match="cut=3 is for an nn.Sequential, not a Maps"):
        make_encoder(Maps(conv(3, 4, 2)), cut=3)
    with pytest.raises(OptionError, match="cut=3 is for an nn.Sequential, not for the encoder"):
        make_encoder("test_resnet", cut=3)
    with pytest.raises(OptionError, match="a module has its own"):
        make_encoder(Maps(conv(3, 4, 2)), weights="default")
    with pytest.raises(InputError, match="in_chans is .* 1 or more: 0"):
        make_encoder("test_resnet", in_chans=0)


# Layer groups


def test_the_boundary_lies_after_stride_8() -> None:
    encoder = make_encoder("test_resnet")
    early = {name.split(".")[1] for name in encoder.early_parameters()}
    assert early == {"conv1", "bn1", "layer1", "layer2"}

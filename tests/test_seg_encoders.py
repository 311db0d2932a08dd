"""Encoders: pyramids from names, files and modules, and the sentences for what can't be one."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F

import zoo
from zoo.errors import OptionError, UnknownNameError, WeightsError
from zoo.seg.encoders.encoder import Encoder, make_encoder
from zoo.seg.encoders.timm_trunks import EvenConv
from zoo.store.state_dict import save_weights

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
    x = picture(1, 3, 64, 96)
    maps = maps_of(encoder, x)
    options = {"features_only": True, "dynamic_img_size": True, "out_indices": (1, 3, 5)}
    reference = timm.create_model("test_vit", **options).eval()  # after 2, 4 and all 6 blocks
    reference.load_state_dict(encoder.trunk.state_dict())
    theirs = reference((x - encoder.mean) / encoder.std)
    for ours, other, size in zip(maps, theirs, [(16, 24), (8, 12), (4, 6)], strict=True):
        resized = F.interpolate(other, size, mode="bilinear") if size != (4, 6) else other
        torch.testing.assert_close(ours, resized)


@pytest.mark.parametrize(("kernel", "stride", "dilation"), [(3, 2, 1), (5, 2, 1), (3, 1, 2)])
def test_tensorflows_padding_is_that_of_timm(kernel: int, stride: int, dilation: int) -> None:
    conv = timm.layers.Conv2dSame(2, 3, kernel, stride=stride, dilation=dilation)
    x = torch.randn(1, 2, 8, 12)
    torch.testing.assert_close(EvenConv(conv)(x), conv(x))


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
    network = torchvision.models.squeezenet1_1()  # whose first layer has a bias
    nn.init.uniform_(network.features[0].bias)
    save_weights(network.state_dict(), resnet18_file.with_name("squeezenet.safetensors"))
    file = resnet18_file.with_name("squeezenet.safetensors")
    grey = make_encoder("torchvision:squeezenet1_1", weights=file, in_chans=1)
    assert torch.equal(grey.trunk.layers[0].bias, network.features[0].bias)
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
    for weights in ("imagenet1k", tmp_path / "x.pth"):
        with pytest.raises(OptionError, match="None, 'default' or a \\*.safetensors file, not"):
            make_encoder("test_resnet", weights=weights)


def test_default_weights_that_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    create = timm.create_model

    def offline(*names: str, pretrained: bool = False, **options: object) -> nn.Module:
        if pretrained:
            raise OSError("no network")
        return create(*names, **options)

    monkeypatch.setattr(timm, "create_model", offline)
    monkeypatch.setattr("zoo.seg.encoders.timm_trunks.check_hub", lambda *place: None)
    for weights in ("default", "imagenet"):  # two words for the same
        with pytest.raises(
            WeightsError, match=r"\(no network\); fetch .*timm/test_resnet.r160_in1k"
        ):
            make_encoder("test_resnet", weights=weights)
    with pytest.raises(WeightsError, match="no default weights of resnet50t"):
        make_encoder("resnet50t", weights="default")


# Layer groups


def test_the_boundary_lies_after_stride_8() -> None:
    encoder = make_encoder("test_resnet")
    early = {name.split(".")[1] for name in encoder.early_parameters()}
    assert early == {"conv1", "bn1", "layer1", "layer2"}

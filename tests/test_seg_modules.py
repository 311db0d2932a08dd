"""The user's own modules as encoders, and the sentences for what can't be one."""

from __future__ import annotations

from types import MappingProxyType

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.errors import InputError, OptionError
from zoo.seg.encoders.encoder import make_encoder


def picture(*size: int) -> Tensor:
    return torch.rand(size, generator=torch.Generator().manual_seed(0))


def maps_of(encoder: nn.Module, x: Tensor) -> list[Tensor]:
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
    x = picture(1, 3, 64, 32)
    seen = F.interpolate((x - 0.5) / 0.25, (48, 48), mode="bilinear", antialias=True)
    expected = [
        F.interpolate(features, size, mode="bilinear")
        for features, size in zip(maps_of(encoder.trunk, seen), ((16, 8), (8, 4)), strict=True)
    ]
    torch.testing.assert_close(maps_of(encoder, x), expected)


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

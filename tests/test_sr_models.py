"""SRResNet and the lesson's net: parameter counts, parity, ICNR, options."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import zoo
from zoo.errors import OptionError
from zoo.layers.upsampling import PixelShuffleUpsample, factorise, icnr_
from zoo.sr.networks.srresnet import SRResNet


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("srresnet_x1", 1_222_147),
        ("srresnet_x2", 1_369_859),
        ("srresnet_x4", 1_517_571),
        ("edsr", 1_517_571),
        ("msrresnet", 1_517_571),
        ("srresnet_lesson_x2", 779_139),
        ("srresnet_lesson_x4", 926_851),
    ],
)
def test_parameter_counts(name: str, parameters: int) -> None:
    assert sum(p.numel() for p in zoo.create_model(name).parameters()) == parameters


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_icnr_equals_nearest_enlargement_of_a_convolution(scale: int) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(5, 7 * scale**2, 3, padding=1)
    icnr_(conv, scale)
    x = torch.randn(2, 5, 6, 9)
    small = F.conv2d(x, conv.weight[:: scale**2], conv.bias[:: scale**2], padding=1)
    expected = F.interpolate(small, scale_factor=scale, mode="nearest")
    assert torch.equal(F.pixel_shuffle(conv(x), scale), expected)
    assert conv.bias.abs().sum() > 0  # the bias took part


@pytest.mark.parametrize("scale", [2, 3])
def test_every_shuffle_starts_without_checkerboard(scale: int) -> None:
    shuffled = PixelShuffleUpsample(4, 4, scale)(torch.randn(1, 4, 5, 5))
    cells = shuffled.unfold(2, scale, scale).unfold(3, scale, scale)
    assert torch.equal(cells, cells[..., :1, :1].expand_as(cells))


def test_the_lessons_shuffles_start_without_checkerboard() -> None:
    for shuffle in zoo.create_model("srresnet_lesson_x4").upsampler:
        cells = shuffle(torch.randn(1, 64, 5, 5)).unfold(2, 2, 2).unfold(3, 2, 2)
        assert torch.equal(cells, cells[..., :1, :1].expand_as(cells))


def test_icnr_refuses_channels_that_do_not_fill_cells() -> None:
    with pytest.raises(OptionError, match="multiples of 9, not 8"):
        icnr_(nn.Conv2d(3, 8, 3), 3)


@pytest.mark.parametrize(("scale", "factors"), [(2, [2]), (3, [3]), (4, [2, 2]), (6, [2, 3])])
def test_factorise(scale: int, factors: list[int]) -> None:
    assert factorise(scale) == factors


@pytest.mark.parametrize("upsampler", ["pixelshuffle", "nearest", "transposed"])
@pytest.mark.parametrize("scale", [1, 2, 3, 4, 8])
def test_scales_and_upsamplers(scale: int, upsampler: str) -> None:
    net = SRResNet(scale, width=8, depth=1, upsampler=upsampler).double()
    size = 2 * net.halo + 1
    x = torch.rand(1, 3, size, size, dtype=torch.double, requires_grad=True)
    result = net(x)
    assert result.shape == (1, 3, size * scale, size * scale)
    middle = slice(net.halo * scale, (net.halo + 1) * scale)
    result[..., middle, middle].sum().backward()
    rows = x.grad.abs().sum((0, 1, 3)).nonzero() - net.halo
    assert rows.abs().max() <= net.halo  # what tiles rely on
    assert rows.abs().max() >= net.halo - 1  # and no wider than needed


@pytest.mark.parametrize("scale", [0, 5, 7, 10])
def test_scales_with_other_factors_are_refused(scale: int) -> None:
    with pytest.raises(OptionError, match=f"scale={scale} is no product of 2 and 3"):
        SRResNet(scale)


def test_an_unknown_upsampler_names_the_nearest() -> None:
    with pytest.raises(OptionError, match="Did you mean 'pixelshuffle'?"):
        zoo.create_model("srresnet_x2", upsampler="pixel_shuffle")


def test_srresnet_is_what_its_formula_says() -> None:
    """Restated with plain functions: normalised, two skips, scaled branches, a leaky ReLU."""
    torch.manual_seed(0)
    net = SRResNet(2, width=8, depth=2, res_scale=0.3, negative_slope=0.2)
    assert 0 < net.tail.weight.abs().max() <= 0.1 / (9 * 8) ** 0.5  # a tenth of the usual start
    net.tail.weight.data *= 100
    state = iter([value for name, value in net.state_dict().items() if name not in ("mean", "std")])

    def conv(x: Tensor) -> Tensor:
        return F.conv2d(x, next(state), next(state), padding=1)

    image = torch.rand(1, 3, 6, 7)
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    x = head = conv((image - mean) / std)
    for _ in range(2):
        x = x + 0.3 * conv(F.leaky_relu(conv(x), 0.2))
    x = head + conv(x)
    detail = conv(F.pixel_shuffle(conv(x), 2))
    expected = F.interpolate(image, scale_factor=2, mode="bilinear") + detail * std
    torch.testing.assert_close(net(image), expected)


def test_parity_with_the_lesson() -> None:
    """The lesson's forward, restated with plain functions, gives the same values."""
    torch.manual_seed(0)
    net = zoo.create_model("srresnet_lesson_x4").eval()
    state = iter([value for name, value in net.state_dict().items() if name not in ("mean", "std")])

    def conv(x: Tensor) -> Tensor:
        return F.conv2d(x, next(state), next(state), padding=1)

    image = torch.rand(1, 3, 10, 12)
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    x = conv((image - mean) / std).relu()
    for _ in range(8):
        x = x + 0.1 * conv(conv(x).relu())
    x = conv(x).relu()
    for _ in range(2):
        x = F.pixel_shuffle(conv(x).relu(), 2)
    gain, bias, running_mean, running_var, _ = (next(state) for _ in range(5))
    x = F.batch_norm(x, running_mean, running_var, gain, bias)
    torch.testing.assert_close(net(image), conv(x) * std + mean)

"""Tiles make no difference: the result of the whole picture comes out, whatever the sizes."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import zoo
from zoo.inference.enlarging import Enlarging, has_two_steps
from zoo.inference.tiling import SMALLEST, grown, run_tiled, split, tile_for
from zoo.sr.networks.srresnet import SRResNet


def tiled(
    net: SRResNet, image: Tensor, *, tile: int, halo: int, piece: int | None = None
) -> Tensor:
    """The result by tiles; with `piece`, in the network's two steps."""
    channels, height, width = image.shape
    result = torch.full((channels, height * net.scale, width * net.scale), torch.nan)
    enlarging = Enlarging(
        net if piece else AtOnce(net),
        scale=net.scale,
        device=torch.device("cpu"),
        dtype=torch.float32,
    )

    def write(rows: slice, columns: slice, part: Tensor) -> None:
        assert result[:, rows, columns].isnan().all()
        result[:, rows, columns] = part

    with torch.inference_mode():
        run_tiled(
            enlarging.begin,
            enlarging.finish,
            lambda rows, columns: image[:, rows, columns],
            write,
            height=height,
            width=width,
            tile=tile,
            halo=halo,
            scale=net.scale,
            piece=piece,
        )
    return result


class AtOnce(nn.Module):
    """A network that offers its forward alone."""

    def __init__(self, net: SRResNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


def whole(net: SRResNet, image: Tensor) -> Tensor:
    with torch.inference_mode():
        return net(image[None])[0]


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    tile=st.integers(1, 50),
    more_halo=st.integers(0, 5),
    scale=st.sampled_from([1, 2, 3, 4]),
    depth=st.integers(1, 2),
    upsampler=st.sampled_from(["pixelshuffle", "nearest", "transposed"]),
    piece=st.none() | st.integers(1, 20),
)
def test_tiles_equal_the_whole(height, width, tile, more_halo, scale, depth, upsampler, piece):
    torch.manual_seed(height * 41 + width)
    net = SRResNet(scale, width=8, depth=depth, upsampler=upsampler).eval()
    image = torch.rand(3, height, width)
    tile = max(tile, max(height, width) // 6)  # a few dozen tiles at most
    piece = piece and max(piece, max(height, width) // 6)
    result = tiled(net, image, tile=tile, halo=net.halo + more_halo, piece=piece)
    torch.testing.assert_close(result, whole(net, image), rtol=0, atol=1e-5)


@pytest.mark.parametrize("scale", [2, 4])
def test_the_halo_is_needed_to_the_last_pixel(scale):
    """All weights are positive, so that nothing hides what the outermost pixels contribute."""
    net = SRResNet(scale, width=8, depth=1).eval()
    for parameter in net.parameters():
        parameter.data.fill_(0.05)
    torch.manual_seed(0)
    image = torch.rand(3, 12, 40)
    short = tiled(net, image, tile=16, halo=net.halo - 1)
    assert (short - whole(net, image)).abs().max() > 1e-5
    net.enlarge_halo -= 1
    short = tiled(net, image, tile=16, halo=net.halo, piece=5)
    assert (short - whole(net, image)).abs().max() > 1e-5


@given(st.integers(1, 5000), st.integers(1, 700), st.integers(0, 80))
def test_spans_cover_a_side_once(size, tile, halo):
    spans = split(size, tile, halo)
    assert [p for span in spans for p in range(span.start, span.stop)] == list(range(size))
    lengths = [span.stop - span.start for span in spans]
    assert max(lengths) <= tile
    assert max(lengths) - min(lengths) <= 1  # no sliver at the end
    for span in spans:
        assert span.low == max(0, span.start - halo)
        assert span.high == min(size, span.stop + halo)


@given(st.integers(1, 500), st.integers(1, 60), st.integers(0, 30), st.integers(1, 120))
def test_spans_read_as_much_as_a_network_needs_and_no_more(size, tile, halo, least):
    usual = split(size, tile, halo)
    for span, plain in zip(split(size, tile, halo, least=least), usual, strict=True):
        assert (span.start, span.stop) == (plain.start, plain.stop)
        assert 0 <= span.low <= plain.low
        assert plain.high <= span.high <= size
        assert span.high - span.low == max(plain.high - plain.low, min(least, size))


def test_each_axis_has_a_least_of_its_own():
    shapes = set()

    def read(rows: slice, columns: slice) -> Tensor:
        shapes.add((rows.stop - rows.start, columns.stop - columns.start))
        return torch.zeros(1, rows.stop - rows.start, columns.stop - columns.start)

    run_tiled(
        lambda planes: planes,
        lambda planes, rows, columns: planes[:, rows, columns],
        read,
        lambda rows, columns, part: None,
        height=30,
        width=40,
        tile=2,
        halo=1,
        least=(7, 9),
    )
    assert shapes == {(7, 9)}


def test_a_slice_grows_to_the_border_and_no_further():
    assert grown(slice(4, 6), 2, 20) == slice(2, 8)
    assert grown(slice(1, 19), 2, 20) == slice(0, 20)


@given(
    st.integers(1, 9000), st.integers(1, 9000), st.integers(0, 60), st.integers(8 << 20, 1 << 30)
)
def test_a_tile_with_its_halo_fits_the_budget(height, width, halo, budget):
    cost = 300
    tile = tile_for(height, width, halo=halo, bytes_per_pixel=cost, budget=budget)
    largest = min(height, tile + 2 * halo) * min(width, tile + 2 * halo)
    assert largest * cost <= budget
    if height * width * cost <= budget:
        assert tile == max(height, width)
    elif tile > SMALLEST:
        assert (tile + 1 + 2 * halo) ** 2 * cost > budget  # it is the largest


def test_what_fits_exactly_is_one_tile():
    assert tile_for(50, 40, halo=9, bytes_per_pixel=3, budget=6000) == 50
    assert tile_for(50, 40, halo=9, bytes_per_pixel=3, budget=5999) == SMALLEST


def test_a_budget_below_all_sense_still_gives_tiles():
    assert tile_for(4000, 6000, halo=40, bytes_per_pixel=6000, budget=1) > 0


@pytest.mark.parametrize(("piece", "steps"), [(None, 6), (1, 20)])
def test_progress_reaches_the_end(piece, steps):
    shares = []
    picture, result = torch.rand(1, 5, 4), torch.zeros(1, 5, 4)

    def write(rows: slice, columns: slice, part: Tensor) -> None:
        result[:, rows, columns] = part

    run_tiled(
        lambda planes: planes,
        lambda planes, rows, columns: planes[:, rows, columns],
        lambda rows, columns: picture[:, rows, columns],
        write,
        height=5,
        width=4,
        tile=2,
        halo=1,
        piece=piece,
        progress=shares.append,
    )
    assert torch.equal(result, picture)
    assert len(shares) == steps
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_a_forward_of_ones_own_is_not_passed_by():
    class Brighter(SRResNet):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) + 0.1

    assert has_two_steps(SRResNet(2, width=8, depth=1))
    own = Brighter(2, width=8, depth=1).eval()
    assert not has_two_steps(own)
    assert not has_two_steps(AtOnce(own))
    image = torch.rand(3, 12, 9)
    expected = whole(own, image).clamp(0, 1)
    torch.testing.assert_close(zoo.upscale(image, own, precision="fp32"), expected)

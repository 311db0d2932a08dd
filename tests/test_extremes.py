"""Shipped weights on pictures that no camera takes, and on other numbers of threads."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import zoo
from zoo.sr.data.imresize import bicubic_upscale

NAMES = [name for model in ("srresnet_x2", "srresnet_x4") for name in zoo.list_weights(model)]
TONE, FLAT = 10, 6  # levels of 255


def extremes() -> dict[str, np.ndarray]:
    y, x = np.mgrid[:40, :48]
    noise = np.random.default_rng(0).integers(0, 256, (40, 48, 3), np.uint8)
    return {
        "black": np.zeros((40, 48, 3), np.uint8),
        "white": np.full((40, 48, 3), 255, np.uint8),
        "checkerboard": np.repeat((255 * ((x + y) % 2))[..., None], 3, 2).astype(np.uint8),
        "noise": noise,
        "one pixel": noise[:1, :1],
        "a line": np.random.default_rng(1).integers(0, 256, (1, 10_000, 3), np.uint8),
    }


def small() -> zoo.ZooModel:
    torch.manual_seed(0)
    return zoo.create_model("srresnet_x2", depth=1, width=8)


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", extremes())
def test_extreme_pictures_keep_their_tone(name: str, kind: str) -> None:
    """The same tone on the whole; where nothing varies, each pixel nearly the same."""
    pixels = extremes()[kind]
    result = zoo.upscale(pixels, name)
    scale = int(name[len("srresnet_x")])
    plain = bicubic_upscale(pixels, scale)
    assert result.shape == plain.shape
    assert np.abs(result.mean((0, 1)) - plain.mean((0, 1))).max() < TONE
    if kind in ("black", "white", "one pixel"):
        assert np.abs(result.astype(int) - plain.astype(int)).max() <= FLAT


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_threads_make_no_difference_that_shows(precision: str, threads: None) -> None:
    pixels = extremes()["noise"]
    results = []
    for count in (1, 2, 8):
        torch.set_num_threads(count)
        results.append(zoo.upscale(pixels, "srresnet_x2.psnr", precision=precision).astype(int))
    for other in results[1:]:
        assert np.abs(other - results[0]).max() <= 1


@settings(deadline=None, max_examples=20)
@given(turns=st.integers(0, 3), mirror=st.booleans(), seed=st.integers(0, 2**32 - 1))
def test_with_tta_a_turned_picture_gives_the_turned_result(
    turns: int, mirror: bool, seed: int
) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (13, 17, 3), np.uint8)
    model = small()

    def turned(array: np.ndarray) -> np.ndarray:
        return np.rot90(array[:, ::-1] if mirror else array, turns)

    one = zoo.upscale(np.ascontiguousarray(turned(pixels)), model, tta=True, precision="fp32")
    other = turned(zoo.upscale(pixels, model, tta=True, precision="fp32"))
    assert np.abs(one.astype(int) - other.astype(int)).max() <= 1


@settings(deadline=None, max_examples=20)
@given(data=st.data())
def test_opaque_stays_opaque_and_clear_stays_clear(data: st.DataObject) -> None:
    seed = data.draw(st.integers(0, 2**32 - 1))
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 256, (14, 12, 4), np.uint8)
    pixels[..., 3] = 255 * (random.random((14, 12)) < data.draw(st.floats(0, 1)))
    large = zoo.upscale(pixels, small(), precision="fp32")
    for level in (0, 255):
        plain = pixels[..., 3] == level
        deep = np.lib.stride_tricks.sliding_window_view(np.pad(plain, 1, mode="edge"), (3, 3))
        whole = np.kron(deep.all((2, 3)), np.ones((2, 2), bool))
        assert (large[..., 3][whole] == level).all()

"""Shipped weights on pictures that no camera takes, and on other numbers of threads."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

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

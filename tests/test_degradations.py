"""Degradations: each does what its name says, to the pixels of a photograph."""

from __future__ import annotations

from functools import partial
from typing import Any, get_args

import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from zoo.errors import InputError
from zoo.sr.data.imresize import bicubic_downscale
from zoo.sr.data.pairs import load_pair
from zoo.sr.degradations.blur import blur, disc_kernel, gaussian_kernel
from zoo.sr.degradations.compression import jpeg, jpeg_again, webp
from zoo.sr.degradations.named import NAMED
from zoo.sr.degradations.noise import bayer_noise, gaussian_noise, poisson_noise
from zoo.sr.degradations.shrink import Method, shrink


def photograph() -> NDArray[np.uint8]:
    return skimage.data.astronaut()[:203, 100:301]


def plain(level: int = 128) -> NDArray[np.uint8]:
    return np.full((256, 256, 3), level, np.uint8)


def error(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    return float(np.sqrt(np.mean((one.astype(float) - other) ** 2)))


# Blur


@pytest.mark.parametrize(
    ("kernel", "variances"),
    [
        (gaussian_kernel(1.5), (2.25, 2.25)),
        (gaussian_kernel(2, 0.8), (4, 0.64)),
        (gaussian_kernel(2, 0.8, angle=np.pi / 2), (0.64, 4)),
        (disc_kernel(3), (3**2 / 4, 3**2 / 4)),
    ],
)
def test_kernels_spread_as_far_as_they_say(kernel, variances):
    x = np.arange(len(kernel)) - len(kernel) // 2
    assert kernel.sum() == pytest.approx(1)
    assert len(kernel) % 2 == 1
    along_x, along_y = (kernel * x**2).sum(), (kernel * x[:, None] ** 2).sum()
    assert (along_x, along_y) == pytest.approx(variances, rel=0.08)


def test_a_turned_kernel_runs_along_its_diagonal():
    kernel = gaussian_kernel(3, 0.5, angle=np.pi / 4)
    diagonal, other = np.trace(kernel), np.trace(kernel[::-1])
    assert diagonal > 20 * (other - kernel[len(kernel) // 2, len(kernel) // 2]) > 0


@pytest.mark.parametrize("kernel", [gaussian_kernel(2, 0.7, 0.4), disc_kernel(2.5)])
def test_blurring_is_the_convolution(kernel):
    image = photograph()
    expected = ndimage.convolve(image.astype(float), kernel[..., None], mode="reflect")
    assert np.abs(blur(image, kernel) - expected).max() <= 0.501
    np.testing.assert_array_equal(blur(plain(), kernel), plain())


# Noise


@pytest.mark.parametrize("grey", [True, False])
@pytest.mark.parametrize("sigma", [5, 25])
def test_gaussian_noise_has_its_deviation(sigma, grey):
    noisy = gaussian_noise(plain(), sigma, np.random.default_rng(0), grey=grey)
    assert noisy.std() == pytest.approx(sigma, rel=0.02)
    assert noisy.mean() == pytest.approx(128, abs=0.3)
    assert (noisy[..., 0] == noisy[..., 1]).all() == grey


@pytest.mark.parametrize("grey", [True, False])
def test_photons_are_noisier_in_the_light(grey):
    for level in (16, 64, 128):
        noisy = poisson_noise(plain(level), 500, np.random.default_rng(0), grey=grey)
        assert noisy.var() == pytest.approx(level * 255 / 500, rel=0.05)
        assert noisy.mean() == pytest.approx(level, rel=0.01)
        assert (noisy[..., 0] == noisy[..., 1]).all() == grey


def test_a_bayer_sensors_noise_is_coarse_in_red_and_blue():
    noise = bayer_noise(plain(), 20, np.random.default_rng(0)).astype(float) - 128
    assert abs(noise.mean()) < 0.3
    # Where a colour was measured, its noise is untouched: red at even rows and columns.
    assert noise[1::2, 1::2, 0].std() == pytest.approx(20, rel=0.05)
    red, green, blue = (
        np.corrcoef(noise[:, 1:, c].ravel(), noise[:, :-1, c].ravel())[0, 1] for c in range(3)
    )
    assert min(red, blue) > green + 0.1 > 0.2
    assert abs(np.corrcoef(noise[..., 0].ravel(), noise[..., 2].ravel())[0, 1]) < 0.03


# Compression


@pytest.mark.parametrize("codec", [jpeg, webp, partial(jpeg, subsampling="4:4:4")])
def test_higher_quality_is_nearer_to_the_original(codec):
    errors = [error(codec(photograph(), quality), photograph()) for quality in (10, 40, 75, 95)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] > 0


def test_colours_are_kept_by_444():
    stripes = plain()
    stripes[:, ::2] = (255, 0, 0)
    full, half = (jpeg(stripes, 90, subsampling=s) for s in ("4:4:4", "4:2:0"))
    assert error(full, stripes) < 0.3 * error(half, stripes)


def edges_at(image: NDArray[np.uint8], offset: int) -> float:
    """Steps across every eighth column line, relative to those between all columns."""
    steps = np.abs(np.diff(image.astype(float), axis=1))
    return float(steps[:, offset - 1 :: 8].mean() / steps.mean())


def test_a_second_compression_has_its_own_blocks():
    smooth = blur(photograph()[:200, :200], gaussian_kernel(4))
    once, twice = jpeg(smooth, 20), jpeg_again(smooth, 10, 90, shift=(3, 5))
    assert edges_at(once, 8) > 1.5
    assert edges_at(twice, 3) > 1.5  # the first one's, 8 - 5
    assert edges_at(twice, 8) < edges_at(twice, 3)


# Shrinking


@pytest.mark.parametrize("method", get_args(Method))
@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_shrinking_keeps_the_place_and_the_light(method, scale):
    image = photograph()
    small = shrink(image, scale, method)
    assert small.shape == (203 // scale, 201 // scale, 3)
    assert small.dtype == np.uint8
    ramp = np.broadcast_to(np.arange(240, dtype=np.uint8)[:, None, None], (240, 240, 3))
    middle = shrink(ramp, scale, method)[4:-4, 0, 0].astype(float)
    expected = (np.arange(240 // scale) * scale + (scale - 1) / 2)[4:-4]
    assert np.abs(middle - expected).max() <= (0.5 if method == "nearest" else 0.51) + 0.5


def test_the_default_is_the_protocols():
    np.testing.assert_array_equal(shrink(photograph(), 2), bicubic_downscale(photograph(), 2))
    np.testing.assert_array_equal(shrink(photograph(), 1), photograph())


# Named ones


@pytest.mark.parametrize("scale", [1, 2, 4])
@pytest.mark.parametrize("name", NAMED)
def test_a_named_degradation_is_the_same_each_time(name, scale, tmp_path):
    degrade = NAMED[name]
    first, again = degrade(photograph(), scale), degrade(photograph().copy(), scale)
    np.testing.assert_array_equal(first, again)
    clean = shrink(photograph(), scale)
    assert first.shape == clean.shape
    assert 1 < error(first, clean) < 26
    Image.fromarray(photograph()).save(tmp_path / "a.png")
    pair = load_pair(tmp_path / "a.png", scale=scale, degrade=degrade)
    assert pair.input.shape[0] * scale == pair.target.shape[0]


@pytest.mark.parametrize("name", ["noise10", "noise25"])
def test_each_image_has_its_own_noise(name):
    one, other = plain(), plain()
    other[0, 0] = 127
    noise = [NAMED[name](image, 1).astype(float) - image for image in (one, other)]
    assert abs(np.corrcoef(noise[0].ravel(), noise[1].ravel())[0, 1]) < 0.02


REFUSED: dict[str, Any] = {
    "sigma is above 0": lambda rng: gaussian_kernel(0),
    "sigma is above 0 pixels, not -1": lambda rng: gaussian_kernel(2, -1),
    "radius is above 0": lambda rng: disc_kernel(-1),
    "sigma is 0 or more": lambda rng: gaussian_noise(plain(), -1, rng),
    "sigma is 0 or more levels of 255, not nan": lambda rng: bayer_noise(plain(), np.nan, rng),
    "3 channels, not 1": lambda rng: bayer_noise(plain()[..., :1], 1, rng),
    "more than 0 photons": lambda rng: poisson_noise(plain(), 0, rng),
    "1 to 100, not 101": lambda rng: jpeg(plain(), 101),
    "1 to 100, not 0": lambda rng: webp(plain(), 0),
    "is none of 4:4:4": lambda rng: jpeg(plain(), 50, subsampling="4:1:0"),
    "by 0 to 7 pixels": lambda rng: jpeg_again(plain(), 50, 50, shift=(8, 0)),
    "is none of matlab": lambda rng: shrink(plain(), 2, "hamming"),
}


@pytest.mark.parametrize(("sentence", "act"), REFUSED.items())
def test_what_is_out_of_range_is_told(sentence, act):
    with pytest.raises(InputError, match=sentence):
        act(np.random.default_rng(0))

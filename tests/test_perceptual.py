"""Distances between features, and what the spectrum tells, against images made for the purpose."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.data
import torch
from feature_distance import FeatureDistance
from spectrum import grid_power, top_octave
from torch.nn import functional as F

from zoo.errors import InputError
from zoo.pictures.picture import to_tensor
from zoo.sr.losses.feature_maps import FeatureMaps
from zoo.sr.losses.feature_nets import resnet50_to_layer2
from zoo.sr.measure.metrics import rgb_to_y

PHOTOGRAPH = skimage.data.astronaut()[:160, 180:308]
LUMA = rgb_to_y(PHOTOGRAPH)


@pytest.fixture(scope="module")
def distance() -> FeatureDistance:
    torch.manual_seed(0)
    return FeatureDistance(FeatureMaps(resnet50_to_layer2(None), ["relu", "layer1", "layer2"]))


def test_the_distance_by_hand(distance: FeatureDistance) -> None:
    sharp = to_tensor(PHOTOGRAPH)[None]
    blurred = F.avg_pool2d(sharp, 3, stride=1, padding=1)
    batch = distance(torch.cat([blurred, sharp]), torch.cat([sharp, sharp]))
    assert batch.shape == (2,)
    assert batch[1] == 0
    a, b = (distance.features(x) for x in (blurred, sharp))
    assert [a[name].shape[-1] for name in a] == [64, 32, 16]  # strides 2, 4 and 8
    cosine = [1 - F.cosine_similarity(a[name], b[name]).mean() for name in a]
    assert batch[0] == pytest.approx(2 * float(sum(cosine)) / 3, rel=1e-4)
    assert distance.between(PHOTOGRAPH, PHOTOGRAPH) == 0


def test_the_distance_grows_with_the_damage(distance: FeatureDistance) -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(size=PHOTOGRAPH.shape)
    noisy = [np.clip(PHOTOGRAPH + s * noise, 0, 255).astype(np.uint8) for s in (4, 12, 36)]
    distances = [distance.between(image, PHOTOGRAPH) for image in noisy]
    assert distances == sorted(distances)
    assert 0 < distances[0] < distances[2] < 4


@pytest.mark.parametrize(("wavelength", "fine"), [(2.5, True), (3.5, True), (5, False), (9, False)])
def test_the_top_octave_holds_waves_of_two_to_four_pixels(wavelength: float, fine: bool) -> None:
    wave = np.sin(2 * np.pi * np.arange(120) / wavelength)[:, None] * np.ones(90)
    total = ((wave * np.hanning(120)[:, None] * np.hanning(90)) ** 2).sum() * wave.size
    assert top_octave(wave) * wave.size / total == pytest.approx(float(fine), abs=0.01)


def test_blur_takes_the_top_octave_and_noise_adds_to_it() -> None:
    rng = np.random.default_rng(0)
    blurred = (LUMA[1:] + LUMA[:-1]) / 2
    assert top_octave(blurred) < 0.8 * top_octave(LUMA[1:])
    assert top_octave(LUMA + rng.normal(0, 10, LUMA.shape)) > 1.2 * top_octave(LUMA)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_a_grid_stands_out(scale: int) -> None:
    """A faint pattern that repeats every `scale` pixels, on a size that divides by nothing."""
    luma = LUMA[:157, :125]
    pattern = np.zeros_like(luma)
    pattern[::scale, ::scale] = 4
    plain, gridded = grid_power(luma, scale), grid_power(luma + pattern, scale)
    assert 0.2 < plain < 3
    assert gridded > 4 * plain
    assert grid_power(np.full((64, 64), 7.0), scale) == pytest.approx(1)
    assert grid_power(2 * luma, scale) == pytest.approx(plain, rel=1e-6)
    absolute = grid_power(luma, scale, relative=False)
    assert grid_power(2 * luma, scale, relative=False) == pytest.approx(4 * absolute, rel=1e-6)
    other = np.zeros_like(luma)
    other[::5, ::5] = 4  # of another period
    assert grid_power(luma + other, scale) < 2 * plain


def test_bad_input_is_one_sentence() -> None:
    for measure in (top_octave, lambda luma: grid_power(luma, 2)):
        with pytest.raises(InputError, match=r"luma \[H, W\] of 32 pixels a side or more"):
            measure(np.zeros((20, 40)))

"""Patches that are degraded anew: aligned with their targets, determined by the seed alone."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.data
import torch
from pydantic import ValidationError
from torch import Tensor

from zoo.errors import DataError
from zoo.sr.data.degraded import DegradedPatches
from zoo.sr.data.imresize import bicubic_downscale
from zoo.sr.data.pairs import Pair
from zoo.sr.degradations.shrink import shrink
from zoo.train.degradations import DegradationsSection

NEVER = {"clean": 0, "blur": 0, "noise": 0, "compression": 0, "shrink": ["matlab"]}


def patches(section: DegradationsSection, scale: int = 2) -> DegradedPatches:
    pairs = [
        Pair(name, image, bicubic_downscale(image, scale))
        for name, image in (
            ("astronaut", skimage.data.astronaut()[:240, :320]),
            ("cat", skimage.data.chelsea()[:200, :240]),
        )
    ]
    return DegradedPatches(pairs, scale=scale, degrade=section.apply)


def draw(source: DegradedPatches, seed: int, *, size: int = 6) -> tuple[Tensor, Tensor]:
    generator = torch.Generator()
    generator.manual_seed(seed)
    return source.batch(size, 24, generator, candidates=2)


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_without_degradations_the_input_is_the_shrunk_target(scale: int) -> None:
    inputs, targets = draw(patches(DegradationsSection(**NEVER), scale), 0)
    assert inputs.shape == (6, 3, 24, 24)
    assert targets.shape == (6, 3, 24 * scale, 24 * scale)
    for small, large in zip(inputs, targets, strict=True):
        image = (255 * large).round().byte().permute(1, 2, 0).numpy()
        expected = torch.from_numpy(shrink(image, scale).copy()).permute(2, 0, 1) / 255
        middle = (slice(None), slice(4, -4), slice(4, -4))  # borders see their neighbours
        torch.testing.assert_close(small[middle], expected[middle], rtol=0, atol=1.5 / 255)


def test_the_seed_determines_all() -> None:
    source = patches(DegradationsSection())
    for one, again in zip(draw(source, 7), draw(source, 7), strict=True):
        assert torch.equal(one, again)
    assert not torch.equal(draw(source, 7)[0], draw(source, 8)[0])


def test_each_patch_has_its_own_noise() -> None:
    section = DegradationsSection(**{**NEVER, "noise": 1, "photon_noise": 0, "bayer_noise": 0})
    plain = np.full((200, 200, 3), 128, np.uint8)
    source = DegradedPatches([Pair("plain", plain, plain)], scale=1, degrade=section.apply)
    inputs, targets = draw(source, 0)
    noise = (inputs - targets).flatten(1)
    assert noise.corrcoef().fill_diagonal_(0).abs().max() < 0.1
    sigmas = 255 * noise.std(1)
    assert 1 <= sigmas.min() < sigmas.max() < 27


def edges(image: Tensor) -> int:
    """The column, modulo 8, across which the steps are largest."""
    steps = image.diff(dim=2).abs().mean((0, 1))
    return int(torch.stack([steps[i::8].mean() for i in range(8)]).argmax())


def test_blocks_begin_anywhere() -> None:
    section = DegradationsSection(
        **{**NEVER, "compression": 1, "webp": 0, "twice": 0, "quality": (5, 5)}
    )
    inputs, _ = draw(patches(section), 3, size=40)
    assert len({edges(image) for image in inputs}) >= 6


ONE_EACH = {
    "blur": {"blur": 1},
    "uneven blur": {"blur": 1, "uneven_blur": 1, "defocus": 0},
    "defocus": {"blur": 1, "defocus": 1},
    "noise": {"noise": 1},
    "photons": {"noise": 1, "photon_noise": 1},
    "bayer": {"noise": 1, "photon_noise": 0, "bayer_noise": 1},
    "grey": {"noise": 1, "grey_noise": 1, "photon_noise": 0, "bayer_noise": 0},
    "jpeg": {"compression": 1, "webp": 0, "twice": 0},
    "twice": {"compression": 1, "webp": 0, "twice": 1},
    "webp": {"compression": 1, "webp": 1},
    "area": {"shrink": ["area"]},
}


@pytest.mark.parametrize("entries", ONE_EACH.values(), ids=ONE_EACH.keys())
def test_each_entry_has_an_effect(entries: dict[str, object]) -> None:
    image = skimage.data.astronaut()[:128, :128]
    section = DegradationsSection(**{**NEVER, **entries})
    degraded = section.apply(image, 2, np.random.default_rng(0))
    assert degraded.shape == (64, 64, 3)
    assert (degraded != bicubic_downscale(image, 2)).mean() > 0.2
    clean = DegradationsSection(**{**NEVER, **entries, "clean": 1})
    np.testing.assert_array_equal(
        clean.apply(image, 2, np.random.default_rng(0)), bicubic_downscale(image, 2)
    )


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        ({"blur": 1.1}, "less than or equal to 1"),
        ({"noise": -0.1}, "greater than or equal to 0"),
        ({"quality": (30, 101)}, "less than or equal to 100"),
        ({"quality": (60, 30)}, "the first bound is above the second"),
        ({"noise_sigma": (25, 1)}, "the first bound is above the second"),
        ({"blur_sigma": (0, 1)}, "greater than 0"),
        ({"shrink": []}, "at least 1 item"),
        ({"shrink": ["hamming"]}, "'matlab', 'bicubic'"),
        ({"jpg": 1}, "Extra inputs"),
    ],
)
def test_what_is_out_of_range_is_told(entry: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        DegradationsSection(**entry)


def test_a_photograph_below_patch_and_margin_is_named() -> None:
    source = patches(DegradationsSection())
    source.check_patch(84)
    with pytest.raises(DataError, match="cat is 120×100 .* of 85 pixels and 8 around it.* to 84 "):
        source.check_patch(85)

"""What the super-resolution benchmark measures, by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import skimage.data
from subjects import subjects

import zoo
from zoo.errors import OptionError
from zoo.sr.data.imresize import bicubic_upscale

MODEL = "srresnet_x2"  # which has weights for clean and for treated photographs
NOTHING = {"scale": None, "weights": None, "strength": None}


def small() -> np.ndarray:
    return skimage.data.astronaut()[60:100, 200:248]


def test_bicubic_has_no_weights() -> None:
    found = subjects("bicubic", **NOTHING)
    assert [subject.name for subject in found] == ["bicubic_x2", "bicubic_x4"]
    (one,) = subjects("bicubic", scale=3, weights=None, strength=None)
    np.testing.assert_array_equal(one.enlarge(small()), bicubic_upscale(small(), 3))
    assert one.facts == {"weights_sha256": None, "start_sha256": None}


@pytest.mark.parametrize("tag", ["psnr", "photo"])
def test_weights_enlarge_in_fp32(tag: str) -> None:
    name = f"{MODEL}.{tag}"
    for found in (*subjects(name, **NOTHING), *subjects(MODEL, **{**NOTHING, "weights": tag})):
        assert (found.name, found.scale) == (name, 2)
        assert found.facts["weights_sha256"] == zoo.get_weights(name).sha256
        expected = zoo.upscale(small(), name, precision="fp32")
        np.testing.assert_array_equal(found.enlarge(small()), expected)


def test_a_blend_and_a_choice_name_both_files() -> None:
    (blend,) = subjects(MODEL, **{**NOTHING, "strength": 0.5})
    (choice,) = subjects(f"{MODEL}.auto", **NOTHING)
    assert (blend.name, choice.name) == (f"{MODEL}.strength_0.5", f"{MODEL}.auto")
    for found in (blend, choice):
        shas = found.facts["weights_sha256"]
        assert shas == {
            f"{MODEL}.{tag}": zoo.get_weights(f"{MODEL}.{tag}").sha256 for tag in ("psnr", "photo")
        }
    expected = zoo.upscale(small(), MODEL, strength=0.5, precision="fp32")
    np.testing.assert_array_equal(blend.enlarge(small()), expected)
    assert choice.enlarge(small()).shape == (80, 96, 3)
    assert blend.facts["parameters"] == sum(p.numel() for p in zoo.load_model(MODEL).parameters())


def test_what_does_not_fit_is_one_sentence(tmp_path: Path) -> None:
    for arguments, sentence in (
        ({"model": MODEL, "scale": 4}, "srresnet_x2.psnr enlarges by 2, not by 4"),
        ({"model": f"{MODEL}.auto", "scale": 4}, "srresnet_x2.auto enlarges by 2, not by 4"),
        ({"model": "unet34"}, "unet34.carvana is no super-resolution model"),
    ):
        with pytest.raises(OptionError, match=sentence):
            subjects(**{**NOTHING, **arguments})

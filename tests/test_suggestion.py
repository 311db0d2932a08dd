"""Weights that are chosen for a photograph, or blended: `zoo.suggest`, `auto`, `strength`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
import torch
from commands import run
from numpy.typing import NDArray
from PIL import Image

import zoo
from zoo.errors import InputError, UnknownNameError
from zoo.inference.automatic import AutoUpscaler
from zoo.pictures.files import read_image
from zoo.pictures.large.reading import read_large
from zoo.registry import register_weights
from zoo.sr.degradations.blur import blur, gaussian_kernel
from zoo.sr.degradations.compression import jpeg
from zoo.sr.degradations.noise import gaussian_noise

MODEL, CLEAN, TREATED = "srresnet_x2", "srresnet_x2.psnr", "srresnet_x2.photo"
PHOTOGRAPHS = ("astronaut", "chelsea", "coffee")


@pytest.fixture(autouse=True)
def with_a_pair(request: pytest.FixtureRequest) -> None:
    """Where no such weights ship, other ones stand in for them: here the choice counts."""
    if TREATED not in zoo.list_weights(MODEL):
        request.getfixturevalue("own_registry")
        register_weights(replace(zoo.get_weights("srresnet_x2.perceptual"), name=TREATED))


def clean(name: str) -> NDArray[np.uint8]:
    """A photograph in which neither blocks nor noise of its past are left."""
    return blur(getattr(skimage.data, name)(), gaussian_kernel(1.0))


def noisy(pixels: NDArray[np.uint8], sigma: float) -> NDArray[np.uint8]:
    return gaussian_noise(pixels, sigma, np.random.default_rng(0), grey=True)


def small() -> NDArray[np.uint8]:
    return skimage.data.astronaut()[60:100, 200:248]


@pytest.mark.parametrize("sigma", [0, 10, 25])
@pytest.mark.parametrize("quality", [30, 50, 75, 85, 95, 100])
@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_files_get_weights_by_quality_and_noise(
    tmp_path: Path, name: str, quality: int, sigma: int
) -> None:
    file = tmp_path / "photo.jpg"
    Image.fromarray(noisy(clean(name), sigma)).save(file, quality=quality)
    suggestion = zoo.suggest(file, architecture=MODEL)
    treated = quality < 90 or sigma > 0
    assert suggestion.model == (TREATED if treated else CLEAN)
    word = f"JPEG of quality {quality}" if quality < 90 else "noise" if sigma else "clean"
    assert word in suggestion.reason


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_pixels_without_a_file_get_weights_by_what_is_seen(name: str) -> None:
    pixels = clean(name)
    for image, reason in (
        (pixels, "clean"),
        (jpeg(pixels, 95), "clean"),
        (jpeg(pixels, 40), "blocks of an earlier JPEG"),
        (noisy(pixels, 15), "noise of about 1"),
    ):
        for form in (image, Image.fromarray(image), image.astype(np.uint16) * 257):
            if isinstance(form, np.ndarray) or form.mode == "RGB":
                assert zoo.suggest(form, architecture=MODEL).reason.startswith(reason)


def test_alpha_and_grey_are_looked_at_by_their_colour() -> None:
    opaque = np.full((*clean("coffee").shape[:2], 1), 255, np.uint8)
    treated = jpeg(clean("coffee"), 30)
    for image in (np.dstack([treated, opaque]), treated[..., 1], treated[..., 1:2]):
        assert zoo.suggest(image, architecture=MODEL).model == TREATED


@pytest.mark.parametrize("treated", [False, True])
def test_auto_is_the_suggested_model(treated: bool) -> None:
    pixels = noisy(clean("chelsea")[:64, :80], 30 if treated else 0)
    name = TREATED if treated else CLEAN
    options: dict[str, Any] = {"precision": "fp32", "device": "cpu"}
    expected = zoo.upscale(pixels, name, **options)
    assert (zoo.upscale(pixels, f"{MODEL}.auto", **options) == expected).all()
    image = zoo.upscale(Image.fromarray(pixels), f"{MODEL}.auto", **options)
    assert (np.asarray(image) == expected).all()


def test_the_summary_says_which_and_why(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name, quality in (("a", 40), ("b", 40), ("c", 60), ("d", 95)):
        Image.fromarray(clean("coffee")[:48, :64]).save(
            tmp_path / "in" / f"{name}.jpg", quality=quality
        )
    result = run("upscale", tmp_path / "in", "-o", tmp_path / "out", "-m", f"{MODEL}.auto")
    assert result.status == 0, result.stderr
    assert f"3 by {TREATED}: a JPEG of quality 40 (2), a JPEG of quality 60 (1)" in result.stdout
    assert f"1 by {CLEAN}: clean (1)" in result.stdout


@pytest.mark.parametrize("strength", [0, 0.25, 1])
def test_strength_lies_between_the_two(strength: float) -> None:
    one, other = (zoo.load_model(name).state_dict() for name in (CLEAN, TREATED))
    for model in (MODEL, CLEAN, TREATED):
        blend = zoo.Upscaler(model, strength=strength, device="cpu").model.state_dict()
        for key, value in blend.items():
            expected = (1 - strength) * one[key] + strength * other[key]
            torch.testing.assert_close(value, expected, rtol=0, atol=1e-6)
    untouched = zoo.Upscaler(CLEAN, device="cpu").model.state_dict()
    assert all(torch.equal(untouched[key], one[key]) for key in one)


def test_strength_reaches_the_result(tmp_path: Path) -> None:
    Image.fromarray(small()).save(tmp_path / "a.png")
    ends = [zoo.upscale(small(), name) for name in (CLEAN, TREATED)]
    status = run(
        "upscale", tmp_path / "a.png", "-o", tmp_path / "b.png", "-m", MODEL, "--strength", 1
    ).status
    assert status == 0
    assert (np.asarray(Image.open(tmp_path / "b.png")) == ends[1]).all()
    assert (zoo.upscale(small(), MODEL, strength=0.0) == ends[0]).all()
    assert (zoo.upscale(small(), MODEL, strength=0.5) != ends[0]).any()


@pytest.mark.parametrize(
    ("act", "kind", "sentence"),
    [
        (lambda: zoo.upscale(small(), MODEL, strength=1.5), InputError, "not between 0"),
        (lambda: zoo.upscale(small(), MODEL, strength=float("nan")), InputError, "nan is not"),
        (
            lambda: zoo.upscale(small(), "srresnet_lesson_x2", strength=0.5),
            UnknownNameError,
            f"strength needs weights 'psnr' and 'photo', .* that have both: .*{MODEL}",
        ),
        (
            lambda: zoo.upscale(small(), "srresnet_x2.perceptual", strength=0.5),
            InputError,
            "blends the weights 'psnr' and 'photo'",
        ),
        (
            lambda: zoo.upscale(small(), zoo.create_model(MODEL), strength=0.5),
            InputError,
            "name the model, such as srresnet_x4, not SRResNet",
        ),
        (
            lambda: zoo.upscale(small(), f"{MODEL}.auto", strength=0.5),
            InputError,
            "strength has no meaning for 'srresnet_x2.auto'",
        ),
        (
            lambda: zoo.upscale(torch.rand(3, 8, 8), f"{MODEL}.auto"),
            InputError,
            "'auto' looks at photographs, not at tensors",
        ),
        (
            lambda: zoo.suggest(torch.rand(3, 8, 8), architecture=MODEL),
            InputError,
            "not for a Tensor: name the weights",
        ),
        (
            lambda: AutoUpscaler("srresnet_lesson_x2.auto"),
            UnknownNameError,
            "srresnet_lesson_x2.auto needs weights",
        ),
        (
            lambda: zoo.upscale(small(), "srresnet_x9.auto"),
            UnknownNameError,
            "which srresnet_x9 does not have",
        ),
    ],
)
def test_what_can_not_be_is_one_sentence(act: Any, kind: type[Exception], sentence: str) -> None:
    with pytest.raises(kind, match=sentence):
        act()


def test_a_picture_in_scratch_files_is_judged_as_in_memory(tmp_path: Path) -> None:
    pytest.importorskip("pyvips")
    upscaler = AutoUpscaler("srresnet_x2.auto", tile=32, precision="fp32")
    for name, pixels in (("clean", clean("astronaut")), ("noisy", noisy(clean("astronaut"), 15))):
        path = tmp_path / f"{name}.png"
        Image.fromarray(pixels[:60, :70]).save(path)
        large = read_large(path, tmp_path)
        centre = large.centre(20)
        np.testing.assert_array_equal(centre.pixels, pixels[20:40, 25:45])
        result = upscaler.large(large)
        assert result.pixels.shape == (120, 140, 3)
        assert upscaler.made[-1] == zoo.suggest(path, architecture="srresnet_x2")
        expected = upscaler.picture(read_image(path)).pixels
        np.testing.assert_array_equal(result.pixels[:, :], expected)
    assert {each.model for each in upscaler.made} == {CLEAN, TREATED}

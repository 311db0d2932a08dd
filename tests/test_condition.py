"""What is told of a photograph's past: JPEG quality, blocks and noise, by files and by pixels."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray
from PIL import Image

from zoo.pictures.condition import blocks, condition, noise
from zoo.pictures.files import read_image, write_image
from zoo.pictures.picture import Picture
from zoo.sr.degradations.blur import blur, gaussian_kernel
from zoo.sr.degradations.compression import jpeg
from zoo.sr.degradations.noise import gaussian_noise

PHOTOGRAPHS = {
    "astronaut": lambda: skimage.data.astronaut(),
    "cat": lambda: skimage.data.chelsea(),
    "coffee": lambda: skimage.data.coffee(),
    "rocket": lambda: skimage.data.rocket(),
}


@pytest.fixture(params=PHOTOGRAPHS)
def photograph(request: pytest.FixtureRequest) -> NDArray[np.uint8]:
    """Slightly blurred, so that neither blocks nor noise of its own past are left."""
    return blur(PHOTOGRAPHS[request.param](), gaussian_kernel(1.0))


def noisy(pixels: NDArray[np.uint8], sigma: float, *, grey: bool = True) -> NDArray[np.uint8]:
    return gaussian_noise(pixels, sigma, np.random.default_rng(0), grey=grey)


@pytest.mark.parametrize("subsampling", ["4:2:0", "4:4:4"])
@pytest.mark.parametrize("quality", [25, 30, 50, 75, 90, 95])
def test_the_quality_is_in_the_file(tmp_path: Path, quality: int, subsampling: str) -> None:
    file = tmp_path / "photo.jpg"
    Image.fromarray(skimage.data.chelsea()).save(file, quality=quality, subsampling=subsampling)
    assert condition(read_image(file)).quality == quality


def test_without_a_jpeg_there_is_no_quality(tmp_path: Path) -> None:
    for suffix in ("png", "webp", "tif"):
        Image.fromarray(skimage.data.chelsea()).save(tmp_path / f"photo.{suffix}")
        assert condition(read_image(tmp_path / f"photo.{suffix}")).quality is None


def test_the_quality_that_is_written_is_zoos(tmp_path: Path) -> None:
    Image.fromarray(skimage.data.chelsea()).save(tmp_path / "in.jpg", quality=20)
    write_image(read_image(tmp_path / "in.jpg"), tmp_path / "out.jpg", quality=90)
    assert read_image(tmp_path / "out.jpg").metadata.quality == 90


@pytest.mark.parametrize("shift", [(0, 0), (3, 5)])
def test_blocks_of_low_quality_stand_out(
    photograph: NDArray[np.uint8], shift: tuple[int, int]
) -> None:
    top, left = shift
    clean = condition(Picture(photograph)).blocks
    seen = [condition(Picture(jpeg(photograph, q)[top:, left:])).blocks for q in (20, 40)]
    assert clean < 0.02
    assert seen[0] > seen[1] > 0.05


def test_a_fence_has_no_blocks() -> None:
    fence = np.tile(np.repeat([60.0, 200.0], 4), (160, 20))
    assert blocks(fence) < 0.05
    assert blocks(fence.T) < 0.05


@pytest.mark.parametrize("sigma", [0, 5, 10, 25])
def test_noise_is_measured(photograph: NDArray[np.uint8], sigma: int) -> None:
    measured = condition(Picture(noisy(photograph, sigma))).noise
    assert 0.8 * sigma - 0.5 < measured < sigma + 2.5


def test_16_bits_and_grey_are_measured_alike(photograph: NDArray[np.uint8]) -> None:
    pixels = noisy(photograph, 10)
    eight, deep = (condition(Picture(p)) for p in (pixels, pixels.astype(np.uint16) * 257))
    assert (deep.noise, deep.blocks) == pytest.approx((eight.noise, eight.blocks))
    luma = (pixels @ np.array([0.299, 0.587, 0.114])).round().astype(np.uint8)
    grey = condition(Picture(luma[..., None]))
    assert grey.noise == pytest.approx(eight.noise, rel=0.05)


def test_clipped_parts_do_not_count() -> None:
    """Noise in a night sky is cut off at black."""
    night = np.zeros((256, 256, 3), np.uint8)
    night[:, 128:] = 90
    assert noise(noisy(night, 10)[..., 0].astype(float)) > 7


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (9, 9), (40, 30)])
def test_any_size_can_be_looked_at(shape: tuple[int, int]) -> None:
    found = condition(Picture(np.full((*shape, 3), 128, np.uint8)))
    assert found.noise == found.blocks == 0


def test_a_pil_image_tells_its_quality() -> None:
    from zoo.pictures.pillow import from_pil

    file = io.BytesIO()
    Image.fromarray(skimage.data.chelsea()).save(file, "JPEG", quality=40)
    assert condition(from_pil(Image.open(file))).quality == 40

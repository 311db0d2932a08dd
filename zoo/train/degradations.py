"""The recipe's degradations: what happens to a photograph before the network sees it."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Field

from zoo.sr.degradations.blur import Kernel, blur, disc_kernel, gaussian_kernel
from zoo.sr.degradations.compression import Subsampling, jpeg, jpeg_again, webp
from zoo.sr.degradations.noise import bayer_noise, gaussian_noise, poisson_noise
from zoo.sr.degradations.shrink import Method, shrink
from zoo.train.recipe import Section

Image = NDArray[np.uint8]


def _rising(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[0] > bounds[1]:
        raise ValueError("the first bound is above the second")
    return bounds


Chance = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Quality = Annotated[int, Field(ge=1, le=100)]
Range = Annotated[tuple[Positive, Positive], AfterValidator(_rising)]
Qualities = Annotated[tuple[Quality, Quality], AfterValidator(_rising)]


class DegradationsSection(Section):
    """Chances in [0, 1], and ranges from which values are drawn evenly.

    `clean` patches are only shrunk, as the benchmarks are. All others are blurred, shrunk, made
    noisy and compressed, each by its chance. `blur_sigma` is in pixels of the small image,
    `noise_sigma` in levels of 255, `photons` the count for white, `quality` that of JPEG and WebP.
    """

    clean: Chance = 0.1
    blur: Chance = 0.6
    blur_sigma: Range = (0.2, 1.0)
    uneven_blur: Chance = 0.3  # of blurs: other sigmas along two axes
    defocus: Chance = 0.1  # of blurs: a disc
    shrink: tuple[Method, ...] = Field(
        ("matlab", "bicubic", "bilinear", "area", "lanczos"), min_length=1
    )
    noise: Chance = 0.6
    noise_sigma: Range = (1.0, 25.0)
    grey_noise: Chance = 0.3  # of noises: the same in all channels
    photon_noise: Chance = 0.2  # of noises
    photons: Range = (100.0, 2000.0)
    bayer_noise: Chance = 0.2  # of noises
    compression: Chance = 0.8
    quality: Qualities = (30, 95)
    webp: Chance = 0.1  # of compressions
    twice: Chance = 0.2  # of JPEGs
    full_colour: Chance = 0.3  # of JPEGs: 4:4:4 instead of 4:2:0

    def apply(self, image: Image, scale: int, rng: np.random.Generator) -> Image:
        """Degrade a photograph `[scale·H, scale·W, 3]` to `[H, W, 3]`, both uint8."""
        if rng.random() < self.clean:
            return shrink(image, scale)
        if rng.random() < self.blur:
            image = blur(image, self._kernel(scale, rng))
        image = shrink(image, scale, self.shrink[rng.integers(len(self.shrink))])
        if rng.random() < self.noise:
            image = self._noisy(image, rng)
        if rng.random() < self.compression:
            image = self._compressed(image, rng)
        return image

    def _kernel(self, scale: int, rng: np.random.Generator) -> Kernel:
        sigma, other = scale * rng.uniform(*self.blur_sigma, 2)
        kind = rng.random()
        if kind < self.defocus:
            return disc_kernel(2 * sigma)  # of the same variance
        if kind < self.defocus + self.uneven_blur:
            return gaussian_kernel(sigma, other, angle=rng.uniform(0, np.pi))
        return gaussian_kernel(sigma)

    def _noisy(self, image: Image, rng: np.random.Generator) -> Image:
        grey, kind = bool(rng.random() < self.grey_noise), rng.random()
        if kind < self.photon_noise:
            return poisson_noise(image, rng.uniform(*self.photons), rng, grey=grey)
        sigma = rng.uniform(*self.noise_sigma)
        if kind < self.photon_noise + self.bayer_noise:
            return bayer_noise(image, sigma, rng)
        return gaussian_noise(image, sigma, rng, grey=grey)

    def _compressed(self, image: Image, rng: np.random.Generator) -> Image:
        low, high = self.quality
        first, second = (int(quality) for quality in rng.integers(low, high + 1, 2))
        if rng.random() < self.webp:
            return webp(image, first)
        subsampling: Subsampling = "4:4:4" if rng.random() < self.full_colour else "4:2:0"
        if rng.random() < self.twice:
            top, left = (int(offset) for offset in rng.integers(8, size=2))
            return jpeg_again(image, first, second, shift=(top, left), subsampling=subsampling)
        return jpeg(image, first, subsampling=subsampling)

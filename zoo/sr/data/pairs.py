"""Photographs with their degraded versions, kept decoded, and training batches cut from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from zoo.errors import DataError
from zoo.pictures.files import read_rgb
from zoo.sr.data.imresize import bicubic_downscale, crop_to_multiple, imresize

# (image [H, W, 3] uint8, scale) -> degraded image [H / scale, W / scale, 3] uint8
Degradation = Callable[[NDArray[np.uint8], int], NDArray[np.uint8]]


class Pair(NamedTuple):
    """A photograph, uint8 `[scale·H, scale·W, 3]`, and its degraded version, uint8 `[H, W, 3]`.

    A target of 6 channels holds a second image, such as a teacher's result, after the photograph.
    """

    name: str
    target: NDArray[np.uint8]
    input: NDArray[np.uint8]


def load_pair(
    file: Path,
    *,
    scale: int,
    degrade: Degradation = bicubic_downscale,
    inputs: Path | None = None,
    share: float = 1.0,
) -> Pair:
    """Reads a photograph; its degraded version comes from the folder `inputs` or from `degrade`.

    The photograph is shrunk to `share` of its sides, then cropped at the right and bottom to a
    multiple of `scale`.

    Raises:
        DataError: a file is unreadable, lacks its partner or does not fit it; it is named.
    """
    target = read_rgb(file)
    if share != 1:
        height, width = (max(1, round(side * share)) for side in target.shape[:2])
        target = imresize(target, (height, width))
    target = crop_to_multiple(target, scale)
    if inputs is None:
        degraded = degrade(target, scale)
    elif (partner := inputs / file.name).is_file():
        degraded = read_rgb(partner)
    else:
        raise DataError(f"{file} has no partner {partner}.")
    expected = (target.shape[0] // scale, target.shape[1] // scale)
    if degraded.shape[:2] != expected or 0 in expected:
        raise DataError(
            f"{file}: at scale {scale} its degraded version must be "
            f"{expected[1]}×{expected[0]}, not {degraded.shape[1]}×{degraded.shape[0]}."
        )
    return Pair(file.name, target, degraded)


class PairedPatches:
    """Random aligned patches of photographs and their degraded versions.

    All inputs are one uint8 tensor `[pixels, 3]`, all targets another (with 3 or 6 channels). A
    batch is one gather from each: flips and turns only reorder the indices, so training decodes
    nothing and has no loop over images.

    Args:
        pairs: see `load_pair`. Any degradation works, also denoising or colouring with scale 1.
        scale: target pixels per input pixel, along a side.
        device: where the pixels are kept and the batches cut.

    Raises:
        DataError: `pairs` is empty.
    """

    margin = 0  # input pixels that are cut around a patch

    def __init__(
        self, pairs: Sequence[Pair], *, scale: int, device: torch.device | str = "cpu"
    ) -> None:
        if not pairs:
            raise DataError("There are no images to cut patches from.")
        self.scale = scale
        self.device = torch.device(device)
        self.names = [pair.name for pair in pairs]
        self.inputs = self._flatten([pair.input for pair in pairs])
        self.targets = self._flatten([pair.target for pair in pairs])
        self.sizes = torch.tensor([pair.input.shape[:2] for pair in pairs], device=self.device)
        area = self.sizes.prod(dim=1)
        self.starts = area.cumsum(0) - area  # first pixel of each image in `inputs`

    def _flatten(self, images: list[NDArray[np.uint8]]) -> Tensor:
        flat = np.concatenate([image.reshape(-1, image.shape[-1]) for image in images])
        return torch.from_numpy(flat).to(self.device)  # [pixels, channels]

    def check_patch(self, patch: int) -> None:
        """Raises DataError, with the file's name, if an input is smaller than the patch with its
        margin.
        """
        around = 2 * self.margin
        extra = f" and {self.margin} around it" if around else ""
        largest = int(self.sizes.min()) - around
        for name, (height, width) in zip(self.names, self.sizes.tolist(), strict=True):
            if min(height, width) < patch + around:
                raise DataError(
                    f"{name} is {width}×{height} at the network's input, smaller than the patch of"
                    f" {patch} pixels{extra}: leave it out, or set patch to {largest} at most."
                )

    @cached_property
    def misses(self) -> Tensor:
        """Mean absolute error of bilinear enlargement over the target pixels of each input pixel:
        float32 `[input pixels]`, in [0, 255].
        """
        missed = torch.empty(len(self.inputs), device=self.device)
        for start, (height, width) in zip(self.starts.tolist(), self.sizes.tolist(), strict=True):
            end, scale = start + height * width, self.scale
            x = self.inputs[start:end].view(1, height, width, 3).permute(0, 3, 1, 2).float()
            target = self.targets[start * scale**2 : end * scale**2, :3]
            y = target.reshape(1, height * scale, width * scale, 3).permute(0, 3, 1, 2)
            error = (F.interpolate(x, scale_factor=scale, mode="bilinear") - y).abs().mean(1)
            missed[start:end] = F.avg_pool2d(error, scale).flatten()
        return missed

    def batch(
        self, size: int, patch: int, generator: torch.Generator, *, candidates: int = 1
    ) -> tuple[Tensor, Tensor]:
        """Cuts `size` patches, each from a random image, at a random place, flipped and turned.

        Args:
            size: patches in the batch.
            patch: side of the input patch in pixels.
            generator: its state alone determines the batch.
            candidates: random places tried for each patch. The one where bilinear enlargement has
                the largest error is taken, for it has more to learn (after Wang et al.,
                "SamplingAug", arXiv:2111.15185).

        Returns:
            inputs `[size, 3, patch, patch]` and targets `[size, 3 or 6, scale·patch, scale·patch]`,
            float32 in [0, 1], on the device of the pixels.
        """

        def uniform(*shape: int) -> Tensor:
            drawn = torch.rand(
                *shape, size, generator=generator, device=generator.device, dtype=torch.float64
            )
            return drawn.to(self.device)

        image = (uniform() * len(self.names)).long()
        height, width = self.sizes[image].unbind(1)
        top = (uniform(candidates) * (height - patch + 1)).long()  # [candidates, size]
        left = (uniform(candidates) * (width - patch + 1)).long()
        if candidates > 1:
            best = self._missed(image, top, left, patch).argmax(dim=0, keepdim=True)
            top, left = top.gather(0, best), left.gather(0, best)
        top, left = top[0], left[0]
        flips = torch.stack([uniform() < 0.5 for _ in range(3)])  # rows, columns, transpose

        inputs = gather(self.inputs, self.starts[image], width, top, left, flips, patch)
        scale = self.scale
        start = self.starts[image] * scale**2
        targets = gather(
            self.targets, start, width * scale, top * scale, left * scale, flips, patch * scale
        )
        return inputs, targets

    def _missed(self, image: Tensor, top: Tensor, left: Tensor, patch: int) -> Tensor:
        """Sums of `misses` over the patches at `top` and `left`, `[candidates, size]`."""
        line = torch.arange(patch, device=self.device)
        width = self.sizes[image, 1]
        corner = self.starts[image] + top * width + left
        offsets = line[:, None] * width[:, None, None] + line  # [size, patch, patch]
        return self.misses[corner[..., None, None] + offsets].sum((-2, -1))


def gather(
    pixels: Tensor,
    start: Tensor,
    width: Tensor,
    top: Tensor,
    left: Tensor,
    flips: Tensor,
    patch: int,
) -> Tensor:
    """Cuts N patches from flat uint8 pixels `[P, C]`: float32 `[N, C, patch, patch]` in [0, 1].

    `start`, `width`, `top`, `left`: `[N]`. `flips`: bool `[3, N]`, for rows, columns, transpose.
    """
    line = torch.arange(patch, device=pixels.device)
    flip_rows, flip_columns, transpose = flips[:, :, None]
    rows = torch.where(flip_rows, line.flip(0), line)  # [N, patch]
    columns = torch.where(flip_columns, line.flip(0), line)
    upright = rows[:, :, None] * width[:, None, None] + columns[:, None, :]
    turned = rows[:, None, :] * width[:, None, None] + columns[:, :, None]
    index = torch.where(transpose[..., None], turned, upright)  # [N, patch, patch]
    index += (start + top * width + left)[:, None, None]
    return pixels[index].permute(0, 3, 1, 2) / 255

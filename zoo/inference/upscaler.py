"""Super-resolution of pictures, arrays and tensors of any size with any model that has a scale."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from zoo.errors import InputError
from zoo.inference.blending import place_blend
from zoo.inference.device import memory_budget, pick_precision
from zoo.inference.enlarging import Enlarging, has_two_steps
from zoo.inference.inputs import check_array, check_tensor
from zoo.inference.openvino import in_runtime
from zoo.inference.placement import in_eval_mode, label_of, place
from zoo.inference.rescue import NotFiniteError, smaller, wider
from zoo.inference.tile_sizes import check_memory, least_sides, sides
from zoo.inference.tiling import Progress, Read, Write, run_tiled
from zoo.pictures.large.picture import LargePicture, new_large, without_memory
from zoo.pictures.picture import Array, Picture, fill_transparent, to_pixels, to_tensor
from zoo.pictures.planes import Planes, is_grey
from zoo.sources import Name

_EXAMPLE = 48, 40  # rows, columns


class Upscaler:
    """A super-resolution model, set up once to run on many pictures.

    model: a registered name ("srresnet_x4", "srresnet_x4.psnr"), a folder that `save_model` wrote,
        "hf-hub:org/repo@revision", an ONNX file that `export_model` wrote, or a module with the
        attribute `scale` and, for tiles, `halo` (input pixels) and `peak_floats` (per input pixel).
        Registered models are loaded once. A module runs in eval mode on its own device, or as a
        copy on `device`; it stays as it was. Files run on the CPU in fp32.
    tile: largest side of the tiles in input pixels; "auto" for as large as the memory budget
        allows; None for the whole picture at once. Files of bounded size bound it, too.
    precision: "fp32", "bf16", "fp16" (GPU only), or "auto", see
        `zoo.inference.device.pick_precision`.
    tta: average over the eight flips and rotations; eight times the work.
    device: "auto", "cpu", "cuda", "cuda:1", "mps", ...
    memory: bytes that the process is to stay within; it bounds the tiles, see
        `zoo.inference.device.memory_budget`.
    runtime: "torch", or "openvino" on the CPU, which takes some seconds to begin and needs the
        extra of that name.
    strength: from 0 to 1, for a registered model with weights "psnr" and "photo": how far its
        weights go from the first, for clean photographs, to the second, which clean most.

    Raises InputError for the arguments and for a memory too small for a tile, UnknownNameError and
    WeightsError for the model.
    """

    def __init__(
        self,
        model: Name | nn.Module = "srresnet_x4",
        *,
        tile: int | str | None = "auto",
        precision: str = "auto",
        tta: bool = False,
        device: str | torch.device = "auto",
        strength: float | None = None,
        memory: int | None = None,
        runtime: str = "torch",
    ) -> None:
        number = isinstance(tile, int) and not isinstance(tile, bool)
        if tile not in ("auto", None) and not (number and int(tile) > 0):
            raise InputError(f"tile={tile!r} is none of 'auto', None and a number from 1 up.")
        if strength is None:
            self.model, self.device = place(model, device)
        else:
            self.model, self.device = place_blend(model, strength, device)
        only = getattr(self.model, "precision", None)
        self.dtype = pick_precision(precision, self.device, only=only)
        scale = getattr(self.model, "scale", None)
        if not isinstance(scale, int):
            raise InputError(
                f"{label_of(model)} is no super-resolution model: it has no `scale`; zoo.segment"
                " takes models that find objects."
            )
        self.scale = scale
        self.model = in_runtime(
            self.model,
            runtime,
            device=self.device,
            dtype=self.dtype,
            example=torch.rand(1, 3, *_EXAMPLE),
        )
        self.can_change_dtype = only is None and runtime == "torch"
        self.tile = tile
        self.largest: int | None = None  # side of tiles, once larger ones have exceeded the memory
        # A module of the user's own may lack what tiles need.
        if number and not hasattr(self.model, "halo"):
            raise InputError(f"tile={tile} needs a model that tells its `halo`.")
        if tile == "auto" and not (
            hasattr(self.model, "halo") and hasattr(self.model, "peak_floats")
        ):
            self.tile = None
        self.tta = tta
        self.memory = memory
        if memory is not None and self.device.type != "cuda":
            check_memory(
                memory,
                self.model,
                tile=self.tile,
                two_steps=has_two_steps(self.model) and not tta,
                dtype=self.dtype,
            )

    def picture(self, picture: Picture, progress: Progress | None = None) -> Picture:
        """Enlarge a picture; its profile, metadata, dtype, channels and format are kept.

        RGB whose channels are equal, a grey photograph stored as RGB, stays so.

        The network enlarges alpha too, as a grey picture, so that the edge of a cutout is as sharp
        as its contents. Alpha is clamped to the range of its neighbourhood, so that opaque areas
        stay opaque.
        """
        if picture.alpha is None:
            return replace(picture, pixels=self._pixels(picture.pixels, progress))
        pixels = self._pixels(picture.pixels, _share(progress, 0, 2))
        alpha = self._pixels(picture.alpha[..., None], _share(progress, 1, 2), within=True)
        return replace(picture, pixels=pixels, alpha=alpha[..., 0])

    def large(self, picture: LargePicture, progress: Progress | None = None) -> LargePicture:
        """Enlarge a picture in scratch files into others beside them; see `picture`.

        Raises ImageError if their folder can't hold the result.
        """
        height, width = (length * self.scale for length in picture.pixels.shape[:2])
        result = new_large(without_memory(picture.about, height, width), picture.pixels.folder)
        pairs = list(zip(picture.planes, result.planes, strict=True))
        with result.closed_if_failed():
            for index, (source, target) in enumerate(pairs):
                part = _share(progress, index, len(pairs))
                self._enlarge(source, target, part, within=index > 0)
        return result

    def array(self, array: Array, progress: Progress | None = None) -> Array:
        """Enlarge `[H, W]` (grey) or `[H, W, 1 | 3 | 4]` (grey, RGB, RGBA), uint8 or uint16.

        The layout and the dtype are kept. Raises InputError for other arrays.
        """
        channels = check_array(array)
        if channels == 4:
            colour = fill_transparent(array[..., :3], array[..., 3])
            large = self.picture(Picture(colour, array[..., 3]), progress)
            return np.dstack([large.pixels, cast(Array, large.alpha)])
        planes = array.reshape(*array.shape[:2], channels)
        large = self.picture(Picture(planes), progress)
        return large.pixels if array.ndim == 3 else large.pixels[..., 0]

    def tensor(self, tensor: Tensor, progress: Progress | None = None) -> Tensor:
        """Enlarge `[C, H, W]` or `[N, C, H, W]` float in [0, 1], C = 1 or 3, image by image.

        The result is clamped to [0, 1]. Raises InputError for other tensors.
        """
        check_tensor(tensor)
        images = tensor if tensor.ndim == 4 else tensor[None]
        count, channels, height, width = images.shape
        size = (count, channels, height * self.scale, width * self.scale)
        result = torch.empty(size, dtype=tensor.dtype, device=tensor.device)
        for index, (source, target) in enumerate(zip(images, result, strict=True)):
            self._planes(source, target, _share(progress, index, count))
        return result if tensor.ndim == 4 else result[0]

    def _planes(self, source: Tensor, target: Tensor, progress: Progress | None) -> None:
        """Enlarge `[C, H, W]` into `[C, scale·H, scale·W]`; equal channels stay equal."""
        source = source[:1] if (source == source[:1]).all() else source

        def read(rows: slice, columns: slice) -> Tensor:
            return source[:, rows, columns].float()

        def write(rows: slice, columns: slice, part: Tensor) -> None:
            target[:, rows, columns] = part.clamp(0, 1)

        height, width = source.shape[1:]
        self._run(read, write, height, width, progress)

    def _pixels(self, pixels: Array, progress: Progress | None, *, within: bool = False) -> Array:
        """Enlarge `[H, W, C]`."""
        height, width, channels = pixels.shape
        result = np.empty((height * self.scale, width * self.scale, channels), pixels.dtype)
        self._enlarge(pixels, result, progress, within=within)
        return result

    def _enlarge(
        self, source: Planes, target: Planes, progress: Progress | None, *, within: bool = False
    ) -> None:
        """Enlarge `[H, W, C]`; only one tile at a time is float, for a result can be gigabytes."""
        height, width, channels = source.shape
        if is_grey(source):
            channels = 1  # colours come from colours alone

        def read(rows: slice, columns: slice) -> Tensor:
            return to_tensor(source[rows, columns][..., :channels])

        def write(rows: slice, columns: slice, part: Tensor) -> None:
            target[rows, columns] = to_pixels(part, target.dtype)

        self._run(read, write, height, width, progress, within=within)

    def _run(
        self,
        read: Read,
        write: Write,
        height: int,
        width: int,
        progress: Progress | None,
        *,
        within: bool = False,
    ) -> None:
        """Enlarge tile by tile; what fails for its precision or for memory begins anew."""
        model = in_eval_mode(self.model)
        tile, piece = sides(
            model,
            height,
            width,
            tile=self.tile,
            two_steps=has_two_steps(model) and not self.tta,
            dtype=self.dtype,
            budget=memory_budget(self.device, self.memory),
        )
        tile = min(tile, self.largest or tile)
        while True:
            enlarging = Enlarging(
                model,
                scale=self.scale,
                device=self.device,
                dtype=self.dtype,
                tta=self.tta,
                within=within,
            )
            try:
                with torch.inference_mode():
                    run_tiled(
                        enlarging.begin,
                        enlarging.finish,
                        read,
                        write,
                        height=height,
                        width=width,
                        tile=tile,
                        halo=cast(int, getattr(model, "halo", 0)),
                        scale=self.scale,
                        piece=min(piece, tile),
                        least=least_sides(model),
                        progress=progress,
                    )
                return
            except NotFiniteError:
                self.dtype = wider(self.dtype, can_change=self.can_change_dtype)
            except RuntimeError as error:
                can_tile = hasattr(model, "halo")
                tile = self.largest = smaller(tile, error, self.device, can_tile=can_tile)


def _share(progress: Progress | None, index: int, count: int) -> Progress | None:
    """Return the progress callback of job `index` out of `count` equal jobs."""
    return progress and (lambda share: progress((index + share) / count))

"""An exported ONNX file as a model: ONNX Runtime computes, Upscaler and Segmenter do the rest."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.errors import InputError, MissingDependencyError, WeightsError
from zoo.facts import Told, read_facts
from zoo.graph import Sides
from zoo.model import check_images

_LINE = 120  # characters of the runtime's message


class OnnxModel(nn.Module):
    """Runs a file that `zoo.export_model` wrote, on the CPU and in fp32.

    It has the attributes that `zoo.Upscaler` and `zoo.Segmenter` read from other models, from the
    file's metadata: `in_chans`, and `scale`, `halo`, `peak_floats`, `classes`, `image_size` where
    the model told them. A file whose sizes somebody fixed is taken, too.

    heights, widths: those that the file takes. A smaller image is padded by replication at the
        bottom and on the right, and the result is cropped.
    precision: the only one in which it computes.
    metadata: all that the file says of itself, unchecked.

    Shape: float `[N, in_chans, H, W]` in [0, 1] → float `[N, 3, scale·H, scale·W]`, or logits
    `[N, classes, H, W]`.

    Raises:
        WeightsError: the file is missing, damaged or none of zoo's, or its result is not what its
            metadata say.
        MissingDependencyError: ONNX Runtime is not installed.
        InputError: the tensor has another shape or dtype, or is larger than the file takes.
    """

    precision = "fp32"

    def __init__(self, file: str | os.PathLike[str]) -> None:
        super().__init__()
        self.file = Path(file)
        self.session = _open(self.file)
        try:  # a name that is no UTF-8 is a ValueError, too
            self.metadata: dict[str, str] = self.session.get_modelmeta().custom_metadata_map
            told = read_facts(self.metadata)
            self.heights, self.widths = _sizes(self.session, told)
            self._input = self.session.get_inputs()[0].name
        except ValueError as error:
            raise WeightsError(
                f"{self.file} is none of the ONNX files that `zoo export` of this version writes"
                f" and zoo reads: {error}."
            ) from error
        self.in_chans = told.channels
        for name in ("scale", "halo", "peak_floats", "classes", "image_size"):
            if (number := getattr(told, name)) is not None:
                setattr(self, name, number)
        self._batch = self.session.get_inputs()[0].shape[0]
        self.eval()

    def __reduce__(self) -> tuple[type[OnnxModel], tuple[Path]]:
        """A copy, in this process or in another, opens the file again."""
        return type(self), (self.file.absolute(),)

    def square(self, side: int, *, asked: bool) -> int:
        """Return the side of square images to give to the file, the nearest to `side`.

        asked: whether a user wants `side` and no other. Raises InputError if it can't be had.
        """
        least = max(self.heights.least, self.widths.least)
        bounds = [sides.most for sides in (self.heights, self.widths) if sides.most is not None]
        squares = Sides(least, min(bounds, default=None))
        if squares.most is not None and squares.most < least:
            raise InputError(
                f"{self.file} takes heights {self.heights} and widths {self.widths}, but pictures"
                " are segmented as squares: export the model without such bounds."
            )
        if asked and squares.nearest(side) != side:
            raise InputError(f"size={side} is not among what {self.file} takes: {squares}.")
        return squares.nearest(side)

    def forward(self, x: Tensor) -> Tensor:
        check_images(x, self.in_chans)
        height, width = x.shape[2:]
        for side, sides, axis in (
            (height, self.heights, "heights"),
            (width, self.widths, "widths"),
        ):
            if sides.most is not None and side > sides.most:
                raise InputError(
                    f"{self.file} takes {axis} {sides}, not {side}; tile='auto' cuts larger"
                    " pictures into tiles."
                )
        missing = max(self.heights.least - height, 0), max(self.widths.least - width, 0)
        if any(missing):
            x = F.pad(x, (0, missing[1], 0, missing[0]), mode="replicate")
        parts = torch.split(x, 1 if self._batch == 1 else max(len(x), 1))
        scale = int(getattr(self, "scale", 1))
        result = torch.cat([self._run(part) for part in parts])
        return result[..., : scale * height, : scale * width].to(x.device)

    def _run(self, images: Tensor) -> Tensor:
        """Return the file's result for images of a size that it takes, checked for its shape."""
        array = images.detach().to("cpu", torch.float32).contiguous().numpy()
        try:
            result = torch.from_numpy(self.session.run(None, {self._input: array})[0])
        except Exception as error:  # the runtime's are of many types
            if "alloc" in str(error):
                raise MemoryError(_reason(error)) from error
            raise WeightsError(f"{self.file} can't be computed ({_reason(error)}).") from error
        scale = int(getattr(self, "scale", 1))
        count, _, height, width = images.shape
        maps = 3 if hasattr(self, "scale") else getattr(self, "classes", result.shape[1])
        if result.shape != (count, maps, scale * height, scale * width):
            raise WeightsError(
                f"{self.file} is not what its metadata say: its result is {list(result.shape)}."
            )
        return result


def _open(file: Path) -> Any:
    """Return ONNX Runtime's session for a file."""
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingDependencyError(
            f"{file} needs onnxruntime: pip install 'zoo-models[export]'."
        ) from error
    if not file.is_file():
        raise WeightsError(f"There is no ONNX file {file}.")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 4  # what goes wrong is raised, too
    # Tiles have several sizes: memory that is kept from one fits no other.
    options.enable_cpu_mem_arena = options.enable_mem_pattern = False
    try:
        return onnxruntime.InferenceSession(
            os.fspath(file), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # the runtime's are of many types
        raise WeightsError(
            f"{file} is not a whole ONNX file ({_reason(error)}); accepted are files that"
            " `zoo export` writes."
        ) from error


def _sizes(session: Any, told: Told) -> tuple[Sides, Sides]:
    """Return the heights and widths that a file takes by its metadata and by its graph.

    Raises ValueError for a graph with other inputs or outputs than an exported model has.
    """
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if len(inputs) != 1 or len(outputs) != 1:
        raise ValueError("it has other inputs and outputs than one image and one result")
    if {inputs[0].type, outputs[0].type} != {"tensor(float)"}:
        raise ValueError("its input and output are not float32")
    if len(inputs[0].shape) != 4 or len(outputs[0].shape) != 4:
        raise ValueError("its input and output are not [batch, channels, height, width]")
    batch, channels, *axes = inputs[0].shape
    if channels != told.channels:
        raise ValueError(f"it takes {channels} channels and its metadata say {told.channels}")
    if isinstance(batch, int) and batch != 1:
        raise ValueError(f"it takes batches of {batch} images only, not single ones")
    heights, widths = (
        Sides(size, size) if isinstance(size, int) else sides
        for size, sides in zip(axes, (told.heights, told.widths), strict=True)
    )
    for fixed, sides in ((heights, told.heights), (widths, told.widths)):
        if sides.nearest(fixed.least) != fixed.least:
            raise ValueError(f"its size of {fixed.least} is not among those of its metadata")
    return heights, widths


def _reason(error: Exception) -> str:
    """Return the runtime's message as one short line, without its codes and places."""
    text = " ".join(str(error).split())
    if "external data" in text.lower():
        return "the second file, which holds its weights, is missing or in another folder"
    text = re.sub(r"^(\[ONNXRuntimeError\] : \d+ : \w+ : )", "", text)
    text = "".join(sign for sign in text if sign.isprintable()).strip(" .:")
    return (text if len(text) <= _LINE else text[: _LINE - 1] + "…") or type(error).__name__

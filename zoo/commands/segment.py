"""`zoo segment`: turn pictures and folders into masks, overlays or cutouts."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from torch import Tensor

from zoo.commands.inputs import Sources
from zoo.commands.job import Job, Report
from zoo.commands.many_files import run
from zoo.commands.outputs import Outputs
from zoo.errors import InputError
from zoo.inference.segmenter import Segmenter
from zoo.pictures.cutouts import Kind, check_kind, format_for
from zoo.pictures.picture import Picture

# Share of pixels with a probability between 0.1 and 0.9: chosen between photographs of Carvana,
# which have fewer with dynamic_unet, and photographs of other things, which have more.
_UNSURE = 0.027
_HINT = (
    "The network is unsure of {count} of them: it found nothing, or much is neither object nor "
    "background. `zoo info {model}` says which pictures it knows."
)


def segment_files(
    inputs: list[Path],
    out: str,
    *,
    kind: str,
    model: str,
    threshold: float,
    size: int | None,
    precision: str,
    device: str,
    runtime: str,
    tta: bool,
    format: str | None,
    quality: int,
    overwrite: bool,
    skip_existing: bool,
    max_pixels: int | None,
) -> int:
    """Segment pictures and return the exit status; the arguments are those of the command.

    Raises ZooError for arguments that can't be used, before any work.
    """
    wanted = check_kind(kind)
    outputs = Outputs(inputs, out, format, overwrite=overwrite, skip_existing=skip_existing)
    if outputs.format and format_for(wanted, outputs.format) != outputs.format:
        raise InputError(f"{outputs.format} can't hold a {kind} exactly; PNG and TIFF can.")
    sources = Sources(inputs, outputs.out)
    segmenter = Segmenter(
        model,
        threshold=threshold,
        tta=tta,
        device=device,
        precision=precision,
        size=size,
        runtime=runtime,
    )

    unsure = 0

    def work(picture: Picture, report: Report) -> Picture:
        nonlocal unsure
        logits = segmenter.picture_logits(picture)
        unsure += is_unsure(logits)
        return segmenter.render(picture, logits, wanted)

    def hints() -> list[str]:
        return [_HINT.format(count=unsure, model=model)] if unsure else []

    job = Job(
        work,
        done="segmented",
        format=partial(format_for, wanted),
        like=partial(_like_result, wanted),
        memory_option="--size",
        hints=hints,
    )
    return run(sources, outputs, job, quality=quality, max_pixels=max_pixels)


def is_unsure(logits: Tensor) -> bool:
    """Return whether a network of one class gives logits `[1, H, W]` as for a picture unlike those
    it knows: it finds nothing, or many pixels are neither object nor background.
    """
    if len(logits) != 1:
        return False
    probability = logits.sigmoid()
    between = (probability > 0.1) & (probability < 0.9)
    return bool(probability.max() <= 0.5) or float(between.float().mean()) > _UNSURE


def _like_result(kind: Kind, picture: Picture) -> Picture:
    """Return a picture that needs of a file what the result of this kind needs."""
    height, width = picture.pixels.shape[:2]
    if kind == "mask":
        return Picture(np.zeros((height, width, 1), np.uint8), format=picture.format)
    if kind == "cutout":
        return replace(picture, alpha=np.zeros((height, width), picture.pixels.dtype))
    return picture

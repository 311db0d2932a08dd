"""The job of `zoo segment`: turn a picture into a mask, an overlay or a cutout."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
from torch import Tensor, nn

from zoo.errors import InputError
from zoo.inference.segmenter import Segmenter
from zoo.jobs.job import Job, Place, Report
from zoo.pictures.cutouts import Kind, check_kind, format_for
from zoo.pictures.picture import Picture
from zoo.sources import Name

# Share of pixels with a probability between 0.1 and 0.9: chosen between photographs of Carvana,
# which have fewer with dynamic_unet, and photographs of other things, which have more.
_UNSURE = 0.027
_HINT = (
    "The network is unsure of {count} of them: it found nothing, or much is neither object nor "
    "background. `zoo info {model}` says which pictures it knows."
)


def segmenting(
    place: Place,
    *,
    model: Name | nn.Module,
    kind: str,
    threshold: float,
    tta: bool,
    size: int | None,
) -> Job:
    """Return the job of segmenting pictures; the arguments are those of `Segmenter`.

    kind: "mask", "overlay" or "cutout".
    Raises InputError for another kind, and what `Segmenter` raises.
    """
    wanted = check_kind(kind)
    segmenter = Segmenter(
        model,
        threshold=threshold,
        tta=tta,
        device=place.device,
        precision=place.precision,
        size=size,
        runtime=place.runtime,
    )
    unsure = 0

    def work(picture: Picture, report: Report) -> Picture:
        nonlocal unsure
        logits = segmenter.picture_logits(picture)
        unsure += is_unsure(logits)
        return segmenter.render(picture, logits, wanted)

    def hints() -> list[str]:
        return [_HINT.format(count=unsure, model=model)] if unsure else []

    return Job(
        work,
        done="segmented",
        format=partial(format_for, wanted),
        like=partial(_like_result, wanted),
        memory_option="--size",
        hints=hints,
    )


def check_kind_in(format: str | None, kind: str) -> None:
    """Raise InputError if a format in FORMATS can't hold results of a kind, or for another kind."""
    if format and format_for(check_kind(kind), format) != format:
        raise InputError(f"{format} can't hold a {kind} exactly; PNG and TIFF can.")


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

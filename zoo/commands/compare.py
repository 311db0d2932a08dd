"""`zoo compare`: one sheet with pictures enlarged by bicubic and by several models."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from zoo.commands.parts import bicubic, cut, rgb8
from zoo.errors import InputError
from zoo.inference.upscaler import Upscaler
from zoo.pictures.comparison import PANEL, Row, busiest, draw
from zoo.pictures.files import check_output, find_images, read_image, write_image
from zoo.pictures.naming import parse_format
from zoo.pictures.picture import Array, Picture
from zoo.pictures.pillow import from_pil
from zoo.sr.data.imresize import bicubic_downscale, bicubic_upscale, crop_to_multiple
from zoo.sr.measure.metrics import psnr_y

_ZOOM = 3  # panel pixels for each pixel of a result


def compare(
    images: list[Path], models: list[str], out: Path, *, shrink: bool, overwrite: bool
) -> None:
    """Write a sheet with a row for each picture: the part with the strongest edges in all ways.

    models: of one scale, of those that `Upscaler` takes.
    shrink: take the pictures as originals. They are shrunk by the scale first, so that the sheet
        can show the original and each result's PSNR.

    Raises InputError for models of several scales and a file of another kind, ImageError for
    pictures and files that are refused, and what `Upscaler` raises; nothing is written then.
    """
    upscalers = {model: Upscaler(model) for model in dict.fromkeys(models)}
    scales = {model: upscaler.scale for model, upscaler in upscalers.items()}
    if len(set(scales.values())) > 1:
        told = ", ".join(f"{model} by {scale}" for model, scale in scales.items())
        raise InputError(f"The models enlarge by different factors: {told}.")
    scale = next(iter(scales.values()))
    format = parse_format(out.suffix)
    sources = [rgb8(read_image(file)) for file, _ in find_images(images)]
    check_output(Picture(sources[0], format=format), out, overwrite=overwrite)  # before the work
    rows = [row(source, upscalers, scale, shrink=shrink) for source in sources]
    write_image(replace(from_pil(draw(rows)), format=format), out, overwrite=overwrite)


def row(source: Array, upscalers: dict[str, Upscaler], scale: int, *, shrink: bool) -> Row:
    """One picture, uint8 `[H, W, 3]`, and its most telling part in all ways."""
    original = crop_to_multiple(source, scale) if shrink else None
    small = source if original is None else bicubic_downscale(original, scale)
    results = {model: upscaler.array(small) for model, upscaler in upscalers.items()}
    part = busiest(small, max(PANEL // (_ZOOM * scale), 1))
    views = {
        "low resolution": cut(small, part),
        "bicubic": bicubic(small, part, scale),
        **{model: cut(result, part, scale) for model, result in results.items()},
    }
    captions = {}
    if original is not None:
        views["original"] = cut(original, part, scale)
        results = {"bicubic": bicubic_upscale(small, scale), **results}
        captions = {
            title: f"PSNR-Y {psnr_y(result, original, crop=scale):.2f} dB"
            for title, result in results.items()
        }
    return Row(small, part, views, captions)

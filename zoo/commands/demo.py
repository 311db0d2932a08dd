"""`zoo demo`: enlarge photographs, and draw a comparison with bicubic enlargement."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from rich.console import Console

from zoo.commands.inputs import Sources
from zoo.commands.many_files import run
from zoo.commands.outputs import Outputs, make_folder
from zoo.commands.parts import bicubic, cut, rgb8
from zoo.commands.plain import say
from zoo.inference.upscaler import Upscaler
from zoo.jobs.job import Job, Report
from zoo.pictures.comparison import PANEL, Part, Row, busiest, draw
from zoo.pictures.files import check_output, write_image
from zoo.pictures.picture import Array, Picture
from zoo.pictures.pillow import from_pil
from zoo.pictures.samples import SAMPLES, sample
from zoo.sr.data.imresize import bicubic_downscale, bicubic_upscale, crop_to_multiple
from zoo.sr.measure.metrics import psnr_y

# The centre of the part of each sample to show: row and column in [0, 1].
_CENTRES = {"astronaut": (0.32, 0.80), "chelsea": (0.39, 0.38), "coffee": (0.37, 0.64)}
_MOST_ROWS = 4


def run_demo(images: list[Path], out: Path, model: str, *, overwrite: bool = False) -> int:
    """Enlarge pictures, or samples if there are none, into `out`, and return the exit status.

    Samples are downscaled first, so that the results can be compared with the original.
    Raises ZooError for a model or folder that can't be used, for files that exist unless
    `overwrite`, and if the samples are not installed; all before the work.
    """
    outputs = Outputs(images, f"{out}/", None, overwrite=overwrite)
    sources = Sources(images, out) if images else None
    samples = {} if images else {name: sample(name) for name in SAMPLES}
    comparison = out / "comparison.png"
    make_folder(out)
    _check(comparison, overwrite=overwrite)
    upscaler = Upscaler(model)
    for target in _targets(out, samples, upscaler.scale):
        _check(target, overwrite=overwrite)
    rows: list[Row] = []
    if sources:
        status = _enlarge(sources, outputs, upscaler, rows)
    else:
        status = _enlarge_samples(samples, out, upscaler, rows, overwrite=overwrite)
    if rows:
        write_image(from_pil(draw(rows)), comparison, overwrite=overwrite)
        say(Console(soft_wrap=True), f"Look at {comparison}")
    return status


def _enlarge(sources: Sources, outputs: Outputs, upscaler: Upscaler, rows: list[Row]) -> int:
    def work(picture: Picture, report: Report) -> Picture:
        large = upscaler.picture(picture, report)
        if len(rows) < _MOST_ROWS:
            small = rgb8(picture)
            part = busiest(small, PANEL // upscaler.scale)
            rows.append(Row(small, part, _views(small, rgb8(large), part, upscaler.scale)))
        return large

    return run(sources, outputs, Job(work, done="enlarged", scale=upscaler.scale))


def _targets(out: Path, names: Iterable[str], scale: int) -> list[Path]:
    return [out / f"{name}_{title}.png" for name in names for title in ("small", f"x{scale}")]


def _check(target: Path, *, overwrite: bool) -> None:
    check_output(Picture(np.zeros((1, 1, 3), np.uint8)), target, overwrite=overwrite)


def _enlarge_samples(
    samples: Mapping[str, Array], out: Path, upscaler: Upscaler, rows: list[Row], *, overwrite: bool
) -> int:
    console, scale = Console(soft_wrap=True), upscaler.scale
    for name, pixels in samples.items():
        original = crop_to_multiple(pixels, scale)
        small = bicubic_downscale(original, scale)
        start = time.perf_counter()
        large = upscaler.array(small)
        seconds = time.perf_counter() - start
        for result, target in zip((small, large), _targets(out, [name], scale), strict=True):
            write_image(Picture(result), target, overwrite=overwrite)
        height, width = small.shape[:2]
        console.print(
            f"{name}: {width}×{height} enlarged {scale} times in {seconds:.1f} s", highlight=False
        )
        part = _around(_CENTRES[name], small, PANEL // (2 * scale))
        views = {**_views(small, large, part, scale), "original": cut(original, part, scale)}
        captions = {
            title: f"PSNR-Y {psnr_y(result, original, crop=scale):.2f} dB"
            for title, result in {"bicubic": bicubic_upscale(small, scale), "zoo": large}.items()
        }
        top, left, side = (number * scale for number in part)
        rows.append(Row(original, (top, left, side), views, captions))
    return 0


def _views(small: Array, large: Array, part: Part, scale: int) -> dict[str, Array]:
    """Return the part by column title: low-resolution, enlarged bicubically and by the network."""
    return {
        "low resolution": cut(small, part),
        "bicubic": bicubic(small, part, scale),
        "zoo": cut(large, part, scale),
    }


def _around(centre: tuple[float, float], pixels: Array, side: int) -> Part:
    """Return the part of at most `side` whose centre is nearest to `centre`, given in [0, 1]."""
    height, width = pixels.shape[:2]
    side = min(side, height, width)
    top = min(max(round(centre[0] * height - side / 2), 0), height - side)
    left = min(max(round(centre[1] * width - side / 2), 0), width - side)
    return top, left, side

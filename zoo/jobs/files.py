"""From a file to a picture in memory or in scratch files, and from a result to its file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from zoo.jobs.job import Job
from zoo.jobs.memory import check_disk
from zoo.pictures.files import check_output, read_image, write_image
from zoo.pictures.large.picture import LargePicture
from zoo.pictures.large.reading import read_large
from zoo.pictures.large.writing import write_large
from zoo.pictures.picture import Picture
from zoo.pictures.reading import Description


def load(
    job: Job,
    file: Path,
    target: Path,
    format: str,
    *,
    strips_of: Description | None,
    max_pixels: int,
    overwrite: bool,
) -> Picture | LargePicture:
    """Read a file as a picture in `format`, and check that its result can be written to `target`.

    strips_of: what the header tells of a picture that is to lie in scratch files beside its result;
        None for one in memory.
    Raises what `read_image` and `check_output` raise, and ImageError for scratch files that don't
    fit.
    """
    if strips_of is not None:
        check_disk(target.parent, strips_of, job.scale)
        large = read_large(file, target.parent, max_pixels=max_pixels).as_format(format)
        with large.closed_if_failed():
            check_output(large.about, target, scale=job.scale, overwrite=overwrite)
        return large
    picture = replace(read_image(file, max_pixels=max_pixels), format=format)
    check_output(job.like(picture), target, scale=job.scale, overwrite=overwrite)
    return picture


def write(result: Picture | LargePicture, target: Path, *, quality: int, overwrite: bool) -> None:
    """Write a result; a large one is closed. Raises what `write_image` raises."""
    if isinstance(result, Picture):
        write_image(result, target, quality=quality, overwrite=overwrite)
        return
    try:
        write_large(result, target, quality=quality, overwrite=overwrite)
    finally:
        result.close()

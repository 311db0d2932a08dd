"""`zoo segment`: turn pictures and folders into masks, overlays or cutouts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from zoo.commands.many_files import Outputs, parse_format, run
from zoo.errors import InputError
from zoo.inference.segmenter import Segmenter
from zoo.inference.tiling import Progress
from zoo.pictures.cutouts import check_kind, format_for
from zoo.pictures.files import DEFAULT_MAX_PIXELS, read_image, write_image


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
    tta: bool,
    format: str | None,
    quality: int,
    overwrite: bool,
    max_pixels: int | None,
) -> int:
    """Segment pictures and return the exit status; the arguments are those of the command.

    Raises ZooError for arguments that can't be used, before any work.
    """
    wanted = check_kind(kind)
    outputs = Outputs(inputs, out, parse_format(format) if format else None)
    if outputs.format and format_for(wanted, outputs.format) != outputs.format:
        raise InputError(f"{outputs.format} can't hold a {kind} exactly; PNG and TIFF can.")
    segmenter = Segmenter(
        model, threshold=threshold, tta=tta, device=device, precision=precision, size=size
    )

    def work(source: Path, relative: Path, progress: Progress) -> None:
        picture = read_image(source, max_pixels=max_pixels or DEFAULT_MAX_PIXELS)
        target, file_format = outputs.target(source, relative, format_for(wanted, picture.format))
        result = replace(segmenter.picture(picture, wanted), format=file_format)
        write_image(result, target, quality=quality, overwrite=overwrite)

    return run(outputs.find(), work, done="segmented", out=outputs.out, memory_option="--size")

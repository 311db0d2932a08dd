"""`zoo upscale`: enlarge pictures and folders of pictures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from zoo.commands.many_files import Outputs, parse_format, run
from zoo.errors import InputError
from zoo.inference.tiling import Progress
from zoo.inference.upscaler import Upscaler
from zoo.pictures.files import DEFAULT_MAX_PIXELS, check_output, read_image, write_image


def upscale_files(
    inputs: list[Path],
    out: str,
    *,
    model: str,
    tile: str,
    precision: str,
    device: str,
    tta: bool,
    format: str | None,
    quality: int,
    overwrite: bool,
    max_pixels: int | None,
) -> int:
    """Enlarge pictures and return the exit status; the arguments are those of the command.

    Raises ZooError for arguments that can't be used, before any work.
    """
    if tile not in ("auto", "whole") and not tile.isdecimal():
        raise InputError(f"--tile {tile} is none of auto, whole and a number from 1 up.")
    side = int(tile) if tile.isdecimal() else {"auto": "auto", "whole": None}[tile]
    upscaler = Upscaler(model, tile=side, precision=precision, tta=tta, device=device)
    outputs = Outputs(inputs, out, parse_format(format) if format else None)

    def work(source: Path, relative: Path, progress: Progress) -> None:
        picture = read_image(source, max_pixels=max_pixels or DEFAULT_MAX_PIXELS)
        target, kind = outputs.target(source, relative, picture.format)
        picture = replace(picture, format=kind)
        check_output(picture, target, scale=upscaler.scale, overwrite=overwrite)
        large = upscaler.picture(picture, progress)
        write_image(large, target, quality=quality, overwrite=overwrite)

    return run(outputs.find(), work, done="enlarged", out=outputs.out, memory_option="--tile")

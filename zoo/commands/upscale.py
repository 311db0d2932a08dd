"""`zoo upscale`: enlarge pictures and folders of pictures."""

from __future__ import annotations

from functools import partial

from zoo.commands.engines import Engine
from zoo.commands.inputs import Sources, local_paths
from zoo.commands.many_files import run
from zoo.commands.outputs import Outputs
from zoo.errors import InputError
from zoo.jobs.job import Place
from zoo.jobs.memory import parse_memory
from zoo.jobs.upscaling import upscaling
from zoo.sources import absolute_name


def upscale_files(
    inputs: list[str],
    out: str,
    *,
    engine: Engine,
    model: str,
    tile: str,
    precision: str,
    device: str,
    runtime: str,
    tta: bool,
    strength: float | None,
    format: str | None,
    quality: int,
    overwrite: bool,
    skip_existing: bool,
    max_pixels: int | None,
    memory: str | None,
) -> int:
    """Enlarge pictures and return the exit status; the arguments are those of the command.

    Raises ZooError for arguments that can't be used, before any work.
    """
    if tile not in ("auto", "whole") and not tile.isdecimal():
        raise InputError(f"--tile {tile} is none of auto, whole and a number from 1 up.")
    most = parse_memory(memory) if memory is not None else None
    side = int(tile) if tile.isdecimal() else {"auto": "auto", "whole": None}[tile]
    place = Place(device, precision, runtime, most)
    name = absolute_name(model) if engine.is_ray else model  # for processes in other folders
    make_job = partial(upscaling, model=name, tile=side, tta=tta, strength=strength)
    if engine.is_ray:
        from zoo.commands.distributed import run_on_ray

        return run_on_ray(
            inputs,
            out,
            make_job,
            place,
            engine,
            done="enlarged",
            format=format,
            quality=quality,
            overwrite=overwrite,
            skip_existing=skip_existing,
            max_pixels=max_pixels,
        )
    paths = local_paths(inputs, out)
    outputs = Outputs(paths, out, format, overwrite=overwrite, skip_existing=skip_existing)
    sources = Sources(paths, outputs.out)
    return run(sources, outputs, make_job(place), quality=quality, max_pixels=max_pixels)

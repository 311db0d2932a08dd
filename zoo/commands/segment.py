"""`zoo segment`: turn pictures and folders into masks, overlays or cutouts."""

from __future__ import annotations

from functools import partial

from zoo.commands.engines import Engine
from zoo.commands.inputs import Sources, local_paths
from zoo.commands.many_files import run
from zoo.commands.outputs import Outputs
from zoo.jobs.job import Place
from zoo.jobs.segmenting import check_kind_in, segmenting
from zoo.pictures.cutouts import check_kind
from zoo.pictures.naming import parse_format
from zoo.sources import absolute_name


def segment_files(
    inputs: list[str],
    out: str,
    *,
    engine: Engine,
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
    place = Place(device, precision, runtime)
    name = absolute_name(model) if engine.is_ray else model  # for processes in other folders
    make_job = partial(
        segmenting, model=name, kind=check_kind(kind), threshold=threshold, tta=tta, size=size
    )
    if engine.is_ray:
        from zoo.commands.distributed import run_on_ray

        check_kind_in(parse_format(format) if format else None, kind)
        return run_on_ray(
            inputs,
            out,
            make_job,
            place,
            engine,
            done="segmented",
            format=format,
            quality=quality,
            overwrite=overwrite,
            skip_existing=skip_existing,
            max_pixels=max_pixels,
        )
    paths = local_paths(inputs, out)
    outputs = Outputs(paths, out, format, overwrite=overwrite, skip_existing=skip_existing)
    check_kind_in(outputs.format, kind)
    sources = Sources(paths, outputs.out)
    return run(sources, outputs, make_job(place), quality=quality, max_pixels=max_pixels)

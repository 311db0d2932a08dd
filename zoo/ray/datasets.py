"""`zoo.ray.upscale` and `zoo.ray.segment`: from addresses of photographs to a report of results."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Protocol

import ray
from ray.data import ActorPoolStrategy, Dataset
from torch import nn

from zoo.errors import InputError
from zoo.jobs.job import Job, Place
from zoo.jobs.segmenting import check_kind_in, segmenting
from zoo.jobs.upscaling import upscaling
from zoo.pictures.files import DEFAULT_MAX_PIXELS
from zoo.pictures.naming import parse_format
from zoo.ray.cluster import shares
from zoo.ray.ledger import start_ledger
from zoo.ray.sources import Address, list_sources
from zoo.ray.storage import open_storage
from zoo.ray.worker import Results, Worker
from zoo.sources import Name, absolute_name

_MOST_ROWS = 32  # of a task of Ray: fewer cost time, more keep the report back


class MakeJob(Protocol):
    def __call__(self, place: Place) -> Job: ...


def upscale(
    dataset: Dataset | Address | Iterable[Address],
    out: Address,
    model: Name | nn.Module = "srresnet_x4",
    *,
    tile: int | str | None = "auto",
    precision: str = "auto",
    tta: bool = False,
    device: str = "auto",
    runtime: str = "torch",
    strength: float | None = None,
    memory: int | None = None,
    format: str | None = None,
    quality: int = 95,
    overwrite: bool = False,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    workers: int | None = None,
    gpus: float | None = None,
) -> Dataset:
    """Enlarge photographs on the Ray cluster that this process is connected to.

    dataset: a folder or a file, local or at an address ("s3://bucket/folder", what pyarrow or
        fsspec take), or several; or a Dataset with a column `source` of such files, and perhaps a
        column `relative`: the path of the result in `out`, whose suffix follows the format.
    out: a folder, local or at an address. Results have the subfolders of their sources. Each
        appears whole or not at all.
    format: as users write it ("jpg"); None keeps that of each source.
    overwrite: replace results that exist; else they are left, so that a second call goes on.
    device: "auto", "cpu" or "cuda".
    memory: bytes that each worker is to stay within; else they share that of their machine.
    workers: processes with one model each; None for as many as the cluster has room for.
    gpus: share of a GPU for each worker, in [0, 1]; None for 1 if the cluster has GPUs, else 0.
    The other arguments are those of `zoo.Upscaler`, `write_image` and `read_image`.

    Returns a report, which works when it is read: source, result, seconds, status ("done",
    "present" or "failed") and error. A photograph that fails is a row of it.

    Raises what `zoo.Upscaler` does, InputError for arguments, ImageError if there is no photograph.
    While it works: ImageError and WeightsError if workers can't load the model, ClusterError if no
    space is left.
    """
    make_job = partial(upscaling, model=_placed(model), tile=tile, tta=tta, strength=strength)
    return plan(
        make_job,
        dataset,
        out,
        place=Place(device, precision, runtime, memory),
        format=format,
        quality=quality,
        overwrite=overwrite,
        max_pixels=max_pixels,
        workers=workers,
        gpus=gpus,
    )[0]


def segment(
    dataset: Dataset | Address | Iterable[Address],
    out: Address,
    model: Name | nn.Module = "dynamic_unet",
    *,
    kind: str = "mask",
    threshold: float = 0.5,
    size: int | None = None,
    precision: str = "auto",
    tta: bool = False,
    device: str = "auto",
    runtime: str = "torch",
    format: str | None = None,
    quality: int = 95,
    overwrite: bool = False,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    workers: int | None = None,
    gpus: float | None = None,
) -> Dataset:
    """Segment photographs on the Ray cluster that this process is connected to.

    kind: "mask", "overlay" or "cutout", see `zoo.Segmenter.picture`.
    threshold, size: see `zoo.Segmenter`.
    The other arguments, the report and the errors are those of `zoo.ray.upscale`.
    """
    check_kind_in(parse_format(format) if format else None, kind)
    make_job = partial(
        segmenting, model=_placed(model), kind=kind, threshold=threshold, tta=tta, size=size
    )
    return plan(
        make_job,
        dataset,
        out,
        place=Place(device, precision, runtime),
        format=format,
        quality=quality,
        overwrite=overwrite,
        max_pixels=max_pixels,
        workers=workers,
        gpus=gpus,
    )[0]


def plan(
    make_job: MakeJob,
    dataset: Dataset | Address | Iterable[Address],
    out: Address,
    *,
    place: Place,
    format: str | None,
    quality: int,
    overwrite: bool,
    max_pixels: int,
    workers: int | None,
    gpus: float | None,
) -> tuple[Dataset, int]:
    """Return the report of a job, which works when it is read, and its number of rows.

    The job is made here once, on the CPU, so that a wrong call ends before the work.
    """
    if not 1 <= quality <= 100:
        raise InputError(f"The quality must lie in 1..100, not {quality}.")
    storage, folder = open_storage(os.fspath(out))
    wanted = parse_format(format) if format else None
    results = Results(storage, folder, wanted, quality, overwrite, max_pixels)
    if not ray.is_initialized():
        ray.init()
    share = shares(workers=workers, gpus=gpus, place=place)
    cpu = "auto" if place.precision == "fp16" else place.precision
    make_job(replace(place, device="cpu", precision=cpu))
    sources = list_sources(dataset, os.fspath(out))
    device = "cuda" if share.gpus else "cpu"
    make = partial(make_job, replace(place, device=device, processes=share.on_a_machine))
    count = len(sources.table)
    step = max(1, min(_MOST_ROWS, count // (8 * share.workers)))
    blocks = [sources.table.slice(start, step) for start in range(0, count, step)]
    report = ray.data.from_arrow(blocks).map_batches(
        Worker,
        batch_size=None,
        batch_format="pyarrow",
        compute=ActorPoolStrategy(size=min(share.workers, len(blocks))),
        fn_constructor_args=(make, sources.storages, results, start_ledger()),
        num_cpus=1,
        num_gpus=share.gpus,
    )
    report.context.raise_original_map_exception = True  # errors of zoo as such
    return report, count


def _placed(model: Name | nn.Module) -> Name | nn.Module:
    return model if isinstance(model, nn.Module) else absolute_name(model)

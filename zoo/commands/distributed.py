"""A command on a Ray cluster: check the call, show progress, collect failures, write the report."""

from __future__ import annotations

import time
from collections import Counter
from functools import partial
from pathlib import PurePath

from rich.console import Console

from zoo.commands.engines import Engine
from zoo.commands.messages import INTERRUPTED, progress_bar, summary
from zoo.commands.outputs import check_flags
from zoo.commands.plain import say
from zoo.commands.streams import STREAM
from zoo.errors import InputError, ZooError
from zoo.jobs.job import Place
from zoo.pictures.files import DEFAULT_MAX_PIXELS, is_address
from zoo.pictures.formats import SUFFIXES
from zoo.pictures.naming import parse_format
from zoo.ray.cluster import check_address
from zoo.ray.datasets import MakeJob, plan
from zoo.ray.driver import running
from zoo.ray.report import check_report, new_report
from zoo.ray.storage import child, open_storage, shown


def run_on_ray(
    inputs: list[str],
    out: str,
    make_job: MakeJob,
    place: Place,
    engine: Engine,
    *,
    done: str,
    format: str | None,
    quality: int,
    overwrite: bool,
    skip_existing: bool,
    max_pixels: int | None,
) -> int:
    """Do a job for each photograph on a cluster; return the exit status, 1 if any failed.

    make_job: can be pickled. `done` is what the summary calls its work ("enlarged").
    A failure prints one line on stderr and is a row of the report. Ctrl-C stops the run; the
    status is then 130. What is finished stays, and is in the report.

    Raises ZooError for arguments that can't be used, before any work, and if no space is left, the
    report can't be written or the cluster goes away.
    """
    check_flags(overwrite=overwrite, skip_existing=skip_existing)
    _check_places(inputs, out)
    check_address(engine.address)
    report_file = engine.report or child(out, "report.csv")
    check_report(report_file)
    if format:
        parse_format(format)
    call = partial(
        plan,
        make_job,
        inputs,
        out,
        place=place,
        format=format,
        quality=quality,
        overwrite=overwrite,
        max_pixels=max_pixels or DEFAULT_MAX_PIXELS,
        workers=engine.workers,
        gpus=engine.gpus,
    )
    stdout, stderr = Console(soft_wrap=True), Console(stderr=True, soft_wrap=True)
    start, counts, end = time.monotonic(), Counter[str](), None
    with (
        running(call, engine.address, workers=engine.workers) as (total, batches),
        new_report(report_file) as report,
    ):
        try:
            with progress_bar(stderr) as bar:
                task = bar.add_task("", total=total, position=f"0/{total}")
                for rows in batches:
                    report.add(rows)
                    counts.update(row.status for row in rows)
                    ended = counts.total()
                    bar.update(task, completed=ended, position=f"{ended}/{total}")
                    for row in rows:
                        if row.error:
                            say(stderr, row.error, style="red")
        except (KeyboardInterrupt, ZooError) as error:  # the report tells what is finished
            end = error
    text = summary(
        done,
        shown(out),
        time.monotonic() - start,
        total=total,
        finished=counts["done"],
        present=counts["present"],
        failed=counts["failed"],
        interrupted=isinstance(end, KeyboardInterrupt),
    )
    for line in (text, f"The report is {shown(report_file)}."):
        say(stdout, line)
    if isinstance(end, ZooError):
        raise type(end)(f"{end} Finished results are kept: run it again to go on.") from end
    return INTERRUPTED if end else int(counts["failed"] > 0)


def _check_places(inputs: list[str], out: str) -> None:
    """Raise InputError for standard input and output, and if `out` is no folder or no address."""
    if str(STREAM) in (*inputs, out):
        raise InputError("- is the standard input or output: --engine ray takes files and folders.")
    if PurePath(out).suffix.lower() in SUFFIXES:
        raise InputError(f"--engine ray writes to a folder, and {out} names one picture.")
    for text in (*inputs, out):
        if is_address(text):
            open_storage(text)

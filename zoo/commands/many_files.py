"""Process many files with a progress bar: read each, check it, work on it, write it, report.

The next picture is read and the one before is written while one is worked on: a folder takes little
longer than the network alone.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import BinaryIO

from rich.console import Console

from zoo.ahead import finished_ahead
from zoo.commands.inputs import Sources
from zoo.commands.loading import Loader, Ready
from zoo.commands.messages import INTERRUPTED, progress_bar, summary
from zoo.commands.outputs import Outputs
from zoo.commands.plain import plain, say
from zoo.commands.streams import label, reserved_output, send
from zoo.jobs.files import write
from zoo.jobs.job import Job
from zoo.jobs.memory import Room
from zoo.pictures.files import DEFAULT_MAX_PIXELS
from zoo.pictures.large.picture import LargePicture
from zoo.pictures.picture import Picture

_LARGE = 2**28  # bytes of a result from which on no other is made while it is written


def run(
    sources: Sources,
    outputs: Outputs,
    job: Job,
    *,
    quality: int = 95,
    max_pixels: int | None = None,
) -> int:
    """Do a job for each source; return the exit status, 1 if any failed.

    A failure prints one line on stderr, and the next file follows. The summary goes to stdout, or
    to stderr if the picture goes to stdout. Ctrl-C stops the run; the status is then 130.
    """
    with (
        reserved_output() if outputs.is_stream else nullcontext() as stream,
        tempfile.TemporaryDirectory() if outputs.is_stream else nullcontext() as scratch,
    ):
        room = Room(job.large.limits.strips if job.large else 2**63)
        loader = Loader(
            outputs,
            job,
            room,
            max_pixels=max_pixels or DEFAULT_MAX_PIXELS,
            scratch=None if scratch is None else Path(scratch),
        )
        return _Batch(sources, outputs, job, loader, quality, stream).run()


class _Batch:
    """One run: it counts what was finished, present and failed.

    stream: the standard output, if the result goes there by way of a file.
    """

    def __init__(
        self,
        sources: Sources,
        outputs: Outputs,
        job: Job,
        loader: Loader,
        quality: int,
        stream: BinaryIO | None,
    ) -> None:
        self.sources, self.outputs, self.job, self.loader = sources, outputs, job, loader
        self.quality, self.stream, self.room = quality, stream, loader.room
        self.finished, self.present, self.failed = 0, 0, 0
        self.writing: tuple[Path, Future[None]] | None = None
        self.stderr = Console(stderr=True, soft_wrap=True)

    def run(self) -> int:
        start, interrupted = time.monotonic(), False
        files = self.sources.files
        with (
            ThreadPoolExecutor(1) as self.writer,
            progress_bar(self.stderr) as self.bar,
            finished_ahead(lambda i: self.loader.read(*files[i]), range(len(files))) as coming,
        ):
            try:
                self._each(coming)
            except KeyboardInterrupt:
                interrupted = True
                self.room.lift()  # the next picture may be waiting for this one's
            self._collect()  # what is done stays
        text = summary(
            self.job.done,
            "the standard output" if self.outputs.is_stream else str(self.outputs.out),
            time.monotonic() - start,
            total=len(files),
            finished=self.finished,
            present=self.present,
            failed=self.failed,
            left_out=self.sources.left_out,
            interrupted=interrupted,
        )
        for line in (text, *self.job.hints()):
            say(Console(soft_wrap=True), line)
        return INTERRUPTED if interrupted else int(self.failed > 0)

    def _each(self, coming: Iterator[Future[Ready | None]]) -> None:
        """Read, work and write in turns; what goes wrong is reported in the order of the files."""
        files = self.sources.files
        # Progress counts bytes of files: their pixels are not known before they are read.
        sizes = [max(file.stat().st_size, 1) if file.is_file() else 1 for file, _ in files]
        task = self.bar.add_task("", total=sum(sizes), position="")
        for index, (read, (source, _)) in enumerate(zip(coming, files, strict=True)):
            before, position = sum(sizes[:index]), f"{index + 1}/{len(files)}"
            name = plain(source.name)[-30:]
            self.bar.update(task, completed=before, description=name, position=position)

            def report(share: float, before: int = before, size: int = sizes[index]) -> None:
                self.bar.update(task, completed=before + share * size)

            try:
                ready = read.result()
            except Exception as error:  # decoders raise almost anything; the next file follows
                self._collect()
                self._fail(source, error)
                continue
            if ready is None:
                self.present += 1
                continue
            try:
                result = self.job.result(ready.picture, report)
            except Exception as error:
                self.room.give_back(ready.needed)
                self._collect()
                self._fail(source, error)
                continue
            self._collect()
            self.writing = source, self.writer.submit(self._write, result, ready)
            if result.pixels.nbytes > _LARGE:
                self._collect()

    def _collect(self) -> None:
        """Wait for the result that is being written, if one is, and count it."""
        if self.writing is None:
            return
        (source, written), self.writing = self.writing, None
        try:
            written.result()
            self.finished += 1
        except Exception as error:
            self._fail(source, error)

    def _fail(self, source: Path, error: Exception) -> None:
        self.failed += 1
        say(self.stderr, self.job.sentence(label(source), error), style="red")

    def _write(self, result: Picture | LargePicture, ready: Ready) -> None:
        try:
            write(result, ready.target, quality=self.quality, overwrite=self.outputs.overwrite)
        finally:
            self.room.give_back(ready.needed)
        if self.stream is not None:
            send(ready.target, self.stream)

"""Process many files with a progress bar: read each, check it, work on it, write it, report.

The next picture is read and the one before is written while one is worked on: a folder takes little
longer than the network alone.
"""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, NamedTuple

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from zoo.ahead import finished_ahead
from zoo.commands.inputs import Sources
from zoo.commands.outputs import Outputs
from zoo.commands.streams import as_file, label, reserved_output, send
from zoo.errors import ZooError
from zoo.pictures.files import DEFAULT_MAX_PIXELS, check_output, read_image, write_image
from zoo.pictures.formats import FORMATS, SUFFIXES
from zoo.pictures.picture import Picture

Report = Callable[[float], None]  # takes the fraction that is done

_LARGE = 2**28  # bytes of a result from which on no other is made while it is written
_INTERRUPTED = 130  # 128 + SIGINT, as in shells
_NO_MEMORY = re.compile(r"out of memory|not enough memory|can't allocate memory", re.IGNORECASE)


@dataclass
class Job:
    """What a command does with each picture.

    work: from a picture to its result.
    done: what the summary calls it ("enlarged").
    format: from the format of a picture to that of its result.
    like: from a picture to one that needs of a file what the result needs, for checks before work.
    scale: factor by which the result is larger.
    memory_option: the command's option that saves memory, if there is one.
    hints: returns sentences on the results, which follow the summary.
    """

    work: Callable[[Picture, Report], Picture]
    done: str
    format: Callable[[str], str] = lambda format: format
    like: Callable[[Picture], Picture] = lambda picture: picture
    scale: int = 1
    memory_option: str = ""
    hints: Callable[[], list[str]] = list


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
        tempfile.TemporaryDirectory() if outputs.is_stream else nullcontext("") as scratch,
    ):
        limit = max_pixels or DEFAULT_MAX_PIXELS
        return _Batch(sources, outputs, job, quality, limit, stream, scratch).run()


class _Ready(NamedTuple):
    """A picture to work on, in the format of its result, and where that goes."""

    picture: Picture
    target: Path


class _Batch:
    """One run: it counts what was finished, present and failed.

    stream: the standard output, if the result goes there by way of the folder `scratch`.
    """

    def __init__(
        self,
        sources: Sources,
        outputs: Outputs,
        job: Job,
        quality: int,
        max_pixels: int,
        stream: BinaryIO | None,
        scratch: str,
    ) -> None:
        self.sources, self.outputs, self.job = sources, outputs, job
        self.quality, self.max_pixels = quality, max_pixels
        self.stream, self.scratch = stream, scratch
        self.finished, self.present, self.failed = 0, 0, 0
        self.writing: tuple[Path, Future[None]] | None = None
        self.stderr = Console(stderr=True, soft_wrap=True)

    def run(self) -> int:
        start, interrupted = time.monotonic(), False
        with ThreadPoolExecutor(1) as writer, _progress(self.stderr) as bar:
            self.writer, self.bar = writer, bar
            try:
                self._each()
            except KeyboardInterrupt:
                interrupted = True
            self._collect()  # what is done stays
        total = len(self.sources.files)
        out = "the standard output" if self.outputs.is_stream else self.outputs.out
        seconds = _duration(time.monotonic() - start)
        parts = [f"{self.finished} of {total} {self.job.done} into {out} in {seconds}"]
        parts += [f"{self.present} present already (--overwrite replaces)"] if self.present else []
        parts += [self.sources.left_out] if self.sources.left_out else []
        parts += [f"{self.failed} failed"] if self.failed else []
        parts += ["interrupted"] if interrupted else []
        for text in (", ".join(parts) + ".", *self.job.hints()):
            Console(soft_wrap=True).print(text, markup=False, highlight=False)
        return _INTERRUPTED if interrupted else int(self.failed > 0)

    def _each(self) -> None:
        """Read, work and write in turns; what goes wrong is reported in the order of the files."""
        files = self.sources.files
        # Progress counts bytes of files: their pixels are not known before they are read.
        sizes = [max(file.stat().st_size, 1) if file.is_file() else 1 for file, _ in files]
        task = self.bar.add_task("", total=sum(sizes), position="")
        coming = finished_ahead(lambda index: self._read(*files[index]), range(len(files)))
        for index, (read, (source, _)) in enumerate(zip(coming, files, strict=True)):
            before, position = sum(sizes[:index]), f"{index + 1}/{len(files)}"
            name = source.name[-30:]
            self.bar.update(task, completed=before, description=name, position=position)

            def report(share: float, before: int = before, size: int = sizes[index]) -> None:
                self.bar.update(task, completed=before + share * size)

            try:
                ready = read.result()
                if ready is None:
                    self.present += 1
                    continue
                result = self.job.work(ready.picture, report)
                result = replace(result, format=ready.picture.format)
            except Exception as error:  # decoders raise almost anything; the next file follows
                self._collect()
                self._fail(source, error)
                continue
            self._collect()
            self.writing = source, self.writer.submit(self._write, result, ready.target)
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
        sentence = _sentence(label(source), error, self.job.memory_option)
        self.stderr.print(sentence, style="red", markup=False, highlight=False)

    def _is_present(self, source: Path, relative: Path) -> bool:
        """Whether a result is there already, judged by the source's name; files appear whole."""
        format = SUFFIXES.get(source.suffix.lower())
        if not self.outputs.skips(source) or self.stream is not None or format is None:
            return False
        return self.outputs.target(source, relative, self.job.format(format))[0].exists()

    def _read(self, source: Path, relative: Path) -> _Ready | None:
        """Read a source and check that its result can be written; None if it is there already."""
        if self._is_present(source, relative):
            return None
        with as_file(source) as file:
            picture = read_image(file, max_pixels=self.max_pixels)
        wanted, outputs = self.job.format(picture.format), self.outputs
        if self.stream is None:
            target, format = outputs.target(source, relative, wanted)
            if outputs.skips(source) and target.exists():
                return None
        else:
            format = outputs.format_of(wanted)
            target = Path(self.scratch, f"output{FORMATS[format].suffixes[0]}")
        needed = replace(self.job.like(picture), format=format)
        check_output(needed, target, scale=self.job.scale, overwrite=outputs.overwrite)
        return _Ready(replace(picture, format=format), target)

    def _write(self, result: Picture, target: Path) -> None:
        write_image(result, target, quality=self.quality, overwrite=self.outputs.overwrite)
        if self.stream is not None:
            send(target, self.stream)


def _progress(stderr: Console) -> Progress:
    return Progress(
        TextColumn("{task.fields[position]}"),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=stderr,
        transient=True,
        disable=not stderr.is_terminal,
    )


def _sentence(source: str, error: Exception, memory_option: str) -> str:
    if isinstance(error, ZooError):
        text = str(error)
    elif isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and _NO_MEMORY.search(str(error).replace(source, ""))
    ):
        advice = f"; try a smaller {memory_option}" if memory_option else ""
        text = f"there is not enough memory for it{advice}."
    else:
        text = f"{type(error).__name__}: {error}".partition("\n")[0]
    return text if source in text else f"{source}: {text}"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min {rest} s"

"""Process many files with a progress bar: read each, check it, work on it, write it, report."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from zoo.commands.inputs import Sources
from zoo.commands.outputs import Outputs
from zoo.commands.streams import as_file, label, reserved_output, send
from zoo.errors import ZooError
from zoo.pictures.files import DEFAULT_MAX_PIXELS, check_output, read_image, write_image
from zoo.pictures.formats import FORMATS, SUFFIXES
from zoo.pictures.picture import Picture

Report = Callable[[float], None]  # takes the fraction that is done

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
    with reserved_output() if outputs.is_stream else nullcontext() as stream:
        batch = _Batch(sources, outputs, job, quality, max_pixels or DEFAULT_MAX_PIXELS, stream)
        return batch.run()


@dataclass
class _Batch:
    sources: Sources
    outputs: Outputs
    job: Job
    quality: int
    max_pixels: int
    stream: BinaryIO | None

    def run(self) -> int:
        stdout, stderr = Console(soft_wrap=True), Console(stderr=True, soft_wrap=True)
        files = self.sources.files
        # Progress counts bytes of files: their pixels are not known before they are read.
        sizes = [max(file.stat().st_size, 1) if file.is_file() else 1 for file, _ in files]
        start, finished, present, failed, interrupted = time.monotonic(), 0, 0, 0, False
        bar = Progress(
            TextColumn("{task.fields[position]}"),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            console=stderr,
            transient=True,
            disable=not stderr.is_terminal,
        )
        with bar:
            task = bar.add_task("", total=sum(sizes), position="")
            for index, (source, relative) in enumerate(files):
                before = sum(sizes[:index])
                position = f"{index + 1}/{len(files)}"
                bar.update(task, completed=before, description=source.name[-30:], position=position)

                def report(share: float, before: int = before, size: int = sizes[index]) -> None:
                    bar.update(task, completed=before + share * size)

                try:
                    if self._is_present(source, relative) or not self._process(
                        source, relative, report
                    ):
                        present += 1
                    else:
                        finished += 1
                except KeyboardInterrupt:
                    interrupted = True
                    break
                except Exception as error:  # decoders raise almost anything; the next file follows
                    failed += 1
                    sentence = _sentence(label(source), error, self.job.memory_option)
                    stderr.print(sentence, style="red", markup=False, highlight=False)
        out = "the standard output" if self.outputs.is_stream else self.outputs.out
        seconds = _duration(time.monotonic() - start)
        parts = [f"{finished} of {len(files)} {self.job.done} into {out} in {seconds}"]
        parts += [f"{present} present already (--overwrite replaces)"] if present else []
        parts += [self.sources.left_out] if self.sources.left_out else []
        parts += [f"{failed} failed"] if failed else []
        parts += ["interrupted"] if interrupted else []
        for text in (", ".join(parts) + ".", *self.job.hints()):
            stdout.print(text, markup=False, highlight=False)
        return _INTERRUPTED if interrupted else int(failed > 0)

    def _is_present(self, source: Path, relative: Path) -> bool:
        """Whether a result is there already, judged by the source's name; files appear whole."""
        format = SUFFIXES.get(source.suffix.lower())
        if not self.outputs.skips(source) or self.stream is not None or format is None:
            return False
        return self.outputs.target(source, relative, self.job.format(format))[0].exists()

    def _process(self, source: Path, relative: Path, report: Report) -> bool:
        """Write the result of a source; return False if it was present already."""
        with ExitStack() as stack:
            picture = read_image(stack.enter_context(as_file(source)), max_pixels=self.max_pixels)
            wanted, outputs = self.job.format(picture.format), self.outputs
            if self.stream is None:
                target, format = outputs.target(source, relative, wanted)
                if outputs.skips(source) and target.exists():
                    return False
            else:
                folder, format = tempfile.TemporaryDirectory(), outputs.format_of(wanted)
                target = Path(stack.enter_context(folder), f"output{FORMATS[format].suffixes[0]}")
            needed = replace(self.job.like(picture), format=format)
            check_output(needed, target, scale=self.job.scale, overwrite=outputs.overwrite)
            result = replace(self.job.work(replace(picture, format=format), report), format=format)
            write_image(result, target, quality=self.quality, overwrite=outputs.overwrite)
            if self.stream is not None:
                send(target, self.stream)
        return True


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

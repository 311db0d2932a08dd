"""Process many files: paths of the results, a progress bar, and a report of failures."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from zoo.errors import ImageError, InputError, ZooError, did_you_mean
from zoo.pictures.files import find_images
from zoo.pictures.formats import FORMATS, SUFFIXES

# Takes a source, its path relative to the folder it was found in, and a function that reports the
# fraction that is done.
Work = Callable[[Path, Path, Callable[[float], None]], None]

_INTERRUPTED = 130  # 128 + SIGINT, as in shells


def parse_format(text: str) -> str:
    """Return the name in FORMATS for "jpg", ".JPG" or "jpeg"; raise InputError for unknown ones."""
    suffix = "." + text.lower().lstrip(".")
    name = SUFFIXES.get(suffix, text.upper())
    if name not in FORMATS or not FORMATS[name].writable:
        accepted = [known.lower() for known, format in FORMATS.items() if format.writable]
        raise InputError(
            f"zoo doesn't write {text!r} files, but {', '.join(accepted)}."
            f"{did_you_mean(text.lower(), accepted)}"
        )
    return name


class Outputs:
    """The paths of results: one file, or a folder with the subfolders of the sources.

    inputs: files and folders.
    out: a folder, created with the first result if missing; or a file name for a single file.
    format: a name in FORMATS; None keeps the format of each source.
    Raises InputError if `out` names a file of another format or one file for several inputs,
    ImageError for a folder that can't be created or written to.
    """

    def __init__(self, inputs: list[Path], out: str, format: str | None) -> None:
        self.inputs, self.out, self.format = inputs, Path(out), format
        # is_dir() and exists() raise where a folder above can't be entered; os.access does not.
        is_folder = os.access(out, os.F_OK) and self.out.is_dir()
        self.is_file = (
            len(inputs) == 1
            and not inputs[0].is_dir()
            and self.out.suffix != ""
            and not out.endswith(("/", os.sep))
            and not is_folder
        )
        if self.is_file:
            self.format = parse_format(self.out.suffix)
            if format not in (None, self.format):
                raise InputError(f"--format {format} contradicts the name {out}.")
        elif len(inputs) > 1 and self.out.suffix.lower() in SUFFIXES and not is_folder:
            raise InputError(f"{out} names one picture, and there are several: name a folder.")
        self._taken: dict[Path, Path] = {}
        _check_folder(self.out.parent if self.is_file else self.out)

    def find(self) -> list[tuple[Path, Path]]:
        """Return the sources as `find_images` does, without earlier results among them.

        Raises ImageError if no source is left, and what `find_images` raises.
        """
        out = self.out.resolve()
        nested = any(path.resolve() in out.parents for path in self.inputs)
        found = find_images(self.inputs)
        kept = [(f, rel) for f, rel in found if not (nested and out in f.resolve().parents)]
        if not kept:
            raise ImageError(f"{self.inputs[0]}: the only pictures are earlier results in {out}.")
        return kept

    def target(self, source: Path, relative: Path, format: str) -> tuple[Path, str]:
        """Return the path and the format of the result of a source in `format`.

        Formats that zoo only reads become PNG, *.pbm becomes *.pgm. The folder of the result is
        created.
        Raises ImageError if the file is the source itself, or the result of another source.
        """
        format = self.format or (format if FORMATS[format].writable else "PNG")
        target = self.out if self.is_file else self.out / relative
        named = SUFFIXES.get(target.suffix.lower())
        if named != format:
            stem = target.stem if named else target.name
            target = target.with_name(stem + FORMATS[format].suffixes[0])
        elif target.suffix.lower() == ".pbm":  # black and white alone; results have greys
            target = target.with_suffix(".pgm")
        first = self._taken.setdefault(target, source)
        if first != source:
            raise ImageError(f"{source}: its result would replace that of {first}, {target}.")
        if target.exists() and target.samefile(source):
            raise ImageError(f"{source}: the result would replace it; choose another folder.")
        make_folder(target.parent)
        return target, format


def run(
    files: list[tuple[Path, Path]], work: Work, *, done: str, out: Path, memory_option: str = ""
) -> int:
    """Run `work` on each file with a progress bar; return the exit status, 1 if any failed.

    A failure prints one line on stderr, and the next file follows. `done` ("enlarged") and `out`
    (the folder of the results) appear in the summary. `memory_option` is the command's option that
    saves memory, if there is one. Ctrl-C stops the run; the status is then 130.
    """
    stdout, stderr = Console(soft_wrap=True), Console(stderr=True, soft_wrap=True)
    # Progress counts bytes of files: their pixels are not known before they are read.
    sizes = [max(file.stat().st_size, 1) if file.is_file() else 1 for file, _ in files]
    start, finished, failed, interrupted = time.monotonic(), 0, 0, False
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
                work(source, relative, report)
                finished += 1
            except KeyboardInterrupt:
                interrupted = True
                break
            except Exception as error:  # decoders raise almost anything; the next file follows
                failed += 1
                sentence = _sentence(source, error, memory_option)
                stderr.print(sentence, style="red", markup=False, highlight=False)
    seconds = time.monotonic() - start
    summary = f"{finished} of {len(files)} {done} into {out} in {_duration(seconds)}"
    if failed:
        summary += f", {failed} failed"
    if interrupted:
        summary += ", interrupted"
    stdout.print(summary + ".", markup=False, highlight=False)
    return _INTERRUPTED if interrupted else int(failed > 0)


def make_folder(folder: Path) -> None:
    """Create a folder and its parents; raise ImageError if that fails."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ImageError(f"{folder}: the folder can't be made ({error.strerror}).") from error


def _check_folder(folder: Path) -> None:
    """Raise ImageError if a folder for results can't be created or written to."""
    absolute = folder.absolute()
    there = next(path for path in (absolute, *absolute.parents) if os.access(path, os.F_OK))
    if not there.is_dir():
        raise ImageError(f"{folder}: the folder can't be made ({there} is a file).")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ImageError(f"{folder}: the folder can't be written to.")


def _sentence(source: Path, error: Exception, memory_option: str) -> str:
    if isinstance(error, ZooError):
        text = str(error)
    elif isinstance(error, MemoryError) or "memory" in str(error):
        advice = f"; try a smaller {memory_option}" if memory_option else ""
        text = f"there is not enough memory for it{advice}."
    else:
        text = f"{type(error).__name__}: {error}".partition("\n")[0]
    return text if str(source) in text else f"{source}: {text}"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min {rest} s"

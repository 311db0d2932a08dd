"""Where results go: a file, the standard output, or a folder with the subfolders of the sources."""

from __future__ import annotations

import os
from pathlib import Path

from zoo.commands.streams import STREAM, check_streams
from zoo.errors import ImageError, InputError
from zoo.pictures.formats import SUFFIXES
from zoo.pictures.naming import parse_format, result_format, result_name
from zoo.store.atomic import obstacle


class Outputs:
    """The paths of results: one file, or a folder with the subfolders of the sources.

    inputs: files and folders, or "-", the standard input.
    out: a folder, created with the first result if missing; a file name for a single file; or "-",
        the standard output.
    format: as users write it ("jpg"); None keeps the format of each source.
    overwrite: replace files that exist.
    skip_existing: leave out sources whose result exists; so are those of a folder without it.

    Raises InputError if both flags are set, if `out` names a file of another format or one file
    for several inputs, and for a terminal as "-"; ImageError for a file that exists, for a folder
    that can't be created or written to.
    """

    def __init__(
        self,
        inputs: list[Path],
        out: str,
        format: str | None,
        *,
        overwrite: bool = False,
        skip_existing: bool = False,
    ) -> None:
        check_flags(overwrite=overwrite, skip_existing=skip_existing)
        self.inputs, self.out = inputs, Path(out)
        self.format = parse_format(format) if format else None
        self.overwrite, self.skip_existing = overwrite, skip_existing
        self.is_stream = out == str(STREAM)
        check_streams(inputs, out)
        # is_dir() and exists() raise where a folder above can't be entered; os.access does not.
        is_folder = os.access(out, os.F_OK) and self.out.is_dir()
        self.is_file = (
            not self.is_stream
            and len(inputs) == 1
            and not inputs[0].is_dir()
            and self.out.suffix != ""
            and not out.endswith(("/", os.sep))
            and not is_folder
        )
        if self.is_file:
            self.format = parse_format(self.out.suffix)
            if format and parse_format(format) != self.format:
                raise InputError(f"--format {format} contradicts the name {out}.")
        elif len(inputs) > 1 and self.out.suffix.lower() in SUFFIXES and not is_folder:
            raise InputError(f"{out} names one picture, and there are several: name a folder.")
        self._taken: dict[Path, Path] = {}
        if not self.is_stream:
            self._check_place()

    def skips(self, source: Path) -> bool:
        """Return whether a source is left out if its result exists, rather than refused.

        A folder so goes on where it was interrupted.
        """
        return self.skip_existing or (not self.overwrite and source not in self.inputs)

    def format_of(self, format: str) -> str:
        """Return the format of the result of a source in `format`; PNG if zoo only reads that."""
        return result_format(format, self.format)

    def target(self, source: Path, relative: Path, format: str) -> tuple[Path, str]:
        """Return the path and the format of the result of a source in `format`.

        Formats that zoo only reads become PNG, *.pbm becomes *.pgm. The folder of the result is
        created.
        Raises ImageError if the file is the source itself, or the result of another source.
        """
        format = self.format_of(format)
        target = self.out if self.is_file else self.out / relative
        target = result_name(target, format)
        first = self._taken.setdefault(target, source)
        if first != source:
            raise ImageError(f"{source}: its result would replace that of {first}, {target}.")
        if target.exists() and source.exists() and target.samefile(source):
            raise ImageError(f"{source}: the result would replace it; choose another folder.")
        make_folder(target.parent)
        return target, format

    def _check_place(self) -> None:
        """Raise ImageError if the file or the folder can't be made or written to."""
        folder = (self.out.parent if self.is_file else self.out).absolute()
        try:
            there = next(path for path in (folder, *folder.parents) if os.access(path, os.F_OK))
            self.out.exists()
        except (OSError, ValueError) as error:  # a name that is too long or holds a zero byte
            reason = getattr(error, "strerror", None) or error
            raise ImageError(f"{self.out}: no file can have this name ({reason}).") from error
        if not there.is_dir():
            raise ImageError(f"{folder}: the folder can't be made ({there} is a file).")
        if not os.access(there, os.W_OK | os.X_OK):
            raise ImageError(f"{folder}: the folder can't be written to.")
        if self.is_file and there == folder:
            reason = obstacle(self.out, overwrite=self.overwrite or self.skip_existing)
            if reason and not _same(self.out, self.inputs[0]):
                raise ImageError(f"{self.out}: {reason}")


def check_flags(*, overwrite: bool, skip_existing: bool) -> None:
    """Raise InputError if both flags are set."""
    if overwrite and skip_existing:
        raise InputError("--overwrite and --skip-existing contradict each other.")


def make_folder(folder: Path) -> None:
    """Create a folder and its parents; raise ImageError if that fails."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ImageError(f"{folder}: the folder can't be made ({error.strerror}).") from error


def _same(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and one.samefile(other)

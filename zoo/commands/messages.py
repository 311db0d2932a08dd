"""What a run over many files says: its progress, its errors and how long it took."""

from __future__ import annotations

import re

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from zoo.errors import ZooError

_NO_MEMORY = re.compile(r"out of memory|not enough memory|can't allocate memory", re.IGNORECASE)


def progress_bar(stderr: Console) -> Progress:
    """Return a bar that is shown on terminals alone, and gone when it ends."""
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


def sentence(source: str, error: Exception, memory_option: str) -> str:
    """Return what to say of an error, in one line that names the source.

    memory_option: the command's option that saves memory, if there is one.
    """
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


def duration(seconds: float) -> str:
    """Return "3.2 s", "5 min 7 s" or "2 h 10 min"."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min {rest} s"

"""What a run over many files says: its progress, and its last line."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

INTERRUPTED = 130  # exit status: 128 + SIGINT, as in shells


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


def summary(
    done: str,
    out: str,
    seconds: float,
    *,
    total: int,
    finished: int,
    present: int,
    failed: int,
    left_out: str = "",
    interrupted: bool = False,
) -> str:
    """Return the sentence on `total` pictures.

    done: what was done with the finished ones ("enlarged").
    out: where results are.
    left_out: what was left out and why, "" if nothing was.
    """
    parts = [f"{finished} of {total} {done} into {out} in {duration(seconds)}"]
    parts += [f"{present} present already (--overwrite replaces)"] if present else []
    parts += [left_out] if left_out else []
    parts += [f"{failed} failed"] if failed else []
    parts += ["interrupted"] if interrupted else []
    return ", ".join(parts) + "."


def duration(seconds: float) -> str:
    """Return "3.2 s", "5 min 7 s" or "2 h 10 min"."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min {rest} s"

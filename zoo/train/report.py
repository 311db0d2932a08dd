"""What a run tells while it trains: a bar on a terminal, plain lines elsewhere, TensorBoard."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Column
from torch.utils.tensorboard import SummaryWriter


class Report:
    """Tells the rows of a run's curve; used as a context manager.

    Args:
        folder: where TensorBoard's files go.
        step: of the run at the beginning; TensorBoard drops what an earlier run wrote after it.
        steps: of the whole run.
        silent: tell nothing, as all processes but one do.
    """

    def __init__(self, folder: Path, *, step: int, steps: int, silent: bool) -> None:
        self.folder, self.step, self.steps, self.silent = folder, step, steps, silent
        console = Console()
        self.plain = not silent and not console.is_interactive
        note = Column(no_wrap=True, overflow="ellipsis")
        self.progress = Progress(
            BarColumn(bar_width=16),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", table_column=note, markup=False),
            console=console,
            disable=silent or self.plain,
        )
        self.bar = TaskID(0)

    def __enter__(self) -> Report:
        self._stack = ExitStack()
        self.board: SummaryWriter | None = None
        if not self.silent:
            self.board = self._stack.enter_context(SummaryWriter(self.folder, purge_step=self.step))
        self._stack.enter_context(self.progress)
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def stage(self, steps: int, *, done: int) -> None:
        """A new stage with this number of steps begins, or goes on after `done` of them."""
        self.bar = self.progress.add_task("", total=steps, completed=done, note="")

    def advance(self) -> None:
        """A step is done."""
        self.progress.advance(self.bar)

    def row(self, row: Mapping[str, float], *, scored: bool) -> None:
        """Tell a row of the curve; with `scored`, it stays above the bar."""
        if self.silent:
            return
        figures = {name: value for name, value in row.items() if name != "step"}
        for name, value in figures.items():
            assert self.board is not None
            self.board.add_scalar(name, value, row["step"])
        text = "  ".join(f"{name} {value:.4g}" for name, value in figures.items())
        line = f"step {row['step']} of {self.steps}  {text}"
        if self.plain:
            print(line, flush=True)  # not rich's, which wraps lines
        else:
            self.progress.update(self.bar, note=f"loss {row['loss']:.4g}")
            if scored:
                self.progress.console.print(line, soft_wrap=True, highlight=False, markup=False)

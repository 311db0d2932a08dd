"""Text of others on a terminal: names of files and of weights may hold anything."""

from __future__ import annotations

from rich.console import Console


def plain(text: str) -> str:
    """Return a text in one line whose signs can all be seen.

    Others are shown as Python writes them, "\\x1b", so that none of them commands the terminal.
    """
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)


def say(console: Console, text: str, *, style: str = "") -> None:
    """Print a sentence, plain and without colours for its numbers."""
    console.print(plain(text), style=style, markup=False, highlight=False)

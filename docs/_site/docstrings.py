"""An extension of griffe: our docstrings list arguments as "name: text", which becomes a list."""

from __future__ import annotations

import re
from typing import Any

import griffe

ENTRY = re.compile(r"(\w+(?:, \w+)*): (.*)")


class Lists(griffe.Extension):
    """Rewrites the docstring of each object that is loaded."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = with_lists(obj.docstring.value)


def with_lists(text: str) -> str:
    """Return the text with "name, other: text" as items of a list; lines indented below follow."""
    lines: list[str] = []
    inside = False  # of a list
    for line in text.splitlines():
        entry = ENTRY.fullmatch(line)
        if (entry and not inside) or (inside and not entry and not line.startswith(" ")):
            lines.append("")
            inside = not inside
        if entry:
            names = entry[1].replace(", ", "`, `")
            line = f"- `{names}`: {entry[2]}"
        lines.append(line)
    return "\n".join(lines)

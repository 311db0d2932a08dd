"""docs/command_line.md's table of formats, as `FORMATS` says it."""

from __future__ import annotations

from zoo.pictures.formats import FORMATS, Format

_COLUMNS = ("profile", "EXIF", "XMP", "IPTC", "dpi", "text", "transparency", "16 bits")


def format_table() -> str:
    """Return the table in Markdown."""
    head = ["format", "files", *_COLUMNS]
    rows = [head, ["---"] * len(head), *(_row(name, known) for name, known in FORMATS.items())]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _row(name: str, known: Format) -> list[str]:
    files = " ".join(f"`{suffix}`" for suffix in known.suffixes)
    if not known.writable:
        return [name, files, "read only", *[""] * (len(_COLUMNS) - 1)]
    text = "comment" if "comment" in known.keeps else "yes" if "text" in known.keeps else ""
    deep = {(): "", (1,): "grey", (1, 3): "yes"}[known.deep]
    kept = ["yes" if field in known.keeps else "" for field in ("exif", "xmp", "iptc", "dpi")]
    yes = {True: "yes", False: ""}
    return [name, files, yes[known.profile], *kept, text, yes[known.alpha], deep]

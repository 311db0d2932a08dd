"""`zoo upscale`: enlarge pictures and folders of pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from zoo.commands.inputs import Sources
from zoo.commands.job import Job, Large
from zoo.commands.many_files import run
from zoo.commands.memory import limits, parse_memory, return_what_is_freed
from zoo.commands.outputs import Outputs
from zoo.errors import InputError
from zoo.inference.automatic import AutoUpscaler, Suggestion, make_upscaler


def upscale_files(
    inputs: list[Path],
    out: str,
    *,
    model: str,
    tile: str,
    precision: str,
    device: str,
    tta: bool,
    strength: float | None,
    format: str | None,
    quality: int,
    overwrite: bool,
    skip_existing: bool,
    max_pixels: int | None,
    memory: str | None,
) -> int:
    """Enlarge pictures and return the exit status; the arguments are those of the command.

    Raises ZooError for arguments that can't be used, before any work.
    """
    if tile not in ("auto", "whole") and not tile.isdecimal():
        raise InputError(f"--tile {tile} is none of auto, whole and a number from 1 up.")
    most = parse_memory(memory) if memory is not None else None
    side = int(tile) if tile.isdecimal() else {"auto": "auto", "whole": None}[tile]
    if most is not None:
        return_what_is_freed()
    outputs = Outputs(inputs, out, format, overwrite=overwrite, skip_existing=skip_existing)
    sources = Sources(inputs, outputs.out)
    upscaler = make_upscaler(
        model,
        tile=side,
        precision=precision,
        tta=tta,
        device=device,
        strength=strength,
        memory=most,
    )
    job = Job(
        upscaler.picture,
        done="enlarged",
        scale=upscaler.scale,
        large=Large(upscaler.large, limits(most, upscaler.device)),
        memory_option="--tile",
        hints=lambda: chosen(upscaler.made) if isinstance(upscaler, AutoUpscaler) else [],
    )
    return run(sources, outputs, job, quality=quality, max_pixels=max_pixels)


def chosen(made: Sequence[Suggestion]) -> list[str]:
    """A line for each model that was chosen: for how many pictures, and why."""
    reasons: dict[str, Counter[str]] = {}
    for suggestion in made:
        reasons.setdefault(suggestion.model, Counter())[suggestion.reason] += 1
    return [
        f"{counts.total()} by {model}: "
        + ", ".join(f"{reason} ({count})" for reason, count in counts.most_common(4))
        + (", …" if len(counts) > 4 else "")
        for model, counts in sorted(reasons.items())
    ]

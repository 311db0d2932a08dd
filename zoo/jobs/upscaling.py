"""The job of `zoo upscale`: enlarge a picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from torch import nn

from zoo.inference.automatic import AutoUpscaler, Suggestion, make_upscaler
from zoo.jobs.job import Job, Large, Place
from zoo.jobs.memory import limits, return_what_is_freed
from zoo.sources import Name


def upscaling(
    place: Place,
    *,
    model: Name | nn.Module,
    tile: int | str | None,
    tta: bool,
    strength: float | None,
) -> Job:
    """Return the job of enlarging pictures; the arguments are those of `make_upscaler`.

    Raises what `make_upscaler` raises.
    """
    if place.memory is not None:
        return_what_is_freed()
    upscaler = make_upscaler(
        model,
        tile=tile,
        precision=place.precision,
        tta=tta,
        device=place.device,
        strength=strength,
        memory=place.memory,
        runtime=place.runtime,
    )
    most = limits(place.memory, upscaler.device, place.processes)
    return Job(
        upscaler.picture,
        done="enlarged",
        scale=upscaler.scale,
        large=Large(upscaler.large, most),
        memory_option="--tile",
        hints=lambda: chosen(upscaler.made) if isinstance(upscaler, AutoUpscaler) else [],
    )


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

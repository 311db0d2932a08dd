"""What one visitor may ask of the page: bytes, pixels and seconds."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from zoo.errors import ImageError, InputError


@dataclass(frozen=True)
class Limits:
    """Bounds of one job.

    megabytes: of a file, 10⁶ bytes each.
    megapixels: of a photograph and of its result, 10⁶ pixels each.
    seconds: of an enlargement. A cutout looks at a small square and always takes a moment.

    Raises InputError for a bound that is not above 0.
    """

    megabytes: float = 50
    megapixels: float = 100
    seconds: float = 300

    def __post_init__(self) -> None:
        for name in ("megabytes", "megapixels", "seconds"):
            bound = getattr(self, name)
            if not bound > 0:
                raise InputError(
                    f"--max-{name} {bound} allows nothing; accepted are numbers above 0."
                )

    @property
    def bytes(self) -> int:
        return int(self.megabytes * 1e6)

    @property
    def pixels(self) -> int:
        return int(self.megapixels * 1e6)

    def check_bytes(self, count: int) -> None:
        """Raise ImageError for a file of more bytes."""
        if count > self.bytes:
            raise ImageError(
                f"the file has {count / 1e6:,.1f} MB, and this page takes {self.megabytes:g} MB."
            )

    def check_pixels(self, width: int, height: int, *, scale: int = 1) -> None:
        """Raise ImageError if a photograph, or its result of `scale` times the side, is larger."""
        if width * height > self.pixels:
            raise ImageError(
                f"the photograph has {width:,} × {height:,} pixels, and this page takes"
                f" {self.megapixels:g} million."
            )
        width, height = width * scale, height * scale
        if width * height > self.pixels:
            raise ImageError(
                f"the result would have {width:,} × {height:,} pixels, and this page makes"
                f" {self.megapixels:g} million; choose a model that enlarges less, or a smaller"
                " photograph."
            )


class Clock:
    """A progress hook that passes on the share that is done, and ends a job that takes too long."""

    def __init__(self, limits: Limits, report: Callable[[float], object]) -> None:
        self.seconds, self.report, self.start = limits.seconds, report, time.monotonic()

    def __call__(self, share: float) -> None:
        """Raise ImageError at the end of the time, or early where that is far from enough."""
        spent = time.monotonic() - self.start
        expected = spent / share
        hopeless = spent > self.seconds / 10 and expected > 2 * self.seconds
        if share < 1 and (spent > self.seconds or hopeless):
            raise ImageError(
                f"the result would take about {duration(expected)}, and this page stops at"
                f" {duration(self.seconds)}; choose a faster model, such as srresnet_x2.fast, or a"
                " smaller photograph."
            )
        self.report(share)


def duration(seconds: float) -> str:
    """Return "40 seconds" or "5 minutes"."""
    if seconds < 100:
        return f"{seconds:.3g} seconds"
    return f"{seconds / 60:,.0f} minutes"

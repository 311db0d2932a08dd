"""Things made one step ahead in a thread, while what came before is worked on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

T = TypeVar("T")


def ahead(draw: Callable[[int], T], steps: range) -> Iterator[T]:
    """`draw(step)` for each of the steps, in order, drawn in a thread before it is asked for.

    What `draw` raises comes out where its result would have.
    """
    return (drawn.result() for drawn in finished_ahead(draw, steps))


def finished_ahead(draw: Callable[[int], T], steps: range) -> Iterator[Future[T]]:
    """As `ahead`, but what is yielded holds a result or what `draw` raised: both go on."""
    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(draw, steps[0]) if steps else None
        for step in steps:
            assert coming is not None
            drawn = coming
            wait([drawn])
            if step + 1 in steps:
                coming = thread.submit(draw, step + 1)
            yield drawn

"""Things made one step ahead in a thread, while what came before is worked on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


def ahead(draw: Callable[[int], T], steps: range) -> Iterator[T]:
    """`draw(step)` for each of the steps, in order, drawn in a thread before it is asked for.

    What `draw` raises comes out where its result would have.
    """
    with finished_ahead(draw, steps) as coming:
        for drawn in coming:
            yield drawn.result()


@contextmanager
def finished_ahead(draw: Callable[[int], T], steps: range) -> Iterator[Iterator[Future[T]]]:
    """As `ahead`, but what is yielded holds a result or what `draw` raised: both go on.

    The end of the block waits for the thread. The garbage collector may not: it comes at any
    moment, also to threads that hold a lock which the end of another thread needs.
    """
    with ThreadPoolExecutor(1) as thread:
        yield _finished(thread, draw, steps)


def _finished(
    thread: ThreadPoolExecutor, draw: Callable[[int], T], steps: range
) -> Iterator[Future[T]]:
    coming = thread.submit(draw, steps[0]) if steps else None
    for step in steps:
        assert coming is not None
        drawn = coming
        wait([drawn])
        if step + 1 in steps:
            coming = thread.submit(draw, step + 1)
        yield drawn

"""Batches made one step ahead, while the network works on the one before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def ahead(draw: Callable[[int], T], steps: range) -> Iterator[T]:
    """`draw(step)` for each of the steps, in order, drawn in a thread before it is asked for.

    What `draw` raises comes out where its batch would have.
    """
    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(draw, steps[0]) if steps else None
        for step in steps:
            assert coming is not None
            batch = coming.result()
            if step + 1 in steps:
                coming = thread.submit(draw, step + 1)
            yield batch

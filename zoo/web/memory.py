"""Memory that jobs have freed goes back to the system, so that the server does not seem to grow."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def given_back() -> Iterator[None]:
    """Give back, after a job, what it has freed.

    The GNU C library keeps freed memory for each thread, and gradio runs jobs in many. Other
    libraries give it back themselves.
    """
    try:
        yield
    finally:
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
        if trim is not None:
            trim(0)

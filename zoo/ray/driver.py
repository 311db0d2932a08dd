"""Run a job in a process of its own: Ray ends its process, without a word, if the cluster goes."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from types import FrameType
from typing import Any

import ray
from ray.data import DataContext, Dataset

from zoo.errors import ClusterError, ZooError
from zoo.ray.cluster import connected
from zoo.ray.ledger import Row

Plan = Callable[[], tuple[Dataset, int]]

_CONNECTING = 300  # seconds
_ENDING = 30  # seconds, after which what is left of Ray is killed


@contextmanager
def running(
    plan: Plan, address: str | None, *, workers: int | None
) -> Iterator[tuple[int, Iterator[list[Row]]]]:
    """Yield the number of photographs, and rows of the report as they become known.

    plan: makes the report once a process is connected to the cluster.
    address, workers: see `connected`.

    Raises what `connected` and the plan raise; as the rows do, ClusterError if the cluster goes
    away.
    """
    context = get_context("spawn")  # Ray's threads and a fork don't go together
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=_drive, args=(sending, plan, address, workers))
    process.start()
    sending.close()
    try:
        if not receiving.poll(_CONNECTING):
            raise ClusterError(f"No Ray cluster answers at {address or 'this machine'}.")
        messages = _messages(receiving)
        next(messages)  # it is connected
        yield next(messages), messages
        process.join(_ENDING)
    finally:
        receiving.close()
        for end in (process.terminate, process.kill):
            if process.is_alive():
                end()
                process.join(_ENDING)


def _messages(receiving: Connection) -> Iterator[Any]:
    """Yield what the process sends until it ends; raise the errors that it sends."""
    try:
        while (message := receiving.recv()) is not None:
            if isinstance(message, Exception):
                raise message
            yield message
    except EOFError as error:
        raise ClusterError("The Ray cluster went away.") from error


def _drive(sending: Connection, plan: Plan, address: str | None, workers: int | None) -> None:
    """Send 0 once connected, the number of photographs, lists of rows; at last None or an error."""
    _be_quiet()
    try:
        with connected(address, workers=workers):
            signal.signal(signal.SIGTERM, _leave)  # Ray's own handler takes half a minute
            sending.send(0)
            report, count = plan()
            sending.send(count)
            for batch in report.iter_batches(batch_size=None, batch_format="pyarrow"):
                sending.send([Row(**row) for row in batch.to_pylist()])
            sending.send(None)
    except Exception as error:
        sending.send(_told(error))


def _leave(number: int, frame: FrameType | None) -> None:
    sys.exit(1)


def _told(error: Exception) -> ZooError:
    """Return an error of zoo, which other processes can read, for what Ray makes of it."""
    cause = error.cause if isinstance(error, ray.exceptions.RayTaskError) else error
    if isinstance(cause, ZooError):
        return type(cause)(str(cause).partition("\n")[0])  # Ray adds lines of its own
    text = (str(cause).strip() or type(cause).__name__).splitlines()[-1].rstrip(".")
    return ClusterError(f"Ray gave up ({type(cause).__name__}: {text}).")


def _be_quiet() -> None:
    """Leave the terminal to the command, and Ctrl-C to the process that started this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    logging.getLogger("ray").setLevel(logging.CRITICAL)
    DataContext.get_current().enable_progress_bars = False

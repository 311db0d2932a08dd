"""Work in forks of this process: packages are imported once, so that hundreds of starts are quick.

PyTorch must not have started threads before: call `be_single` first.
"""

from __future__ import annotations

import math
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import torch

from zoo.cli import main

Work = Callable[[], object]


def be_single() -> None:
    """Let PyTorch compute in one thread; a fork has no others."""
    torch.set_num_threads(1)


def start(work: Work, said: Path) -> int:
    """Begin work in a fork; return its process number. What it prints goes into a file."""
    process = os.fork()
    if process:
        return process
    status = 70  # of an error that nobody expected
    try:
        _print_into(said)
        work()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def finish(process: int, *, seconds: float = math.inf) -> int:
    """Wait for a fork; return its exit status, or minus the signal that ended it.

    After so many seconds it is killed.
    """
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(process, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(process, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def zoo(*arguments: object) -> Work:
    """Return `zoo ARGUMENTS` as work."""
    return lambda: main([str(argument) for argument in arguments])


def _print_into(said: Path) -> None:
    file = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, 1)
    os.dup2(file, 2)
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", closefd=False)

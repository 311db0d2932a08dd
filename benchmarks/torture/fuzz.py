"""Damaged files for every reader: only zoo's own errors come out, soon, and in bounded memory.

Files are read in a process of its own, which may hang or crash. Each depends on its number alone,
so that what fails can be made again: `python benchmarks/torture replay READER NUMBER`.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import resource
import tempfile
import time
import traceback
import warnings
from dataclasses import asdict, dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

from torture.mutate import mutated
from torture.readers import READERS
from zoo.errors import ZooError

SECONDS = 10  # that a file may take
MEMORY = 2**30  # bytes that it may take


@dataclass
class Tally:
    """What became of damaged files; defects are "NUMBER: what happened"."""

    tried: int = 0
    read: int = 0
    refused: int = 0
    slowest: float = 0.0  # seconds
    peak: int = 0  # bytes
    defects: list[str] = field(default_factory=list)


def fuzz(name: str, count: int, *, first: int = 0) -> dict[str, Any]:
    """Try files `first` to `first + count - 1` of a reader; return the tally for JSON."""
    total = Tally()
    context = multiprocessing.get_context("spawn")
    number, end = first, first + count
    while number < end:
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_work, args=(name, number, end, theirs), daemon=True)
        process.start()
        theirs.close()
        number = _watch(process, ours, total, number)
        process.kill()
        process.join()
    return {"case": name, **asdict(total)}


def _watch(process: Any, reports: Connection, total: Tally, number: int) -> int:
    """Follow a process until it ends; return the number of the file that comes next."""
    limit = 120.0  # it imports packages first
    try:
        while reports.poll(limit):
            message = reports.recv()
            if isinstance(message, int):  # this one is about to be read
                number, limit = message, SECONDS
            else:
                _add(total, message)
    except EOFError:
        process.join(5)
        if process.exitcode == 0:
            return number + 1
        total.defects.append(f"{number}: the process ended with status {process.exitcode}")
    else:
        total.defects.append(f"{number}: not done after {SECONDS} s")
    total.tried += 1
    return number + 1


def _add(total: Tally, part: Tally) -> None:
    total.tried += part.tried
    total.read += part.read
    total.refused += part.refused
    total.slowest = max(total.slowest, part.slowest)
    total.peak = max(total.peak, part.peak)
    total.defects += part.defects


def _work(name: str, number: int, end: int, reports: Connection) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # C libraries talk
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        whole = READERS[name].prepare(place)
        before = _peak()
        resource.setrlimit(resource.RLIMIT_DATA, (_taken() + 2 * MEMORY, resource.RLIM_INFINITY))
        for index in range(number, end):
            reports.send(index)
            part = attempt(name, place, whole, index)
            part.peak = max(_peak() - before, 0)
            reports.send(part)


def attempt(name: str, folder: Path, whole: list[bytes], number: int) -> Tally:
    """Read one damaged file."""
    reader = READERS[name]
    file = folder / reader.name
    file.write_bytes(mutated(whole, random.Random(f"{name} {number}")))
    part = Tally(tried=1)
    begun = time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            reader.read(file)
        part.read = 1
    except ZooError:
        part.refused = 1
    except (Exception, SystemExit) as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        text = str(error).partition("\n")[0][:200]
        part.defects.append(
            f"{number}: {type(error).__name__}: {text} ({Path(where.filename).name}:{where.lineno})"
        )
    part.slowest = time.perf_counter() - begun
    return part


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _taken() -> int:
    """Bytes of this process's data segment, which RLIMIT_DATA counts."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmData:"):
            return int(line.split()[1]) * 1024
    raise OSError("this system tells no VmData")

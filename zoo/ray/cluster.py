"""The Ray cluster of a command: connect to one or start one, and what of it each worker takes."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import ray

from zoo.errors import ClusterError, InputError, did_you_mean
from zoo.jobs.job import Place

AUTO = "auto"  # the cluster that runs on this machine
_ADDRESS = re.compile(r"[\w.-]+:\d{1,5}")
_DEVICES = ("auto", "cpu", "cuda")
_SECONDS = 5  # to reach a machine
_STORE = 2**27  # bytes for objects of Ray: names and rows of reports, no pixels


def check_address(address: str | None) -> None:
    """Check what a user names as the address of a cluster.

    Raises InputError unless it is "HOST:PORT", "auto", or None for a cluster of one's own;
    ClusterError if nothing listens there.
    """
    if address is not None and address != AUTO and not _ADDRESS.fullmatch(address):
        hint = did_you_mean(address, [AUTO])
        raise InputError(
            f"{address!r} is no address of a Ray cluster; accepted are HOST:PORT, and auto for the "
            f"cluster that runs on this machine.{hint}"
        )
    if address not in (None, AUTO):
        _reach(str(address))


@contextmanager
def connected(address: str | None, *, workers: int | None) -> Iterator[None]:
    """Be connected to a cluster; without an address to one that is started here, and stopped.

    workers: a cluster that is started has room for as many.
    Raises ClusterError if there is no cluster, or this machine is no part of it.
    """
    room = None if address else max(os.cpu_count() or 1, workers or 1)
    try:
        ray.init(
            address or "local",
            log_to_driver=False,
            logging_level="ERROR",
            include_dashboard=None if address else False,
            num_cpus=room,
            object_store_memory=None if address else _STORE,
        )
    except Exception as error:  # ConnectionError, RuntimeError, ValueError, …
        reason = " ".join(str(error).split()).rstrip(".")
        where = address or "this machine"
        raise ClusterError(f"There is no Ray cluster to use at {where} ({reason}).") from error
    try:
        yield
    finally:
        ray.shutdown()


class Shares(NamedTuple):
    """How many workers there are, on one machine at most, and what share of a GPU each has."""

    workers: int
    on_a_machine: int
    gpus: float


def shares(*, workers: int | None, gpus: float | None, place: Place) -> Shares:
    """Divide the cluster among workers.

    workers: None for as many as the cluster has room for.
    gpus: in [0, 1]; None for 1 if the cluster has GPUs and the place may be one, else 0.

    Raises InputError for numbers and devices outside of that, and for GPUs that the cluster lacks.
    """
    if workers is not None and workers < 1:
        raise InputError(f"workers={workers} is no number of workers; accepted are 1 and more.")
    if gpus is not None and not 0 <= gpus <= 1:
        raise InputError(f"gpus={gpus:g} is no share of a GPU: accepted is 0 to 1 for each worker.")
    device = place.device
    if device not in _DEVICES:
        raise InputError(
            f"device={device!r} is none of {', '.join(_DEVICES)}: Ray says which GPU a worker has."
            f"{did_you_mean(device, _DEVICES)}"
        )
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    has_gpus = any(machine.get("GPU", 0) > 0 for machine in machines)
    if gpus is None:
        fits = has_gpus and device == "auto" and place.runtime == "torch"
        gpus = 1.0 if device == "cuda" or fits else 0.0
    if (device == "cpu" and gpus > 0) or (device == "cuda" and gpus == 0):
        raise InputError(f"device={device!r} and gpus={gpus:g} contradict each other.")
    if gpus > 0 and not has_gpus:
        raise InputError("The cluster has no GPU: leave gpus (--gpus) out, or set it to 0.")
    if place.precision == "fp16" and not gpus:
        raise InputError("precision='fp16' needs a GPU; the CPU takes 'bf16' and 'fp32'.")
    if place.runtime != "torch" and gpus:
        raise InputError(f"runtime={place.runtime!r} works on the CPU: leave gpus (--gpus) out.")
    rooms = [_room(machine, gpus) for machine in machines]
    workers = workers or max(1, sum(rooms))
    return Shares(workers, max(1, min(workers, max(rooms))), gpus)


def _room(machine: dict[str, float], gpus: float) -> int:
    """Return how many workers a machine has room for; each takes a CPU."""
    room = int(machine.get("CPU", 0))
    # A GPU takes whole workers: with a share of 0.4 it has room for two.
    return min(room, int(machine.get("GPU", 0)) * int(1 / gpus)) if gpus else room


def _reach(address: str) -> None:
    """Raise ClusterError if nothing listens there; Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise ClusterError(
            f"Nothing answers at {address} ({error}): start a cluster with `ray start --head`, or "
            "leave the address out."
        ) from error

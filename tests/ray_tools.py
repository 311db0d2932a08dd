"""A small Ray cluster, photographs for it, and a network that ends its process at some."""

from __future__ import annotations

import csv
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import files, photograph
from PIL import Image
from torch import Tensor, nn

LIMIT = pytest.mark.timeout(480, method="signal")  # seconds; fixtures then end the cluster
_STORE = 80_000_000  # bytes in /dev/shm, which is small on some machines
_PATIENCE = 120  # seconds


@contextmanager
def settings() -> Iterator[pytest.MonkeyPatch]:
    """The environment of a Ray that sends nothing, and whose workers find the tests' modules."""
    paths = [os.environ.get("PYTHONPATH", ""), str(Path(__file__).parent)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_AUTH_MODE", "disabled")
        patch.setenv("RAY_worker_niceness", "0")  # else a busy machine starves the workers
        yield patch


@contextmanager
def cluster(cpus: int = 2) -> Iterator[object]:
    """A cluster of one node on this machine; it is gone at the end, whatever happens."""
    import ray
    from ray.cluster_utils import Cluster

    arguments = {"num_cpus": cpus, "object_store_memory": _STORE, "include_dashboard": False}
    with settings():
        made = Cluster(initialize_head=True, head_node_args=arguments)
        try:
            yield made
        finally:
            ray.shutdown()
            made.shutdown()


def holiday(folder: Path) -> Path:
    """Six good photographs and two broken ones, in a folder with subfolders."""
    (folder / "day 2" / "[late]").mkdir(parents=True)
    turned = Image.Exif()
    turned[0x0112] = 6  # to be turned by a quarter
    photograph().save(folder / "turned.jpg", exif=turned, quality=90)
    photograph(mode="RGBA").save(folder / "cut out.png", dpi=(300, 300))
    photograph().save(folder / "day 2" / "b.webp")
    photograph().save(folder / "day 2" / "[late]" / "c.tif")
    photograph().save(folder / "wrong.bmp", "JPEG")
    photograph(mode="P").save(folder / "twice.gif")
    (folder / "text.png").write_text("This is no picture.")
    (folder / "empty.jpg").touch()
    (folder / "notes.txt").write_text("not meant")
    return folder


def grey(folder: Path, levels: range) -> Path:
    """A photograph of each level; its name is the level."""
    folder.mkdir()
    for level in levels:
        Image.fromarray(np.full((8, 8), level, np.uint8)).save(folder / f"{level:03}.png")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in files(folder) if "report" not in name}


def finished(folder: Path) -> list[str]:
    """The names of results; what is still written has a hidden one."""
    return [name.name for name in folder.glob("[!.]*") if "report" not in name.name]


def rows(report: Path) -> dict[str, dict[str, str]]:
    with report.open(newline="") as file:
        return {row["source"]: row for row in csv.DictReader(file)}


def when(there: Callable[[], bool], do: Callable[[], object]) -> threading.Thread:
    """Do something as soon as a condition holds, in a thread."""

    def wait() -> None:
        end = time.monotonic() + _PATIENCE
        while not there() and time.monotonic() < end:
            time.sleep(0.01)
        do()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


class Mortal(nn.Module):
    """Enlarges photographs of one grey level by 2, and writes down the level of each at its end.

    log: a file of levels, one a line. once: the level at which it dies, the first time. always: the
        level at which it dies every time.
    """

    scale = 2

    def __init__(self, log: Path, *, once: int, always: int) -> None:
        super().__init__()
        self.log, self.once, self.always = str(log), once, always

    def forward(self, x: Tensor) -> Tensor:
        level = round(float(x.mean()) * 255)
        if level == self.once:
            flag = Path(self.log).with_suffix(".died")
            if not flag.exists():
                flag.touch()
                os.kill(os.getpid(), signal.SIGKILL)
        if level == self.always:
            os.kill(os.getpid(), signal.SIGKILL)
        with Path(self.log).open("a") as log:  # short lines are appended whole
            log.write(f"{level}\n")
        return torch.nn.functional.interpolate(x, scale_factor=2)

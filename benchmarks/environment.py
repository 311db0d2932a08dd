"""The machine, versions and commit of a measurement, stored with every benchmark result."""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

_LIBRARIES = ("torch", "torchvision", "timm", "numpy", "pillow", "safetensors")
_ROOT = Path(__file__).parents[1]
_WRITTEN = ("benchmarks/results", "docs", "zoo/pretrained", "*.md")


def environment() -> dict[str, Any]:
    """Return the versions, the machine and the commit, ready for JSON.

    "commit" is the full git hash, with "-dirty" appended if tracked files differ from it, but for
    those that measuring and publishing write, or None outside a checkout. "gpu" is None on a
    machine without one. Host name and paths are left out.
    """
    return {
        "python": platform.python_version(),
        "libraries": {name: _version(name) for name in _LIBRARIES},
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": cpu_name(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "commit": commit(),
    }


def cpu_name() -> str:
    """Return the processor's name as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def commit() -> str | None:
    """Return the commit of the checkout that holds this file, or None."""
    if not (_ROOT / ".git").exists():
        return None
    measured = [f":(exclude){place}" for place in _WRITTEN]
    try:
        head = _git("rev-parse", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no", "--", ".", *measured)
    except (OSError, subprocess.CalledProcessError):
        return None
    return head + "-dirty" * bool(changed)


def _git(*arguments: str) -> str:
    command = ["git", *arguments]
    answer = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=True)
    return answer.stdout.strip()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None

"""The global random generators, which dropout and other random layers draw from."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch


def hashed(*numbers: int) -> int:
    """A seed from several numbers. A hash, because generators on the CPU take only the lower 32
    bits of a seed.
    """
    text = " ".join(map(str, numbers))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def seed_all(seed: int) -> None:
    """Seed the generators of Python, numpy and torch, on every device."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # takes no larger one
    torch.manual_seed(seed)


def random_state(device: torch.device) -> dict[str, Any]:
    """The states of Python's, numpy's and torch's generators, the last on the CPU and on `device`.

    They are tensors and plain containers, which a checkpoint can hold.
    """
    numpy_state: Any = np.random.get_state()
    kind, keys, *rest = numpy_state
    state = {
        "python": random.getstate(),
        "numpy": (kind, keys.tolist(), *rest),
        "torch": torch.get_rng_state(),
    }
    if device.type != "cpu":
        state[device.type] = getattr(torch, device.type).get_rng_state()
    return state


def set_random_state(state: Mapping[str, Any], device: torch.device) -> None:
    """Restore what `random_state` returned, perhaps on another kind of device."""
    random.setstate(state["python"])
    np.random.set_state(state["numpy"])
    torch.set_rng_state(state["torch"])
    if device.type in state:
        getattr(torch, device.type).set_rng_state(state[device.type])

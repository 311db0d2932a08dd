"""Checkpoints of a run, replaced atomically, and the weights that a run starts from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from zoo.create import load_model
from zoo.errors import TrainingError
from zoo.store.atomic import replacing
from zoo.train.transfer import TransferReport, transfer_weights


def save_checkpoint(file: Path, state: dict[str, Any]) -> None:
    """Writes tensors, numbers and plain containers for `load_checkpoint`, atomically."""
    with replacing(file) as part:
        torch.save(state, part)


def load_checkpoint(file: Path) -> dict[str, Any]:
    """Reads a checkpoint onto the CPU; code in the file is never run.

    Raises:
        TrainingError: the file is missing or damaged.
    """
    if not file.is_file():
        raise TrainingError(f"There is no checkpoint {file} to resume from.")
    try:
        state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises many kinds for damaged files
        raise TrainingError(f"The checkpoint {file} can't be read: it is damaged.") from error
    return state


def start_from(model: nn.Module, start: str, *, min_copied: float) -> TransferReport:
    """Copies the entries that fit from the weights `start`: registered ones ("srresnet_x2.psnr", or
    "srresnet_x2" for its default), "hf-hub:…" or a folder of `save_model`, such as a run's `best`.

    Raises:
        ZooError: the weights are unknown or unreadable, or less than the share `min_copied` fits.
    """
    return transfer_weights(load_model(start), model, min_copied=min_copied)

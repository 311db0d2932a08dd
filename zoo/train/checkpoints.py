"""Files that a run leaves behind: whole or not at all, whenever the process is killed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from zoo.errors import TrainingError
from zoo.registry import create_model
from zoo.transfer import TransferReport, transfer_weights


def write_whole(file: Path, write: Callable[[Path], object]) -> None:
    """Calls `write` with a temporary name beside `file`, which it then replaces in one step."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        write(temporary)
        os.replace(temporary, file)
    finally:
        temporary.unlink(missing_ok=True)


def save_checkpoint(file: Path, state: dict[str, Any]) -> None:
    """Writes tensors, numbers and plain containers for `load_checkpoint`."""
    write_whole(file, lambda path: torch.save(state, path))


def load_checkpoint(file: Path) -> dict[str, Any]:
    """Reads a checkpoint onto the CPU; code in the file is never run.

    Raises:
        TrainingError: the file is missing or damaged.
    """
    try:
        state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise TrainingError(f"There is no checkpoint {file} to resume from.") from error
    except Exception as error:  # torch.load raises many kinds for damaged files
        raise TrainingError(f"The checkpoint {file} can't be read: it is damaged.") from error
    return state


def save_weights(file: Path, model: nn.Module, *, metadata: dict[str, str] | None = None) -> None:
    """Writes a model's weights as fp32 safetensors with its `config`, so that the file tells what
    it is for. `metadata` adds entries."""
    tensors = {name: value.contiguous() for name, value in model.state_dict().items()}
    facts = {"config": json.dumps(model.config), **(metadata or {})}
    write_whole(file, lambda path: save_file(tensors, path, metadata=facts))


def start_from(model: nn.Module, start: str, *, min_copied: float) -> TransferReport:
    """Copies what fits from other weights: a registered tag or a file of `save_weights`.

    Raises:
        ZooError: unknown or unreadable weights, or less than `min_copied` fits.
    """
    if not start.endswith(".safetensors"):
        source = create_model(start)
    elif not Path(start).is_file():
        raise TrainingError(f"There is no weight file {start} to start from.")
    else:
        with safe_open(start, framework="pt") as opened:
            config = json.loads((opened.metadata() or {}).get("config", "null"))
        if config is None:
            raise TrainingError(f"{start} does not tell its architecture, so nothing starts there.")
        source = create_model(config["architecture"], **config["options"])
        source.load_state_dict(load_file(start))
    return transfer_weights(source, model, min_copied=min_copied)

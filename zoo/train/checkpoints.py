"""A run's folder: its checkpoint, replaced atomically, and the weights that a run starts from."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import nn

from zoo.create import load_model
from zoo.errors import TrainingError
from zoo.sources import resolve
from zoo.store.atomic import replacing, sweep
from zoo.store.download import sha256_of
from zoo.train.transfer import TransferReport, transfer_weights

CHECKPOINT = "last.pt"
START_FILE = "start.json"  # the name and sha256 of the weights that a run began with


def check_place(folder: Path) -> None:
    """Find out, before any work, whether a folder can be made and written to; nothing is made.

    Raises:
        TrainingError: it can't.
    """
    try:
        place = next(place for place in (folder, *folder.absolute().parents) if place.exists())
        if not place.is_dir():
            raise NotADirectoryError(None, f"{place} is a file")
        if not os.access(place, os.W_OK | os.X_OK):
            raise PermissionError(None, f"{place} can't be written to")
    except OSError as error:
        raise TrainingError(
            f"Nothing can be kept in {folder}: {error.strerror}; --out names another folder."
        ) from error


def check_folder(folder: Path, *, resume: bool) -> None:
    """Find out, before any work, whether a run can be kept in a folder.

    Raises:
        TrainingError: see `check_place`; the folder holds no run to resume; or, if none is to be
            resumed, it holds one.
    """
    check_place(folder)
    held = (folder / CHECKPOINT).exists()
    if resume and not held:
        raise TrainingError(f"There is no checkpoint {folder / CHECKPOINT} to resume from.")
    if held and not resume:
        raise TrainingError(
            f"{folder} holds a run already: --resume (resume=True) goes on with it, another --out"
            " (folder) keeps it."
        )


def make_folder(folder: Path, recipe: dict[str, Any], start: dict[str, str] | None) -> None:
    """Make a run's folder with its recipe, and clear what a killed process left in it.

    start: see `facts_of_start`; None for random weights and for a run that goes on.

    Raises:
        TrainingError: the folder can't be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for place in (folder, *filter(Path.is_dir, folder.rglob("*"))):
            sweep(place)
        with replacing(folder / "recipe.yaml") as part:
            part.write_text(yaml.safe_dump(recipe, sort_keys=False))
        if start is not None:
            with replacing(folder / START_FILE) as part:
                part.write_text(json.dumps(start) + "\n")
    except OSError as error:
        raise TrainingError(f"{folder}: the folder can't be made ({error.strerror}).") from error


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


def batches_of(folder: Path) -> int | None:
    """How many batches a step the run in a folder has, see `zoo.train.sharing`; None if unknown.

    Raises:
        TrainingError: see `load_checkpoint`.
    """
    state = load_checkpoint(folder / CHECKPOINT)
    batches: int | None = state.get("batches") or state.get("processes")
    return batches


def start_from(model: nn.Module, start: str, *, min_copied: float) -> TransferReport:
    """Copies the entries that fit from the weights `start`: registered ones ("srresnet_x2.psnr", or
    "srresnet_x2" for its default), "hf-hub:…" or a folder of `save_model`, such as a run's `best`.

    Raises:
        ZooError: the weights are unknown or unreadable, or less than the share `min_copied` fits.
    """
    return transfer_weights(load_model(start), model, min_copied=min_copied)


def facts_of_start(start: str) -> dict[str, str]:
    """The name and the sha256 of the weights `start`, see `start_from`."""
    architecture, source = resolve(start)
    if source is None:
        _, source = resolve(architecture, "default")
    assert source is not None  # resolve() finds "default" or raises
    return {"start": start, "sha256": sha256_of(source.fetch())}

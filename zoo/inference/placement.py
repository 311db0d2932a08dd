"""A model made ready to run: loaded once, on its device, in eval mode while it is needed."""

from __future__ import annotations

import copy
import functools
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

from zoo.device import pick_device
from zoo.errors import InputError
from zoo.hub import load_model
from zoo.model import ZooModel
from zoo.registry import create_model, list_models

_lock = threading.Lock()


def load(name: str, device: torch.device) -> nn.Module:
    """Return a pretrained model by name, in eval mode; asked for again, the same one.

    name: "srresnet_x4" (its default weights), "srresnet_x4.psnr", "hf-hub:org/repo@revision" or a
        folder that `save_model` wrote, which is read anew each time.
    Raises UnknownNameError and WeightsError.
    """
    if _is_folder(name):
        return _load(name, device)
    with _lock:  # two threads that ask for one model wait for one load
        return _load_once(name, device)


def place(
    model: str | os.PathLike[str] | nn.Module, device: str | torch.device
) -> tuple[nn.Module, torch.device]:
    """Return a model where it is to run, and the device.

    A name, or the path of a folder, is loaded. A module stays where it is, itself, or becomes a
    copy if `device` names another place.
    Raises UnknownNameError and WeightsError for names, InputError for the device or another model.
    """
    if isinstance(model, str | os.PathLike):
        chosen = pick_device(device)
        return load(os.fspath(model), chosen), chosen
    if not isinstance(model, nn.Module):
        raise InputError(f"A model is a name, a folder or a module, not a {type(model).__name__}.")
    chosen = home(model) if device == "auto" else pick_device(device)
    return (model if chosen == home(model) else copy.deepcopy(model).to(chosen)), chosen


def _is_folder(name: str) -> bool:
    """A registered name comes first: a folder of the same name may lie around."""
    if name.startswith("hf-hub:") or name.partition(".")[0] in list_models():
        return False
    return name.startswith(".") or Path(name).is_dir() or len(Path(name).parts) > 1


def open_pretrained(name: str) -> ZooModel:
    """Return a new model by name, as `load` takes it, never with random weights."""
    if name.startswith("hf-hub:") or _is_folder(name):
        return load_model(name)
    return create_model(name, weights=None if "." in name else "default")


def _load(name: str, device: torch.device) -> nn.Module:
    model = open_pretrained(name).eval().requires_grad_(False).to(device)
    return model.to(memory_format=layout(device))


_load_once = functools.lru_cache(maxsize=4)(_load)


def layout(device: torch.device) -> torch.memory_format:
    """Return the memory format in which convolutions are fastest."""
    return torch.contiguous_format if device.type == "mps" else torch.channels_last


def home(model: nn.Module) -> torch.device:
    """Return the device of a model's parameters."""
    return next((entry.device for entry in model.parameters()), torch.device("cpu"))


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Hold a model in eval mode; afterwards each submodule is in the mode that it was in."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True

"""Prepare a model for inference: load it once, put it on a device and in eval mode."""

from __future__ import annotations

import copy
import functools
import os
import threading
from typing import cast

import torch
from torch import Tensor, nn

from zoo.create import load_model
from zoo.errors import InputError
from zoo.inference.device import pick_device
from zoo.inference.onnx_model import OnnxModel
from zoo.sources import Name, is_onnx, names_folder
from zoo.store.state_dict import unwrap

_lock = threading.Lock()


def load(name: Name, device: torch.device) -> nn.Module:
    """Return a pretrained model on a device, in eval mode; registered models are cached.

    name: "srresnet_x4" (its default weights), "srresnet_x4.psnr", or, loaded anew each time, a
        folder that `save_model` wrote or "hf-hub:org/repo@revision".
    Raises UnknownNameError and WeightsError.
    """
    if isinstance(name, os.PathLike) or names_folder(name):
        return _load(name, device)
    with _lock:  # threads that need the same model wait for one load
        return _load_once(name, device)


def place(model: Name | nn.Module, device: str | torch.device) -> tuple[nn.Module, torch.device]:
    """Return a model on `device`, and that device.

    A name, a folder or an ONNX file is loaded. A module is returned itself if `device` is "auto" or
    its own device and all its numbers are fp32, else as a copy. DataParallel and
    DistributedDataParallel are unwrapped.
    Raises UnknownNameError and WeightsError for names, InputError for an unusable device or if
    `model` is neither a name nor a module.
    """
    if isinstance(model, OnnxModel) or is_onnx(model):
        if str(device) not in ("auto", "cpu"):
            raise InputError(
                f"device={str(device)!r} is not for an ONNX file, which runs on the CPU; accepted"
                " are 'auto' and 'cpu'."
            )
        found = model if isinstance(model, OnnxModel) else OnnxModel(cast(Name, model))
        return found, torch.device("cpu")
    if isinstance(model, str | os.PathLike):
        chosen = pick_device(device)
        return load(model, chosen), chosen
    if not isinstance(model, nn.Module):
        raise InputError(f"A model is a name, a folder or a module, not a {type(model).__name__}.")
    chosen = home(model) if device == "auto" else pick_device(device)
    inner = unwrap(model)
    if getattr(model, "_orig_mod", None) is not inner:  # parallel; torch.compile alone may stay
        model = inner
    if chosen != home(model) or not _is_single(model):
        model = copy.deepcopy(model).to(chosen, torch.float32)
    return model, chosen


def label_of(model: Name | nn.Module) -> str:
    """Return what messages call a model."""
    return os.fspath(model) if isinstance(model, str | os.PathLike) else type(model).__name__


def _load(name: Name, device: torch.device) -> nn.Module:
    model = load_model(name).requires_grad_(False).to(device)
    return model.to(memory_format=layout(device))


_load_once = functools.lru_cache(maxsize=4)(_load)


def _is_single(model: nn.Module) -> bool:
    entries = (*model.parameters(), *model.buffers())
    return all(entry.dtype == torch.float32 for entry in entries if entry.is_floating_point())


def layout(device: torch.device) -> torch.memory_format:
    """Return the memory format in which convolutions are fastest."""
    return torch.contiguous_format if device.type == "mps" else torch.channels_last


def home(model: nn.Module) -> torch.device:
    """Return the device of a model's parameters; the CPU if it has none."""
    return next((entry.device for entry in model.parameters()), torch.device("cpu"))


def in_eval_mode(model: nn.Module) -> nn.Module:
    """Return the model if all of it is in eval mode, else a copy that is, with the same tensors.

    The user's module keeps its flags, which other threads see, and its batch-norm statistics.
    """
    if not any(module.training for module in model.modules()):
        return model
    model = unwrap(model)
    shared = {
        id(value): value
        for module in model.modules()
        for value in (*module.parameters(), *module.buffers(), *vars(module).values())
        if isinstance(value, Tensor)
    }
    return copy.deepcopy(model, shared).eval()

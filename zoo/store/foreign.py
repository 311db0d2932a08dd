"""State dicts of other libraries, read from pickles without running their code."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zoo.errors import WeightsError
from zoo.store.state_dict import PICKLE_SUFFIXES, canonical, read_weights

# Entries in which training programs keep a state dict, the best first.
_ENTRIES = ("params_ema", "params", "state_dict", "model_state_dict")
_DEPTH = 4  # of dicts around a state dict


def read_foreign(path: str | Path) -> dict[str, Tensor]:
    """Read a state dict from *.safetensors, or from a pickle of tensors such as *.pth.

    A dictionary around it ("params_ema", "params", "state_dict") and the prefix "module." are taken
    off. Raises WeightsError for a file that is missing, damaged, or holds anything else.
    """
    path = Path(path)
    if path.suffix.lower() == ".safetensors":
        return read_weights(path)
    if path.suffix.lower() not in PICKLE_SUFFIXES:
        raise WeightsError(
            f"{path} is not a weight file; accepted are *.safetensors and"
            f" {', '.join(f'*{suffix}' for suffix in PICKLE_SUFFIXES)}."
        )
    if not path.is_file():
        raise WeightsError(f"There is no weight file {path}.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch, about its own file formats
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # unpickling damaged files raises almost anything
        raise WeightsError(
            f"{path} can't be read as tensors alone: it is damaged or holds objects of a program,"
            " whose code zoo does not run; save the network's state_dict()."
        ) from error
    return canonical(_checked(_unwrapped(content), path))


def _unwrapped(content: Any) -> Any:
    for _ in range(_DEPTH):  # a dict may hold itself
        if not isinstance(content, Mapping):
            break
        inner = [content[entry] for entry in _ENTRIES if isinstance(content.get(entry), Mapping)]
        content = inner[0] if inner else content
    return content


def _checked(state: Any, path: Path) -> dict[str, Tensor]:
    """Return what is a state dict of plain tensors, none larger than what the file holds."""
    if not isinstance(state, Mapping) or not state:
        raise WeightsError(f"{path} holds no state dict, but a {type(state).__name__}.")
    for key, value in state.items():
        plain = isinstance(value, Tensor) and value.layout == torch.strided
        if not (isinstance(key, str) and plain and not value.is_quantized and not value.is_meta):
            kind = type(value).__name__
            raise WeightsError(
                f"{path} holds no state dict: {str(key)[:80]!r} is a {kind}, not a plain tensor."
            )
        if value.untyped_storage().nbytes() < value.numel() * value.element_size():
            raise WeightsError(f"{path} is refused: its tensor {key[:80]!r} repeats its values.")
    return dict(state)

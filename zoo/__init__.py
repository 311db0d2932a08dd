"""A zoo of image models: super-resolution and segmentation, with weights, training and tools."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo.registry import create_model as create_model
    from zoo.registry import list_models as list_models

__version__ = "0.1.0"

# Public name -> the module that defines it, imported when the name is first used:
# `import zoo` stays as light as `import torch`.
_HOME = {
    "create_model": "zoo.registry",
    "list_models": "zoo.registry",
    "register_model": "zoo.registry",
}

__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'zoo' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)

"""A zoo of image models: super-resolution and segmentation, with weights, training and tools."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from zoo import errors as errors

if TYPE_CHECKING:
    from zoo.errors import ZooError as ZooError
    from zoo.hub import load_model as load_model
    from zoo.hub import save_model as save_model
    from zoo.model import ZooModel as ZooModel
    from zoo.predict import segment as segment
    from zoo.predict import upscale as upscale
    from zoo.registry import create_model as create_model
    from zoo.registry import list_models as list_models
    from zoo.registry import register_model as register_model
    from zoo.transfer import transfer_weights as transfer_weights
    from zoo.weights import Weights as Weights
    from zoo.weights import get_weights as get_weights
    from zoo.weights import list_weights as list_weights
    from zoo.weights import register_weights as register_weights

__version__ = "0.1.0"

# Public name -> the module that defines it, imported when the name is first used:
# `import zoo` stays as light as `import torch`.
_HOME = {
    "Weights": "zoo.weights",
    "ZooError": "zoo.errors",
    "ZooModel": "zoo.model",
    "create_model": "zoo.registry",
    "get_weights": "zoo.weights",
    "list_models": "zoo.registry",
    "list_weights": "zoo.weights",
    "load_model": "zoo.hub",
    "register_model": "zoo.registry",
    "register_weights": "zoo.weights",
    "save_model": "zoo.hub",
    "segment": "zoo.predict",
    "transfer_weights": "zoo.transfer",
    "upscale": "zoo.predict",
}

__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'zoo' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)

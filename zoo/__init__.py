"""A zoo of image models: super-resolution and segmentation, with weights, training and tools."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from zoo import errors as errors

if TYPE_CHECKING:
    from zoo.create import create_model as create_model
    from zoo.create import load_model as load_model
    from zoo.errors import ZooError as ZooError
    from zoo.export import export_model as export_model
    from zoo.inference.automatic import suggest as suggest
    from zoo.inference.segmenter import Segmenter as Segmenter
    from zoo.inference.upscaler import Upscaler as Upscaler
    from zoo.model import ZooModel as ZooModel
    from zoo.predict import segment as segment
    from zoo.predict import upscale as upscale
    from zoo.registry import Weights as Weights
    from zoo.registry import get_weights as get_weights
    from zoo.registry import list_models as list_models
    from zoo.registry import list_weights as list_weights
    from zoo.registry import register_model as register_model
    from zoo.registry import register_weights as register_weights
    from zoo.store.folder import save_model as save_model
    from zoo.train.transfer import transfer_weights as transfer_weights

__version__ = "0.1.0"

# Public name -> the module that defines it. It is imported when the name is first used, so that
# `import zoo` stays fast.
_HOME = {
    "Segmenter": "zoo.inference.segmenter",
    "Upscaler": "zoo.inference.upscaler",
    "Weights": "zoo.registry",
    "ZooError": "zoo.errors",
    "ZooModel": "zoo.model",
    "create_model": "zoo.create",
    "export_model": "zoo.export",
    "get_weights": "zoo.registry",
    "list_models": "zoo.registry",
    "list_weights": "zoo.registry",
    "load_model": "zoo.create",
    "register_model": "zoo.registry",
    "register_weights": "zoo.registry",
    "save_model": "zoo.store.folder",
    "segment": "zoo.predict",
    "suggest": "zoo.inference.automatic",
    "transfer_weights": "zoo.train.transfer",
    "upscale": "zoo.predict",
}

__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'zoo' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)

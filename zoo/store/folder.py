"""Model folders in Hugging Face's layout: config.json and model.safetensors.

huggingface_hub's PyTorchModelHubMixin is not used: it must be imported before a model class is
defined, loads with strict=False and opens pickles.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from torch import nn

from zoo.errors import InputError, WeightsError
from zoo.store.atomic import replacing
from zoo.store.state_dict import save_weights, unwrap

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"


class Config(NamedTuple):
    """The contents of a config.json: how to build the model, and what its training leaves.

    image_size and split: see `zoo.ZooModel`.
    """

    architecture: str
    options: dict[str, Any]
    image_size: int | None
    split: dict[str, Any] | None


def save_model(model: nn.Module, folder: str | Path) -> Path:
    """Write `model.safetensors` and `config.json` into a folder, created if missing; return it.

    model: built by zoo, on any device, in any memory format; torch.compile, DataParallel and
        DistributedDataParallel are unwrapped. Dtypes are kept.
    Raises InputError for another module, for options that JSON cannot hold, or for a folder that
    cannot be created.
    """
    model = unwrap(model)
    config = config_of(model)
    facts = {key: getattr(model, key, None) for key in ("image_size", "split")}
    config = {**config, **{key: fact for key, fact in facts.items() if fact}}
    try:
        text = json.dumps(config, indent=2) + "\n"
    except TypeError as error:
        raise InputError(
            f"{config['architecture']} was built with an option that config.json cannot hold"
            f" ({error}); build it with names and numbers, or save its state dict."
        ) from error
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: the folder can't be made ({error.strerror}).") from error
    save_weights(model.state_dict(), folder / WEIGHTS_FILE)
    with replacing(folder / CONFIG_FILE) as part:
        part.write_text(text)
    return folder


def config_of(model: nn.Module) -> dict[str, Any]:
    """Return how a model was built; raise InputError for a module that zoo did not build."""
    config = getattr(model, "config", None)
    if not isinstance(config, dict):
        raise InputError(
            f"save_model takes a model that create_model built, not a {type(model).__name__};"
            " safetensors.torch.save_model writes any other module."
        )
    return config


def read_config(file: Path, label: str) -> Config:
    """Read a config.json; `label` names its folder in messages.

    Raises WeightsError where the file is missing or is not what save_model writes.
    """
    if not file.is_file():
        raise WeightsError(
            f"There is no {CONFIG_FILE} in {label}; a model's folder is what save_model writes."
        )
    try:
        config = json.loads(file.read_text())
        options = config["options"]
        # JSON has no tuples; options are never lists.
        options = {k: tuple(v) if isinstance(v, list) else v for k, v in options.items()}
        # The file beside this one holds all weights; the encoder's own would be fetched in vain.
        options |= {"encoder_weights": None} if "encoder_weights" in options else {}
        size = config.get("image_size")
        split = config.get("split")
        return Config(
            str(config["architecture"]),
            options,
            None if size is None else int(size),
            None if split is None else dict(split),
        )
    except (
        OSError, ValueError, OverflowError, KeyError, TypeError, AttributeError, RecursionError
    ) as error:  # fmt: skip
        raise WeightsError(
            f"{CONFIG_FILE} of {label} does not tell the model's architecture and options,"
            " as save_model writes them."
        ) from error

"""A segmentation recipe and its net, as small as they get."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import yaml

import zoo

RECIPES = Path(__file__).parents[1] / "benchmarks" / "recipes"

MODEL = {
    "name": "dynamic_unet",
    "options": {"encoder": "test_resnet", "decoder_channels": [16, 16, 8, 8, 8]},
}
TINY: dict[str, Any] = {
    "model": MODEL,
    "stages": [
        {"size": 32, "batch": 2, "steps": 3, "lr": 1e-3},
        {"size": 64, "batch": 2, "steps": 2, "lr": 1e-3, "lr_ratios": {"early": 0.1}},
    ],
    "split": {"validation": 1, "held_out": 1},
    "precision": "fp32",
    "log_every": 1,
    "validate_every": 2,
    "checkpoint_every": 1,
}


def write_recipe(folder: Path, **changes: object) -> Path:
    file = folder / "recipe.yaml"
    file.write_text(yaml.safe_dump(TINY | changes))
    return file


def tiny_net() -> Any:
    torch.manual_seed(0)
    return zoo.create_model(MODEL["name"], **MODEL["options"])

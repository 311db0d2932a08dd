"""A tiny recipe for super-resolution, and a task without data."""

from __future__ import annotations

from pathlib import Path

import torch
import yaml

from zoo.train.recipe import Stage

TINY = {
    "model": {"name": "srresnet_x2", "options": {"width": 8, "depth": 1}},
    "optimizer": {"name": "muon", "adam_modules": ["head", "tail"]},
    "stages": [
        {"steps": 6, "batch": 2, "patch": 8, "lr": 1e-3, "trainable": ["upsampler", "tail"]},
        {"steps": 8, "batch": 2, "patch": 8, "lr": 1e-3, "warmup": 2},
    ],
    "held_out": 2,
    "log_every": 1,
    "validate_every": 4,
    "checkpoint_every": 1,
}


class Constant:
    """A task without data: enlarge flat grey; `spoiled` is the step whose loss is not a number."""

    score = "score"

    def __init__(self, spoiled: int | None = None) -> None:
        self.spoiled, self.steps = spoiled, 0

    def batch(self, stage: Stage, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        grey = torch.rand(2, 1, 1, 1, generator=generator, device=generator.device)
        return grey.expand(2, 3, 4, 4), grey.expand(2, 3, 8, 8)

    def loss(self, prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        self.steps += 1
        return (prediction - target).abs().mean() * (torch.nan if self.steps == self.spoiled else 1)

    def validate(self, model: torch.nn.Module) -> dict[str, float]:
        grey = torch.full((1, 3, 4, 4), 0.5, device=next(model.parameters()).device)
        with torch.no_grad():
            return {"score": -model(grey).std().item()}


def write_recipe(folder: Path, **changes: object) -> Path:
    file = folder / "recipe.yaml"
    file.write_text(yaml.safe_dump(TINY | changes))
    return file

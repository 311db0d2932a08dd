"""Optimizers and learning-rate schedules by name."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from zoo.errors import RecipeError, did_you_mean
from zoo.train.recipe import OptimizerSection, Stage


def trainable_parameters(model: nn.Module, modules: tuple[str, ...]) -> dict[str, nn.Parameter]:
    """Parameters of the named modules (of all if none is named), by name.

    Raises:
        RecipeError: a module that the model does not have.
    """
    known = dict(model.named_modules())
    for module in modules:
        if module not in known:
            raise RecipeError(f"The model has no module {module!r}.{did_you_mean(module, known)}")
    return {
        name: parameter
        for name, parameter in model.named_parameters()
        if not modules or name.startswith(tuple(f"{module}." for module in modules))
    }


def make_optimizer(
    section: OptimizerSection, parameters: dict[str, nn.Parameter], *, lr: float
) -> torch.optim.Optimizer:
    """Builds the recipe's optimizer. Each group keeps its full rate in `initial_lr`."""
    optimizer: torch.optim.Optimizer
    values = list(parameters.values())
    decay = section.weight_decay
    if section.name == "adam":
        optimizer = torch.optim.Adam(values, lr, section.betas, weight_decay=decay)
    elif section.name == "adamw":
        optimizer = torch.optim.AdamW(values, lr, section.betas, weight_decay=decay)
    else:
        from timm.optim.muon import Muon

        by_adam: list[nn.Parameter] = []
        by_muon: list[nn.Parameter] = []
        for name, value in parameters.items():
            ends = name.startswith(tuple(f"{module}." for module in section.adam_modules))
            (by_adam if ends or value.ndim < 2 else by_muon).append(value)
        groups: list[dict[str, Any]] = [
            {"params": by_muon},
            {"params": by_adam, "use_fallback": True, "lr": lr * section.adam_ratio},
        ]
        optimizer = Muon(
            [group for group in groups if group["params"]],
            lr=lr,
            weight_decay=decay,
            betas=section.betas,
            adjust_lr_fn="match_rms_adamw",
        )
    for group in optimizer.param_groups:
        group["initial_lr"] = group["lr"]
    return optimizer


def rate_factor(stage: Stage, step: int) -> float:
    """Share of the full learning rate at `step` (from 0) of a stage.

    "cosine" falls to zero after `warmup` linear steps; "onecycle" rises for the first 30 % of the
    stage from 1/25 and falls to zero, both along a cosine (Smith & Topin, arXiv:1708.07120).
    """
    if stage.schedule == "onecycle":
        rise = 0.3 * stage.steps
        if step < rise:
            return 1 - 0.96 * (1 + math.cos(math.pi * step / rise)) / 2
        return (1 + math.cos(math.pi * (step - rise) / (stage.steps - rise))) / 2
    if step < stage.warmup:
        return (step + 1) / stage.warmup
    if stage.schedule == "constant":
        return 1.0
    return (1 + math.cos(math.pi * (step - stage.warmup) / (stage.steps - stage.warmup))) / 2

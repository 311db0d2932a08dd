"""Optimizers and learning-rate schedules by name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from zoo.errors import RecipeError, TrainingError, did_you_mean
from zoo.train.freezing import named, train_only
from zoo.train.recipe import OptimizerSection, Stage


def optimizer_of(
    model: nn.Module, section: OptimizerSection, stage: Stage
) -> tuple[dict[str, nn.Parameter], torch.optim.Optimizer]:
    """Freezes what does not learn in a stage; returns what does, by name, and its optimizer.

    Raises:
        RecipeError: the model lacks a module or a layer group of the stage, or nothing learns.
    """
    train_only(model, stage.trainable, frozen_statistics=stage.frozen_statistics)
    parameters = trainable_parameters(model, stage.trainable)
    ratios = lr_ratios(model, stage.lr_ratios)
    return parameters, make_optimizer(section, parameters, lr=stage.lr, ratios=ratios)


def trainable_parameters(model: nn.Module, modules: tuple[str, ...]) -> dict[str, nn.Parameter]:
    """Parameters that learn in the named modules (in all if none is named), by name.

    Raises:
        RecipeError: a module that the model does not have, or modules without such parameters.
    """
    named(model, modules)
    parameters = {
        name: parameter
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
        and (not modules or name.startswith(tuple(f"{module}." for module in modules)))
    }
    if not parameters:
        where = f"in {', '.join(modules)}" if modules else "in the model"
        raise RecipeError(f"Nothing can learn {where}: all parameters there are fixed.")
    return parameters


def lr_ratios(model: nn.Module, shares: Mapping[str, float]) -> dict[str, float]:
    """Shares of the learning rate by parameter name, from `shares` by layer group.

    Raises:
        RecipeError: a group that the model does not have.
    """
    if not shares:
        return {}
    layer_groups = getattr(model, "layer_groups", None)
    groups: dict[str, dict[str, nn.Parameter]] = layer_groups() if layer_groups else {}
    for group in shares:
        if group not in groups:
            known = ", ".join(groups) or "none"
            hint = did_you_mean(group, groups)
            raise RecipeError(f"The model has no layer group {group!r}, but {known}.{hint}")
    return {name: share for group, share in shares.items() for name in groups[group]}


def make_optimizer(
    section: OptimizerSection,
    parameters: Mapping[str, nn.Parameter],
    *,
    lr: float,
    ratios: Mapping[str, float] | None = None,
) -> torch.optim.Optimizer:
    """Builds the recipe's optimizer. Each group keeps its full rate in `initial_lr`.

    Args:
        parameters: by name.
        ratios: share of `lr` by parameter name; 1 for the others.
    """
    by_ratio: dict[float, dict[str, nn.Parameter]] = {}
    for name, parameter in parameters.items():
        by_ratio.setdefault((ratios or {}).get(name, 1.0), {})[name] = parameter
    groups = [
        group
        for ratio, named in sorted(by_ratio.items())
        for group in parameter_groups(section, named, lr=lr * ratio)
    ]
    optimizer: torch.optim.Optimizer
    decay = section.weight_decay
    if section.name == "adam":
        optimizer = torch.optim.Adam(groups, lr, section.betas, weight_decay=decay)
    elif section.name == "adamw":
        optimizer = torch.optim.AdamW(groups, lr, section.betas, weight_decay=decay)
    else:
        from timm.optim.muon import Muon

        optimizer = Muon(
            groups,
            lr=lr,
            weight_decay=decay,
            betas=section.betas,
            adjust_lr_fn="match_rms_adamw",
        )
    for group in optimizer.param_groups:
        group["initial_lr"] = group["lr"]
    return optimizer


def parameter_groups(
    section: OptimizerSection, parameters: Mapping[str, nn.Parameter], *, lr: float
) -> list[dict[str, Any]]:
    """Parameter groups: with a weight decay, norms and biases are apart, for they don't decay; for
    Muon, so are the matrices that it orthogonalises, the others being Adam's.
    """
    muon = section.name == "muon"
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, value in parameters.items():
        ends = name.startswith(tuple(f"{module}." for module in section.adam_modules))
        vector = value.ndim < 2 or name.split(".")[-1] == "bias"
        by_adam = muon and (ends or value.ndim < 2)
        groups.setdefault((by_adam, vector and section.weight_decay > 0), []).append(value)
    return [
        {
            "params": params,
            "lr": lr * (section.adam_ratio if by_adam else 1),
            "weight_decay": 0.0 if fixed else section.weight_decay,
            **({"use_fallback": True} if by_adam else {}),
        }
        for (by_adam, fixed), params in sorted(groups.items(), key=lambda item: item[0])
    ]


def load_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Restores an optimizer's state; raises TrainingError if it is that of other groups."""
    try:
        optimizer.load_state_dict(state)
    except ValueError as error:
        raise TrainingError(
            "The checkpoint's optimizer has other groups of parameters: the run was begun by"
            " another version of zoo, and only that one can go on with it."
        ) from error


def rate_factor(stage: Stage, step: int) -> float:
    """Share of the full learning rate at `step` (from 0) of a stage.

    "cosine" falls to 0 and "constant" stays at 1, both after `warmup` linear steps; "onecycle"
    rises from 1/25 for the first 30 % of the stage, then falls to 0, both along a cosine (Smith &
    Topin, arXiv:1708.07120); "exponential" rises over six decades to 1, for `find_rate`.
    """
    if stage.schedule == "exponential":
        return float(10.0 ** (-6 * (1 - step / max(1, stage.steps - 1))))
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

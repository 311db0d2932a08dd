"""Freezing of parameters and of batch-norm statistics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import MethodType

from torch import Tensor, nn

from zoo.errors import RecipeError, did_you_mean


def freeze(module: nn.Module) -> None:
    """Freeze a module's parameters and its batch-norm statistics.

    They stay frozen after `.train()` on the module or on one that contains it.
    """
    module.requires_grad_(False)
    freeze_statistics(module)


def freeze_statistics(module: nn.Module) -> None:
    """Keep a module's batch norm in eval mode even after `.train()`; its parameters still learn."""
    for layer in _with_statistics(module):
        layer.eval()
        layer.train = MethodType(_stay, layer)  # type: ignore[method-assign]


def unfreeze(module: nn.Module) -> None:
    """Undo `freeze` and `freeze_statistics`; batch norm takes the module's mode."""
    module.requires_grad_(True)
    for layer in _with_statistics(module):
        vars(layer).pop("train", None)
        layer.train(module.training)


def train_only(
    model: nn.Module, modules: Sequence[str], *, frozen_statistics: Sequence[str] = ()
) -> None:
    """Freeze all but the named modules, or nothing if none is named, whatever was frozen before.

    frozen_statistics: modules whose batch-norm statistics stay fixed while their parameters learn.
    Raises RecipeError for a module that the model does not have.
    """
    learning, steady = named(model, modules), named(model, frozen_statistics)
    unfreeze(model)
    if learning:
        freeze(model)
    for module in learning:
        unfreeze(module)
    for module in steady:
        freeze_statistics(module)


def named(model: nn.Module, names: Sequence[str]) -> list[nn.Module]:
    """Return the modules of these names; raise RecipeError for one that the model lacks."""
    known = dict(model.named_modules())
    for name in names:
        if name not in known:
            raise RecipeError(f"The model has no module {name!r}.{did_you_mean(name, known)}")
    return [known[name] for name in names]


def _stay(layer: nn.Module, mode: bool = True) -> nn.Module:
    return layer


def _with_statistics(module: nn.Module) -> Iterator[nn.Module]:
    for layer in module.modules():
        if isinstance(getattr(layer, "running_mean", None), Tensor):
            yield layer

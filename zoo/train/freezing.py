"""Freezing of parameters and of batch-norm statistics."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from torch import Tensor, nn

from zoo.errors import RecipeError, did_you_mean

_FROZEN = "_frozen_parameters"  # attribute of a layer: names of the parameters that `freeze` fixed


def freeze(module: nn.Module) -> None:
    """Freeze a module's parameters and its batch-norm statistics.

    They stay frozen after `.train()` on the module or on one that contains it.
    """
    learning = {id(parameter) for parameter in module.parameters() if parameter.requires_grad}
    for layer in module.modules():  # two layers may share a parameter: either can free it
        own = dict(layer.named_parameters(recurse=False))
        names = {name for name, parameter in own.items() if id(parameter) in learning}
        vars(layer)[_FROZEN] = vars(layer).get(_FROZEN, frozenset()) | names
        for name in names:
            own[name].requires_grad_(False)
    freeze_statistics(module)


def freeze_statistics(module: nn.Module) -> None:
    """Keep a module's batch norm in eval mode even after `.train()`; its parameters still learn."""
    for layer in _with_statistics(module):
        if not isinstance(layer.train, _Fixed):
            held = module.training and not layer.training
            stand_in = _Fixed(layer, own=vars(layer).get("train"), held=held)
            layer.eval()
            layer.train = stand_in  # type: ignore[method-assign]


def unfreeze(module: nn.Module) -> None:
    """Undo `freeze` and `freeze_statistics`; batch norm takes the module's mode.

    What the network itself has fixed stays fixed.
    """
    for layer in module.modules():
        for name in vars(layer).pop(_FROZEN, ()):
            getattr(layer, name).requires_grad_(True)
    for layer in _with_statistics(module):
        if isinstance(stand_in := vars(layer).get("train"), _Fixed):
            del layer.train
            if stand_in.own is not None:
                layer.train = stand_in.own  # type: ignore[method-assign]
            layer.train(module.training and not stand_in.held)


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


class _Fixed:
    """Stands in for the `train` of a frozen layer; it can be copied and pickled with the layer.

    own: a `train` that the layer had as an attribute. held: the network itself keeps the layer in
    eval mode.
    """

    def __init__(self, layer: nn.Module, *, own: Callable[..., nn.Module] | None, held: bool):
        self.layer, self.own, self.held = layer, own, held

    def __call__(self, mode: bool = True) -> nn.Module:
        return self.layer


def _with_statistics(module: nn.Module) -> Iterator[nn.Module]:
    for layer in module.modules():
        if isinstance(getattr(layer, "running_mean", None), Tensor):
            yield layer

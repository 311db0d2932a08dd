"""The mean of several models' weights."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from zoo.errors import OptionError
from zoo.model import ZooModel


def mean_of(models: Sequence[ZooModel]) -> dict[str, Tensor]:
    """The mean state of models of one network, each with the same share.

    Statistics of batch norm are averaged as parameters are; integers, such as its count of batches,
    are the first model's.

    Raises:
        OptionError: a model is another network.
    """
    first, *others = models
    mean = {key: value.clone() for key, value in first.state_dict().items()}
    states = [model.state_dict() for model in others]
    for other, state in zip(others, states, strict=True):
        if network(other) != network(first) or shapes(state) != shapes(mean):
            raise OptionError(
                f"{other.source} can't be averaged with {first.source}: it is another network,"
                f" {network(other)}, not {network(first)}."
            )
    for key, value in mean.items():
        if value.is_floating_point():
            values = [value.double(), *(state[key].double() for state in states)]
            mean[key] = torch.stack(values).mean(0).to(value.dtype)
    return mean


def network(model: ZooModel) -> str:
    """The architecture with its options, without the origin of weights."""
    options = {k: v for k, v in model.config["options"].items() if k != "encoder_weights"}
    return f"{model.config['architecture']} {options}"


def shapes(state: dict[str, Tensor]) -> dict[str, torch.Size]:
    return {key: value.shape for key, value in state.items()}

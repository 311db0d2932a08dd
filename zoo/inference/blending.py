"""Weights between those for clean photographs and those for treated ones."""

from __future__ import annotations

import copy

import torch
from torch import nn

from zoo.errors import InputError, UnknownNameError
from zoo.inference.device import pick_device
from zoo.inference.placement import load
from zoo.registry import get_weights, list_models, list_weights

CLEAN, TREATED = "psnr", "photo"  # tags of the two, which share a start


def has_pair(architecture: str) -> bool:
    """Whether a model has both weights."""
    names = list_weights(architecture) if architecture in list_models() else []
    return {f"{architecture}.{tag}" for tag in (CLEAN, TREATED)} <= set(names)


def check_pair(architecture: str, what: str) -> None:
    """Raise UnknownNameError, about `what`, unless a model has both weights."""
    if not has_pair(architecture):
        known = ", ".join(filter(has_pair, list_models())) or "none so far"
        raise UnknownNameError(
            f"{what} needs weights {CLEAN!r} and {TREATED!r}, which {architecture} does not have;"
            f" models that have both: {known}."
        )


def place_blend(
    model: object, strength: float, device: str | torch.device
) -> tuple[nn.Module, torch.device]:
    """Return a model on `device` whose weights lie between its two, and that device.

    model: "srresnet_x4", or "srresnet_x4.photo".
    strength: 0 gives the weights for clean photographs, 1 those for treated ones; between, each
        parameter is interpolated linearly.

    Raises InputError for another strength or model, UnknownNameError if one of the two is missing.
    """
    if not 0 <= strength <= 1:
        raise InputError(f"strength={strength:g} is not between 0 (clean) and 1 (cleaned most).")
    name = model if isinstance(model, str) else ""
    architecture, _, tag = name.partition(".")
    if architecture not in list_models() or tag not in ("", "default", CLEAN, TREATED):
        raise InputError(
            f"strength blends the weights {CLEAN!r} and {TREATED!r} of a registered model: name the"
            f" model, such as srresnet_x4, not {name or type(model).__name__}."
        )
    check_pair(architecture, "strength")
    chosen = pick_device(device)
    clean, treated = (
        load(get_weights(f"{architecture}.{tag}").name, chosen) for tag in (CLEAN, TREATED)
    )
    blend = copy.deepcopy(clean)
    with torch.no_grad():
        for own, other in zip(blend.parameters(), treated.parameters(), strict=True):
            own.lerp_(other, strength)
    return blend, chosen

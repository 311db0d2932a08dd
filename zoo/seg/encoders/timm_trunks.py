"""Trunks from timm's networks, by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from zoo.errors import InputError, UnknownNameError, WeightsError, did_you_mean
from zoo.seg.encoders.trunks import Trunk, adapt_stem, configured, require
from zoo.store.download import reason_of
from zoo.store.hub import check_hub
from zoo.store.state_dict import load_weights, read_weights


def timm_trunk(name: str, *, weights: str | Path | None, in_chans: int) -> Trunk:
    """Return the trunk of timm's network `name`, "architecture" or "architecture.tag".

    Networks made for one image size are built to take any size, if timm can do that. A plain
    transformer, whose maps all have one stride, returns those after one third, two thirds and all
    of its blocks.
    """
    timm = require("timm")
    _check_timm_name(timm, name, weights)

    def build(**options: Any) -> Any:
        return timm.create_model(name, features_only=True, in_chans=in_chans, **options)

    cfg = timm.get_pretrained_cfg(name)
    try:
        module, options = _build_for_any_size(build, fixed=cfg is None or cfg.fixed_input_size)
        if isinstance(module, timm.models.FeatureHookNet):  # forward is to have no hooks
            options["feature_cls"] = "getter"
            module = build(**options)
        info = module.feature_info
        if len(set(info.reduction())) == 1 and len(info) >= 3:
            options["out_indices"] = tuple(len(info) * i // 3 - 1 for i in (1, 2, 3))
            module = build(**options)
    except Exception as error:  # any of timm's networks can raise anything
        raise InputError(
            f"{name} can't be an encoder: timm can't build it with features_only"
            f" ({reason_of(error)})."
        ) from error
    if weights == "default":
        module = _with_default_weights(timm, name, in_chans, options)
    elif weights is not None:
        _load_timm_file(timm, module, name, Path(weights), in_chans)
    for part in list(module.modules()):
        for child, layer in part.named_children():
            if isinstance(layer, timm.layers.Conv2dSame):
                setattr(part, child, EvenConv(layer))
    return configured(name, module)


class EvenConv(nn.Module):
    """A convolution with TensorFlow's "same" padding, for sizes that its stride divides.

    For other sizes the padding depends on the size, so timm computes it at every call, which
    torch.export can't trace through a whole network. Encoders only see sizes of this kind.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.weight, self.bias = conv.weight, conv.bias
        self.stride, self.dilation, self.groups = conv.stride, conv.dilation, conv.groups
        sides = zip(conv.kernel_size, conv.stride, conv.dilation, strict=True)
        rows, columns = (max(0, (k - 1) * d + 1 - s) for k, s, d in sides)
        self.padding = (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2)

    def forward(self, x: Tensor) -> Tensor:
        x = F.pad(x, self.padding)
        return F.conv2d(x, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


def _check_timm_name(timm: Any, name: str, weights: str | Path | None) -> None:
    architecture, _, tag = name.partition(".")
    if not timm.is_model(architecture):
        raise UnknownNameError(
            f"There is no encoder called {name!r}.{did_you_mean(architecture, timm.list_models())}"
            " Accepted are the names of timm.list_models(), 'torchvision:NAME' and modules."
        )
    tags = timm.list_pretrained(f"{architecture}.*")
    if tag and name not in tags:
        raise UnknownNameError(
            f"timm's {architecture} has no weights called {tag!r}.{did_you_mean(name, tags)}"
            f" It has {', '.join(tags) or 'none'}."
        )
    if weights == "default" and not timm.is_model_pretrained(name):
        raise WeightsError(
            f"timm has no default weights of {name}; it has {', '.join(tags) or 'none at all'}."
        )


def _build_for_any_size(build: Callable[..., Any], *, fixed: bool) -> tuple[Any, dict[str, Any]]:
    attempts: list[dict[str, Any]] = [{"dynamic_img_size": True}, {"strict_img_size": False}]
    for options in attempts if fixed else []:
        try:
            return build(**options), options
        except TypeError:  # not an option of this network
            continue
    return build(), {}


def _with_default_weights(
    timm: Any, name: str, in_chans: int, options: dict[str, Any]
) -> nn.Module:
    place = timm.get_pretrained_cfg(name).hf_hub_id
    try:
        if place:
            check_hub(place, "main", "model.safetensors")
        module: nn.Module = timm.create_model(
            name, features_only=True, in_chans=in_chans, pretrained=True, **options
        )
    except Exception as error:  # from the hub's client, its HTTP library, safetensors or torch
        raise WeightsError(
            f"The weights of the encoder {name} could not be had from the Hugging Face hub"
            f" ({reason_of(error)}); fetch model.safetensors of {place} yourself and give its path"
            " as encoder_weights."
        ) from error
    return module


def _load_timm_file(timm: Any, module: nn.Module, name: str, file: Path, in_chans: int) -> None:
    """Load a file with the whole network's names into the trunk.

    In the trunk's names, dots may be underscores, and "model." may lead.
    """
    cfg = timm.get_pretrained_cfg(name)
    state = read_weights(file)
    for conv in _names(cfg.first_conv):
        if in_chans != cfg.input_size[0] and (key := f"{conv}.weight") in state:
            state[key] = adapt_stem(state[key], name, in_chans)
    own = {key.removeprefix("model.").replace(".", "_"): key for key in module.state_dict()}
    whole = timm.create_model(name).state_dict()
    head = tuple(f"{classifier}." for classifier in _names(cfg.classifier))
    load_weights(
        module,
        {
            own.get(key.replace(".", "_"), key): value
            for key, value in state.items()
            if key.replace(".", "_") in own or not (key in whole or key.startswith(head))
        },
        label=str(file),
        hint=f"an encoder file of {name} has the names of timm's {name}",
    )


def _names(names: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names or ())

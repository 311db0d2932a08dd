"""Trunks from torchvision's classifiers, by name."""

from __future__ import annotations

import itertools
from pathlib import Path

from torch import nn

from zoo.errors import UnknownNameError, WeightsError, did_you_mean
from zoo.seg.encoders.trunks import Chain, Trunk, adapt_stem, flatten, require
from zoo.store.download import reason_of
from zoo.store.state_dict import load_weights, read_weights


def torchvision_trunk(name: str, *, weights: str | Path | None, in_chans: int) -> Trunk:
    """Return the trunk of torchvision's classifier `name`: a chain of its layers up to the pooling.

    `Encoder` later refuses networks that are no plain sequence of layers (vision transformers).
    Weight files have the names of the whole network.
    """
    models = require("torchvision.models")
    names = models.list_models(module=models)
    if name not in names:
        raise UnknownNameError(
            f"There is no encoder called 'torchvision:{name}'.{did_you_mean(name, names)}"
        )
    network = models.get_model(name, weights=None)
    default = models.get_model_weights(name).DEFAULT
    if weights == "default":
        try:
            state = default.get_state_dict(progress=False, check_hash=True, weights_only=True)
        except Exception as error:  # from urllib or torch
            raise WeightsError(
                f"The weights of the encoder torchvision:{name} could not be had from"
                f" {default.url} ({reason_of(error)})."
            ) from error
        network.load_state_dict(state)
    elif weights is not None:
        load_weights(network, read_weights(weights), label=str(weights))
    head = (nn.AdaptiveAvgPool2d, nn.Dropout, nn.Linear)
    chain = Chain(
        itertools.takewhile(lambda m: not isinstance(m, head), flatten(network.children()))
    )
    if in_chans != 3:
        _change_stem(chain, name, in_chans, adapt=weights is not None)
    preset = default.transforms()
    return Trunk(f"torchvision:{name}", chain, tuple(preset.mean), tuple(preset.std))


def _change_stem(chain: Chain, name: str, in_chans: int, *, adapt: bool) -> None:
    place, conv = next((n, m) for n, m in chain.named_modules() if isinstance(m, nn.Conv2d))
    stem = nn.Conv2d(
        in_chans,
        conv.out_channels,
        conv.kernel_size,  # type: ignore[arg-type]
        conv.stride,  # type: ignore[arg-type]
        conv.padding,  # type: ignore[arg-type]
        bias=conv.bias is not None,
    )
    if adapt:
        stem.weight.data = adapt_stem(conv.weight.data, name, in_chans)
        if stem.bias is not None and conv.bias is not None:
            stem.bias.data = conv.bias.data
    parent, _, child = place.rpartition(".")
    setattr(chain.get_submodule(parent), child, stem)

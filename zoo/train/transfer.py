"""Copying weights between networks: entries that fit are copied, the others reported."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from zoo.errors import WeightsError
from zoo.store.state_dict import in_names_of, unwrap


@dataclass(frozen=True)
class TransferReport:
    """What `transfer_weights` did to the target.

    Attributes:
        copied: names of the entries (parameters and buffers) taken from the source.
        fresh: names of the target's entries left as they were.
        share: copied part of the target's parameters, counted by element, in [0, 1].
    """

    copied: tuple[str, ...]
    fresh: tuple[str, ...]
    share: float

    def __str__(self) -> str:
        fresh = ", ".join(self.fresh) or "none"
        return f"{self.share:.1%} of the parameters copied; left fresh: {fresh}"


@torch.no_grad()
def transfer_weights(
    source: nn.Module, target: nn.Module, *, min_copied: float = 0.5
) -> TransferReport:
    """Copies every entry whose name and shape agree, as the lesson makes its ×4 net from ×2.

    Wrapped networks (torch.compile, DataParallel, DistributedDataParallel) count as what they wrap.

    Args:
        source: left unchanged.
        target: changed in place; unchanged when this raises.
        min_copied: smallest share of the target's parameters that must be copied, in [0, 1].

    Raises:
        WeightsError: less than `min_copied` would be copied.
    """
    target = unwrap(target)
    offered, wanted = in_names_of(target, source.state_dict()), target.state_dict()
    fits = {
        name
        for name, value in wanted.items()
        if name in offered and offered[name].shape == value.shape
    }
    sizes = {name: parameter.numel() for name, parameter in target.named_parameters()}
    share = sum(size for name, size in sizes.items() if name in fits) / max(sum(sizes.values()), 1)
    if share < min_copied:
        raise WeightsError(
            f"Only {share:.1%} of the target's parameters have a partner of the same name and "
            f"shape in the source; at least {min_copied:.1%} were asked for."
        )
    for name in fits:
        wanted[name].copy_(offered[name])
    return TransferReport(
        copied=tuple(name for name in wanted if name in fits),
        fresh=tuple(name for name in wanted if name not in fits),
        share=share,
    )

"""A toy model's weights: declared, compared, damaged."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from torch import nn

import zoo
from zoo.registry import Weights, WeightsMeta

META = WeightsMeta(
    version=1,
    license="CC0-1.0",
    training_data="none",
    training_data_terms="none",
    recipe="benchmarks/recipes/none.yaml",
    options={"width": 8},
)


class Toy(zoo.ZooModel):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3)
        self.norm = nn.BatchNorm2d(width)


def declare(path: Path, name: str = "toy.good", **places) -> Weights:
    content = path.read_bytes()
    return Weights(
        name=name,
        sha256=hashlib.sha256(content).hexdigest(),
        size=len(content),
        meta=META,
        **places,
    )


def same_state(one: nn.Module, other: nn.Module) -> bool:
    a, b = one.state_dict(), other.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def flip_a_bit(file: Path, at: int) -> None:
    content = bytearray(file.read_bytes())
    content[at] ^= 1
    file.write_bytes(content)

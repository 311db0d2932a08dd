"""Freezing: parameters and batch norm's statistics, whatever `.train()` says."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from zoo.train.freezing import freeze, freeze_statistics, unfreeze


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5))
        self.head = nn.Sequential(nn.Conv2d(4, 2, 1), nn.BatchNorm2d(2))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(x))


@pytest.fixture
def net() -> Net:
    torch.manual_seed(0)
    return Net()


def statistics(module: nn.Module) -> list[Tensor]:
    return [buffer.clone() for buffer in module.buffers()]


def moved(module: nn.Module, net: Net) -> bool:
    before = statistics(module)
    net(torch.rand(2, 3, 8, 8) + 5)
    after = statistics(module)
    return not all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_frozen_statistics_survive_train(net: Net) -> None:
    freeze(net.encoder)
    net.eval()
    net.train()
    net.encoder.train()
    assert not moved(net.encoder, net)
    assert moved(net.head, net)
    assert net.encoder[2].training  # dropout goes on: it is no statistic


def test_frozen_parameters_do_not_learn(net: Net) -> None:
    freeze(net.encoder)
    net.train()
    net(torch.rand(2, 3, 8, 8)).sum().backward()
    assert all(p.grad is None for p in net.encoder.parameters())
    assert all(p.grad is not None for p in net.head.parameters())


def test_statistics_alone_can_be_frozen(net: Net) -> None:
    freeze_statistics(net)
    net.train()
    assert not moved(net, net)
    assert all(p.requires_grad for p in net.parameters())


def test_unfrozen_all_of_it_learns_again(net: Net) -> None:
    freeze(net)
    unfreeze(net)
    assert all(p.requires_grad for p in net.parameters())
    net.train()
    assert moved(net.encoder, net)
    net.eval()
    assert not moved(net, net)


def test_copies_are_frozen_on_their_own(net: Net) -> None:
    freeze(net.encoder)
    other = copy.deepcopy(net)
    unfreeze(net)
    other.train()
    net.train()
    assert not moved(other.encoder, other)
    assert moved(net.encoder, net)
    unfreeze(other)
    other.train()
    assert moved(other.encoder, other)


def test_the_state_dict_knows_nothing_of_it(net: Net) -> None:
    keys = list(net.state_dict())
    freeze(net)
    assert list(net.state_dict()) == keys

"""Freezing: parameters and batch norm's statistics, whatever `.train()` says."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from zoo.train.freezing import freeze, freeze_statistics, train_only, unfreeze


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


def through_torch(net: Net) -> Net:
    file = io.BytesIO()
    torch.save(net, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


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


class Steady(Net):
    """A network that fixes parts of itself: a filter, and batch norm in two ways."""

    def __init__(self) -> None:
        super().__init__()
        self.blur = nn.Conv2d(2, 2, 3, bias=False).requires_grad_(False)
        self.head[0].bias.requires_grad_(False)
        self.encoder[1].train = Refuses()  # type: ignore[method-assign]
        self.encoder[1].eval()
        self.train()

    def train(self, mode: bool = True) -> Steady:
        super().train(mode)
        self.head[1].eval()
        return self


class Refuses:
    """A `train` of the network's own."""

    def __call__(self, mode: bool = True) -> None: ...


def state_of(net: nn.Module) -> tuple[dict[str, bool], dict[str, bool]]:
    parameters = {name: parameter.requires_grad for name, parameter in net.named_parameters()}
    return parameters, {name: layer.training for name, layer in net.named_modules()}


@pytest.mark.parametrize("modules", [(), ("head",), ("encoder.0", "head.0"), ("head.0", "head")])
@pytest.mark.parametrize("statistics", [(), ("encoder",), ("head", "encoder")])
@pytest.mark.parametrize("kind", [Net, Steady])
def test_what_the_network_fixed_stays_fixed(
    kind: type[Net], modules: tuple[str, ...], statistics: tuple[str, ...]
) -> None:
    net = kind()
    before = state_of(net)
    own = vars(net.encoder[1]).get("train")
    train_only(net, modules, frozen_statistics=statistics)
    frozen = {name for name, learns in before[0].items() if not learns}
    assert not any(net.get_parameter(name).requires_grad for name in frozen)
    net.train()
    train_only(net, modules)  # again, on top
    unfreeze(net)
    assert state_of(net) == before
    assert vars(net.encoder[1]).get("train") is own


def test_of_a_shared_parameter_either_owner_frees_it() -> None:
    net = nn.ModuleDict({"a": nn.Linear(3, 3), "b": nn.Linear(3, 3)})
    net["b"].weight = net["a"].weight
    for name in ("a", "b"):
        train_only(net, (name,))
        assert net[name].weight.requires_grad
    unfreeze(net)
    assert all(parameter.requires_grad for parameter in net.parameters())


@pytest.mark.parametrize(
    "again",
    [copy.deepcopy, copy.copy, lambda net: pickle.loads(pickle.dumps(net)), through_torch],
    ids=["deepcopy", "copy", "pickle", "torch.save"],
)
def test_a_frozen_network_travels(net: Net, again: Callable[[Net], Net]) -> None:
    freeze(net.encoder)
    other = again(net).train()
    assert not any(parameter.requires_grad for parameter in other.encoder.parameters())
    assert not moved(other.encoder, other)
    unfreeze(other)
    assert all(parameter.requires_grad for parameter in other.parameters())
    other.train()
    assert moved(other.encoder, other)

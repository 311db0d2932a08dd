"""Where and how a model runs: its mode and precision, its device, its tiles, its square."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import zoo
from zoo.inference.device import memory_budget, pick_precision
from zoo.inference.placement import load, place
from zoo.inference.segmenter import DEFAULT_SIZE, Segmenter
from zoo.inference.upscaler import Upscaler

CPU = torch.device("cpu")


class Spy(nn.Module):
    """A network that remembers how it was run; `outputs` channels of the input's size."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        result = self.conv(x)
        self.seen = (self.training, self.conv.training, result.dtype, result.is_inference())
        return result


@pytest.mark.parametrize(
    ("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)]
)
def test_a_network_runs_in_eval_mode_and_in_the_precision_asked_for(
    precision: str, dtype: torch.dtype
) -> None:
    enlarger, finder = Spy(3), Spy(1)
    enlarger.scale = 1
    zoo.upscale(torch.rand(3, 4, 4), enlarger, precision=precision)
    zoo.segment(torch.rand(3, 4, 4), finder, precision=precision)
    for net in (enlarger, finder):
        assert net.seen == (False, False, dtype, True)
        assert (net.training, net.conv.training) == (True, True)


@pytest.mark.parametrize(
    ("has", "dtype"),
    [
        ({}, torch.float32),
        ({"avx512_bf16": False, "amx_bf16": False}, torch.float32),
        ({"avx512_bf16": True}, torch.bfloat16),
        ({"amx_bf16": True}, torch.bfloat16),
    ],
)
def test_auto_is_bf16_where_the_processor_multiplies_it(
    has: dict[str, bool], dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: has, raising=False)
    assert pick_precision("auto", CPU) == dtype
    assert pick_precision("fp32", CPU) == torch.float32


@pytest.mark.parametrize(("installed", "budget"), [(2**31, 2**28), (2**36, 2**30)])
def test_tiles_may_take_an_eighth_of_the_memory_and_no_more_than_1_gib(
    installed: int, budget: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = {"SC_PHYS_PAGES": installed // 4096, "SC_PAGE_SIZE": 4096}
    monkeypatch.setattr("os.sysconf", sizes.__getitem__)
    assert memory_budget(CPU) == budget


@pytest.mark.parametrize(("precision", "size"), [("fp32", 4), ("bf16", 2)])
def test_automatic_tiles_are_the_largest_that_fit_the_budget(
    precision: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = zoo.create_model("srresnet_x2", width=8, depth=1)
    budget = net.peak_floats * size * 60**2
    monkeypatch.setattr("zoo.inference.upscaler.memory_budget", lambda device: budget)
    tiles: list[int] = []
    net.register_forward_pre_hook(lambda _, inputs: tiles.append(inputs[0][0, 0].numel()))
    side = 60 - 2 * net.halo
    Upscaler(net, precision=precision).tensor(torch.rand(3, 3 * side, 3 * side))
    assert len(tiles) == 9
    assert max(tiles) == 60**2


def test_another_device_gets_a_copy_and_the_module_stays() -> None:
    net = Spy(3)
    moved, device = place(net, "meta")
    assert device == torch.device("meta")
    assert moved.conv.weight.is_meta
    assert not net.conv.weight.is_meta
    assert place(net, "auto")[0] is place(net, "cpu")[0] is net


def test_a_folder_is_read_anew_and_its_weights_learn_nothing(tmp_path: Path) -> None:
    net = zoo.create_model("srresnet_x2", width=8, depth=1)
    zoo.save_model(net, tmp_path)
    assert not any(parameter.requires_grad for parameter in load(tmp_path, CPU).parameters())
    nn.init.zeros_(net.tail.weight)
    zoo.save_model(net, tmp_path)
    for name in (tmp_path, str(tmp_path)):
        assert not load(name, CPU).tail.weight.any()


def test_the_square_is_that_of_the_weights_unless_another_is_asked_for() -> None:
    net = Spy(1)
    assert Segmenter(net).size == DEFAULT_SIZE == 512
    net.image_size = 128
    assert Segmenter(net).size == 128
    assert Segmenter(net, size=64).size == 64

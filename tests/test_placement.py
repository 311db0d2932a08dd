"""Where and how a model runs: its mode and precision, its device, its tiles, its square."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

import zoo
from zoo.errors import InputError
from zoo.inference.device import memory_budget, pick_precision
from zoo.inference.placement import in_eval_mode, load, place
from zoo.inference.segmenter import DEFAULT_SIZE, Segmenter
from zoo.inference.upscaler import Upscaler

CPU = torch.device("cpu")


class Spy(nn.Module):
    """A network that notes how it was run; `outputs` channels of the input's size."""

    seen: ClassVar[list[tuple[object, ...]]] = []  # of all, for copies may run in its place

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        result = self.conv(x)
        self.seen.append((self.training, self.conv.training, result.dtype, result.is_inference()))
        return result


@pytest.mark.parametrize(
    ("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)]
)
def test_a_network_runs_in_eval_mode_and_in_the_precision_asked_for(
    precision: str, dtype: torch.dtype
) -> None:
    enlarger, finder = Spy(3), Spy(1)
    Spy.seen.clear()
    enlarger.scale = 1
    zoo.upscale(torch.rand(3, 4, 4), enlarger, precision=precision)
    zoo.segment(torch.rand(3, 4, 4), finder, precision=precision)
    assert Spy.seen == [(False, False, dtype, True)] * 2
    for net in (enlarger, finder):
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
    """Of the trunk and, in a quarter of the budget, of the enlargement; or of both at once."""
    net = zoo.create_model("srresnet_x2", width=8, depth=1)
    at_once = nn.Sequential(net)
    at_once.scale, at_once.halo, at_once.peak_floats = 2, net.halo, net.peak_floats
    tiles: list[int] = []
    pieces: list[int] = []
    net.head.register_forward_pre_hook(lambda _, inputs: tiles.append(inputs[0][0, 0].numel()))
    net.upsampler.register_forward_pre_hook(
        lambda _, inputs: pieces.append(inputs[0][0, 0].numel())
    )
    side = 200 - 2 * net.halo
    for model, floats in ((net, net.trunk_floats), (at_once, net.peak_floats)):
        budget = floats * size * 200**2
        monkeypatch.setattr(
            "zoo.inference.upscaler.memory_budget", lambda *_, budget=budget: budget
        )
        Upscaler(model, precision=precision).tensor(torch.rand(3, 3 * side, 3 * side))
        assert len(tiles) == 9
        assert max(tiles) == 200**2
        cost = net.peak_floats * size * max(pieces)
        assert budget / 8 < cost <= budget / 4 if model is net else len(pieces) == 9
        tiles.clear(), pieces.clear()


def test_another_device_gets_a_copy_and_the_module_stays() -> None:
    net = Spy(3)
    moved, device = place(net, "meta")
    assert device == torch.device("meta")
    assert moved.conv.weight.is_meta
    assert not net.conv.weight.is_meta
    for own in ("auto", "cpu", "cpu:0", CPU, torch.device("cpu", 0)):
        assert place(net, own) == (net, CPU)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("precision", ["auto", "fp32", "bf16"])
def test_weights_of_any_precision_run_in_the_precision_asked_for(
    dtype: torch.dtype, precision: str
) -> None:
    image = torch.rand(3, 33, 40)
    enlarger = zoo.create_model("srresnet_x2", width=8, depth=1).to(dtype)
    finder = zoo.create_model("simple_up34").to(dtype)
    for act, net in ((zoo.upscale, enlarger), (zoo.segment, finder)):
        single = copy.deepcopy(net).float()
        assert torch.equal(
            act(image, net, precision=precision), act(image, single, precision=precision)
        )
        assert next(net.parameters()).dtype == dtype


class Noisy(nn.Module):
    """In train mode its results, and its statistics, tell that it is."""

    scale = 1

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.BatchNorm2d(3), nn.Dropout(0.5), nn.Conv2d(3, 3, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


@pytest.mark.parametrize("run", [zoo.upscale, zoo.segment], ids=["upscale", "segment"])
def test_threads_share_a_module_in_train_mode(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    net, image = Noisy().train(), torch.rand(3, 40, 40)
    if run is zoo.segment:
        monkeypatch.delattr(Noisy, "scale")
    before = copy.deepcopy(net.state_dict())
    expected = run(image, copy.deepcopy(net).eval(), precision="fp32")
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: run(image, net, precision="fp32"), range(40)))
    assert all(torch.equal(result, expected) for result in results)
    assert all(module.training for module in net.modules())
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())


def test_a_copy_in_eval_mode_has_the_modules_own_tensors() -> None:
    net = nn.utils.weight_norm(nn.Conv2d(3, 3, 1))  # holds a tensor that can't be copied
    quiet = in_eval_mode(net)
    assert (quiet.training, net.training) == (False, True)
    assert quiet.weight_g is net.weight_g
    assert in_eval_mode(quiet) is quiet


WRAPPERS = {
    "compiled": lambda net: torch.compile(net, backend="eager"),
    "parallel": nn.DataParallel,
    "parallel compiled": lambda net: nn.DataParallel(torch.compile(net, backend="eager")),
    "compiled parallel": lambda net: torch.compile(nn.DataParallel(net), backend="eager"),
}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS.keys())
def test_wrapped_networks_run(wrap: Any, training: bool) -> None:
    enlarger = zoo.create_model("srresnet_x2", width=8, depth=1).train(training)
    finder = zoo.create_model("dynamic_unet", encoder="test_resnet", in_chans=1).train(training)
    finder.image_size = 64
    image = torch.rand(3, 40, 33)
    for act, net in ((zoo.upscale, enlarger), (zoo.segment, finder)):
        expected = act(image, copy.deepcopy(net).eval(), precision="fp32")
        torch.testing.assert_close(act(image, wrap(net), precision="fp32"), expected)
        assert all(module.training == training for module in net.modules())


@pytest.mark.parametrize("tile", ["auto", None, 8])
def test_a_module_may_tell_its_halo_alone(tile: int | str | None) -> None:
    net = zoo.create_model("srresnet_x2", width=8, depth=1).eval()
    own = nn.Sequential(net)
    own.scale, own.halo = net.scale, net.halo
    image = torch.rand(3, 20, 20)
    expected = zoo.upscale(image, net, tile=None, precision="fp32")
    result = zoo.upscale(image, own, tile=tile, precision="fp32")
    torch.testing.assert_close(result, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("tile", [True, False, 0, -1, 2.5, "8", "none"])
def test_what_is_no_tile_is_told(tile: object) -> None:
    with pytest.raises(InputError, match="is none of 'auto', None and a number from 1 up"):
        Upscaler("srresnet_x2", tile=tile)


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

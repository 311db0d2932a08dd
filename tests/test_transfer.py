"""Weights from one network into another."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import zoo
from zoo.errors import WeightsError
from zoo.train.transfer import transfer_weights


def test_x4_grows_out_of_x2() -> None:
    source, target = zoo.create_model("srresnet_x2"), zoo.create_model("srresnet_x4")
    before = {name: value.clone() for name, value in target.state_dict().items()}
    report = transfer_weights(source, target)
    assert report.fresh == ("upsampler.1.0.weight", "upsampler.1.0.bias")
    assert report.share == pytest.approx(1_369_859 / 1_517_571)
    for name, value in target.state_dict().items():
        origin = before if name in report.fresh else source.state_dict()
        assert torch.equal(value, origin[name])
    assert "90.3% of the parameters copied; left fresh: upsampler.1.0.weight" in str(report)


def test_too_little_in_common_changes_nothing() -> None:
    source = zoo.create_model("srresnet_x2", width=8)
    target = zoo.create_model("srresnet_x2", width=16)
    before = {name: value.clone() for name, value in target.state_dict().items()}
    with pytest.raises(WeightsError, match=r"Only 0\.\d% .* at least 50\.0% were asked for"):
        transfer_weights(source, target)
    assert all(torch.equal(value, before[name]) for name, value in target.state_dict().items())


def compile_body(net: zoo.ZooModel) -> zoo.ZooModel:
    net.body = torch.compile(net.body)
    return net


WRAPPERS = [
    torch.compile,
    nn.DataParallel,
    lambda n: nn.DataParallel(torch.compile(n)),
    compile_body,
]


@pytest.mark.parametrize("wrap", WRAPPERS)
@pytest.mark.parametrize("side", ["source", "target", "both"])
def test_wrappers_count_as_what_they_wrap(wrap: Any, side: str) -> None:
    source = zoo.create_model("srresnet_x2", width=8, depth=1)
    target = zoo.create_model("srresnet_x4", width=8, depth=1)
    wanted = source.head.weight.clone()
    pair = [
        wrap(net) if side in (name, "both") else net
        for name, net in (("source", source), ("target", target))
    ]
    report = transfer_weights(*pair)
    assert report.fresh == ("upsampler.1.0.weight", "upsampler.1.0.bias")
    assert torch.equal(target.head.weight, wanted)

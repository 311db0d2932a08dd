"""Weights from one network into another."""

from __future__ import annotations

import pytest
import torch

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

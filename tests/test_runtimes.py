"""Networks in OpenVINO: the results of PyTorch, or a sentence."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import files, run
from pictures import random_pixels
from PIL import Image
from torch import Tensor, nn

import zoo
from zoo.errors import InputError, MissingDependencyError
from zoo.inference.enlarging import has_two_steps
from zoo.inference.openvino import _SHAPES

CUT = {"tile": 20}  # pixels: several tiles, of several shapes


def difference(a: np.ndarray, b: np.ndarray) -> int:
    return int(np.abs(a.astype(int) - b).max())


def test_every_model_gives_what_pytorch_gives(tiny_model: zoo.ZooModel) -> None:
    """In fp32 to a level of 255, in bfloat16 to the last digits of bfloat16."""
    pixels = random_pixels(45, 37, 3)
    if hasattr(tiny_model, "scale"):
        results = {
            (runtime, precision): zoo.Upscaler(
                tiny_model, runtime=runtime, precision=precision, **CUT
            ).array(pixels)
            for runtime in ("torch", "openvino")
            for precision in ("fp32", "bf16")
        }
        assert difference(results["openvino", "fp32"], results["torch", "fp32"]) <= 1
        assert difference(results["openvino", "bf16"], results["torch", "fp32"]) <= 3
        return
    options = {"size": 64, "precision": "fp32"}
    ours, theirs = (
        zoo.Segmenter(tiny_model, runtime=runtime, **options).logits(pixels)
        for runtime in ("torch", "openvino")
    )
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)
    mirrored = zoo.Segmenter(tiny_model, runtime="openvino", tta=True, **options).logits(pixels)
    expected = zoo.Segmenter(tiny_model, tta=True, **options).logits(pixels)
    torch.testing.assert_close(mirrored, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", ["srresnet_x2.fast", "dynamic_unet"])
def test_weights_that_ship(name: str) -> None:
    pixels = random_pixels(64, 64, 3)
    make = zoo.Upscaler if name.startswith("srresnet") else zoo.Segmenter
    exact = make(name, precision="fp32").array(pixels)
    assert difference(make(name, precision="fp32", runtime="openvino").array(pixels), exact) <= 1


def test_two_steps_stay_two() -> None:
    net = zoo.create_model("srresnet_x4", width=8, depth=1)
    upscaler = zoo.Upscaler(net, runtime="openvino")
    assert has_two_steps(upscaler.model)
    assert upscaler.model is not net
    plain = zoo.Upscaler(net, precision="fp32")
    pixels = random_pixels(64, 64, 3)
    pieces = zoo.Upscaler(net, runtime="openvino", precision="fp32", memory=10**9)
    assert difference(pieces.array(pixels), plain.array(pixels)) <= 1


@pytest.mark.parametrize("options", [{"tta": True}, {"precision": "bf16"}, {}])
@pytest.mark.parametrize("shape", [(23, 31), (23, 31, 1), (23, 31, 4)])
def test_pictures_of_all_kinds(options: dict[str, object], shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    net = zoo.create_model("srresnet_x2", width=8, depth=1)
    pixels = random_pixels(*shape)
    result = zoo.upscale(pixels, net, runtime="openvino", **options)
    assert result.shape == (46, 62, *shape[2:])
    assert difference(result, zoo.upscale(pixels, net, **options)) <= 3


def test_more_shapes_than_are_kept() -> None:
    net = zoo.create_model("srresnet_x2", width=8, depth=1)
    ours, theirs = (
        zoo.Upscaler(net, runtime=runtime, precision="fp32") for runtime in ("openvino", "torch")
    )
    for side in (*range(8, 8 + _SHAPES + 2), 8):
        pixels = random_pixels(side, 9, 3)
        assert difference(ours.array(pixels), theirs.array(pixels)) <= 1


def test_weights_are_those_of_the_moment_at_which_it_was_made() -> None:
    net = zoo.create_model("srresnet_x2", width=8, depth=1)
    upscaler, pixels = zoo.Upscaler(net, runtime="openvino"), random_pixels(9, 9, 3)
    before = upscaler.array(pixels)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
    assert np.array_equal(upscaler.array(pixels), before)


class Branching(nn.Module):
    """What tracing gets wrong: the size decides."""

    scale, halo, peak_floats = 1, 0, 3

    def forward(self, x: Tensor) -> Tensor:
        return x if x.shape[2] == 48 else 1 - x


class Untraceable(nn.Module):
    scale, halo, peak_floats = 1, 0, 3

    def forward(self, x: Tensor) -> Tensor:
        return torch.from_numpy(np.linalg.pinv(x.numpy()) if x.sum() > 0 else x.numpy()) + x.new(2)


@pytest.mark.parametrize(
    ("net", "options", "said"),
    [
        (Branching(), {}, "OpenVINO can't run this model: its results differ."),
        (Untraceable(), {}, r"OpenVINO can't run this model \("),
        (Branching(), {"runtime": "openvin"}, "none of torch, openvino. Did you mean 'openvino'"),
        (Branching(), {"device": "meta"}, "works on the CPU, not on meta"),
    ],
)
def test_refusals(net: nn.Module, options: dict[str, str], said: str) -> None:
    level = logging.root.level
    with pytest.raises(InputError, match=said):
        zoo.Upscaler(net, **({"runtime": "openvino"} | options))
    assert logging.root.level == level


FORKS = """
import os, sys, time

fork, forks = os.fork, []
os.fork = lambda: forks.append(1) or fork()
import zoo

zoo.Upscaler(zoo.create_model("srresnet_x2", width=8, depth=1), runtime="openvino")
time.sleep(1)  # reports go out from a thread
sys.exit(len(forks))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_nothing_is_reported_to_the_maker_of_the_runtime() -> None:
    pytest.importorskip("openvino_telemetry")
    environment = {name: value for name, value in os.environ.items() if name != "CI"}
    assert (
        subprocess.run([sys.executable, "-c", FORKS], env=environment, check=False).returncode == 0
    )


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'zoo-models\[openvino\]'"):
        zoo.Upscaler("srresnet_x2.fast", runtime="openvino")


def test_commands_take_a_runtime(tiny_upscaler: Path, tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    Image.fromarray(random_pixels(20, 30, 3)).save(photo)
    out = tmp_path / "out"
    call = ("upscale", photo, "-o", out, "-m", tiny_upscaler, "--precision", "fp32")
    assert run(*call, "--runtime", "openvino").status == 0
    result = np.asarray(Image.open(out / "photo.png"))
    expected = zoo.upscale(np.asarray(Image.open(photo)), tiny_upscaler, precision="fp32")
    assert difference(result, expected) <= 1
    wrong = run(*call, "--runtime", "onnx")
    assert (wrong.status, len(wrong.stderr.splitlines())) == (2, 1)
    assert run("segment", photo, "-o", tmp_path / "m", "--runtime", "openvino").status == 0
    assert files(tmp_path / "m") == {"photo.png"}

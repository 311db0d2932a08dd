"""Networks run by OpenVINO instead of PyTorch, on CPUs."""

from __future__ import annotations

import copy
import functools
import logging
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from zoo.errors import InputError, MissingDependencyError, did_you_mean
from zoo.inference.enlarging import TwoSteps, has_two_steps
from zoo.inference.onnx_model import OnnxModel
from zoo.inference.placement import in_eval_mode

RUNTIMES = ("torch", "openvino")
_TOLD = ("scale", "halo", "peak_floats", "trunk_floats", "enlarge_halo", "in_chans", "image_size")
_SHAPES = 16  # that a network stays compiled for: tiles in the middle, at borders, in corners
_TOLERANCE = 1e-3  # of results in fp32, by their largest value


def in_runtime(
    model: nn.Module, runtime: str, *, device: torch.device, dtype: torch.dtype, example: Tensor
) -> nn.Module:
    """Return a model as a runtime runs it: "torch" leaves it as it is.

    dtype: of the convolutions, float32 or bfloat16.
    example: an input `[1, C, H, W]`. Super-resolution models take any other size too.

    Raises InputError for another runtime, for OpenVINO on another device than the CPU, and for a
    model that it can't run; MissingDependencyError without the package.
    """
    if runtime == "torch":
        return model
    if runtime not in RUNTIMES:
        hint = did_you_mean(runtime, RUNTIMES)
        raise InputError(f"runtime={runtime!r} is none of {', '.join(RUNTIMES)}.{hint}")
    if device.type != "cpu":
        raise InputError(f"runtime='openvino' works on the CPU, not on {device}.")
    if isinstance(model, OnnxModel):
        raise InputError("runtime='openvino' takes models of PyTorch: ONNX Runtime runs this file.")
    _require()
    model = copy.deepcopy(in_eval_mode(model))  # some of the weights stay where PyTorch has them
    return (_InTwoSteps if has_two_steps(model) else _InOneStep)(model, dtype, example)


class _InOneStep(nn.Module):
    """A network, with the attributes that inference reads of the one that it was made of."""

    def __init__(self, model: nn.Module, dtype: torch.dtype, example: Tensor) -> None:
        super().__init__()
        for name in _TOLD:
            if hasattr(model, name):
                setattr(self, name, getattr(model, name))
        self.convert(model, dtype, example)
        self.eval()

    def convert(self, model: Any, dtype: torch.dtype, x: Tensor) -> None:
        self.whole = _Graph(model, dtype, (x,), other=(_other(x) if hasattr(self, "scale") else x,))

    def forward(self, x: Tensor) -> Tensor:
        return self.whole(x)


class _InTwoSteps(_InOneStep):
    """A network that computes its trunk and its enlargement apart, see `TwoSteps`."""

    def convert(self, model: TwoSteps, dtype: torch.dtype, x: Tensor) -> None:
        y = _other(x)
        with torch.no_grad():
            features, others = model.trunk(x), model.trunk(y)
        self.first = _Graph(_Part(model, "trunk"), dtype, (x,), other=(y,), gives=dtype)
        self.second = _Graph(
            _Part(model, "enlarge"), dtype, (features, x), other=(others, y), takes=dtype
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.enlarge(self.trunk(x), x)

    def trunk(self, x: Tensor) -> Tensor:
        return self.first(x)

    def enlarge(self, features: Tensor, x: Tensor) -> Tensor:
        return self.second(features, x)


class _Part(nn.Module):
    """A method of a network as a network."""

    def __init__(self, model: TwoSteps, method: str) -> None:
        super().__init__()
        self.model, self.method = model, method

    def forward(self, *inputs: Tensor) -> Tensor:
        result: Tensor = getattr(self.model, self.method)(*inputs)
        return result


class _Graph:
    """A network in OpenVINO, compiled for each shape that it meets.

    dtype: of its convolutions.
    example, other: inputs to convert it by, and to compare its results with the network's on.
    takes, gives: dtypes of the first input and of the result.

    Raises InputError if OpenVINO can't convert the network or its results differ.
    """

    def __init__(
        self,
        network: nn.Module,
        dtype: torch.dtype,
        example: tuple[Tensor, ...],
        *,
        other: tuple[Tensor, ...],
        takes: torch.dtype = torch.float32,
        gives: torch.dtype = torch.float32,
    ) -> None:
        try:
            with torch.no_grad(), _quiet():
                graph = _require().convert_model(network, example_input=example)
                expected = network(*other)
                result = _compile(graph, _shapes(other), torch.float32)(*other)
        except Exception as error:  # converters raise almost anything
            text = str(error).strip().partition("\n")[0]
            raise InputError(
                f"OpenVINO can't run this model ({type(error).__name__}: {text})."
            ) from error
        if (result - expected).abs().max() > _TOLERANCE * max(1, float(expected.abs().max())):
            raise InputError("OpenVINO can't run this model: its results differ.")

        @functools.lru_cache(_SHAPES)
        def compiled(shapes: tuple[tuple[int, ...], ...]) -> Callable[..., Tensor]:
            return _compile(graph, shapes, dtype, takes=takes, gives=gives)

        self.compiled = compiled

    def __call__(self, *inputs: Tensor) -> Tensor:
        return self.compiled(_shapes(inputs))(*inputs)


def _compile(
    graph: Any,
    shapes: Sequence[tuple[int, ...]],
    dtype: torch.dtype,
    *,
    takes: torch.dtype = torch.float32,
    gives: torch.dtype = torch.float32,
) -> Callable[..., Tensor]:
    """Return a function of tensors of these shapes. Those in bfloat16 have channels last."""
    openvino = _require()
    graph = graph.clone()
    graph.reshape(dict(zip(graph.inputs, shapes, strict=True)))
    prepared = openvino.preprocess.PrePostProcessor(graph)
    for port, kind in ((prepared.input(0), takes), (prepared.output(0), gives)):
        if kind == torch.bfloat16:
            port.tensor().set_element_type(openvino.Type.bf16)
            port.tensor().set_layout(openvino.Layout("NHWC"))
            port.model().set_layout(openvino.Layout("NCHW"))
    options = {
        "INFERENCE_PRECISION_HINT": "bf16" if dtype == torch.bfloat16 else "f32",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "PERFORMANCE_HINT": "LATENCY",
    }
    network = openvino.Core().compile_model(prepared.build(), "CPU", options)
    size = tuple(network.output(0).shape)

    def run(*inputs: Tensor) -> Tensor:
        request = network.create_infer_request()
        first, *others = inputs
        first = first.to(takes)
        if takes == torch.bfloat16:
            first = first.permute(0, 2, 3, 1)
        result = torch.empty(size, dtype=gives)
        shared = [_shared(x) for x in (result, first, *others)]
        request.set_output_tensor(0, shared[0])
        for index, x in enumerate(shared[1:]):
            request.set_input_tensor(index, x)
        request.infer()
        return result.permute(0, 3, 1, 2) if gives == torch.bfloat16 else result

    return run


def _shared(x: Tensor) -> Any:
    """Return a tensor of OpenVINO in the memory of a contiguous one, or of a contiguous copy."""
    openvino = _require()
    x = x.contiguous()
    if x.dtype != torch.bfloat16:
        return openvino.Tensor(x.numpy(), shared_memory=True)
    bits = x.view(torch.int16).numpy()
    return openvino.Tensor(bits, openvino.Shape(bits.shape), openvino.Type.bf16)


def _shapes(inputs: Sequence[Tensor]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(x.shape) for x in inputs)


def _other(x: Tensor) -> Tensor:
    """Return noise of another size than `[1, C, H, W]`."""
    return torch.rand(1, x.shape[1], x.shape[2] + 5, x.shape[3] - 3)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the warnings of tracing back: what it gets wrong shows in the results.

    A conversion that fails leaves another level to everybody's logging.
    """
    level = logging.root.level
    try:
        with warnings.catch_warnings(), _unreported():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.root.setLevel(level)


@contextmanager
def _unreported() -> Iterator[None]:
    """Keep OpenVINO from reporting to its maker, which it does over the network, but not in CI.

    It would fork for that, and a fork of a process with threads can hang.
    """
    before = os.environ.get("CI")
    os.environ["CI"] = "true"
    try:
        yield
    finally:
        if before is None:
            del os.environ["CI"]
        else:
            os.environ["CI"] = before


def _require() -> Any:
    try:
        with _unreported():
            import openvino
    except ImportError as error:
        raise MissingDependencyError(
            "runtime='openvino' needs a package: pip install 'zoo-models[openvino]'."
        ) from error
    return openvino

"""Export a model to one file for other programs: ONNX, or torch.export's .pt2.

export_model(zoo.create_model("srresnet_x4.psnr"), "srresnet_x4.onnx")

The file takes batches of images of any size, as the model does. Its metadata describe the input,
the output and the licence of the weights.
"""

from __future__ import annotations

import copy
import importlib.util
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from zoo.errors import ExportError, InputError, MissingDependencyError, did_you_mean
from zoo.registry import get_weights, list_weights
from zoo.store.atomic import obstacle, replacing
from zoo.store.state_dict import unwrap

Run = Callable[[Tensor], Tensor]

_TRACED = (2, 40, 50)  # batch, height, width of the traced image; all three are dynamic
_TRIED = ((1, 33, 71), (3, 64, 45))  # the same of the images that the file is checked with
_TOLERANCE = 1e-4


def export_model(
    model: nn.Module, file: str | os.PathLike[str], *, overwrite: bool = False
) -> float:
    """Write a model, in fp32 and eval mode, as a file that other programs run.

    model: one that `create_model` or `load_model` built, on any device; it is not changed.
    file: its suffix sets the format. `.onnx` (needs the extra `export`) has the input "image" and
        the output "result". `.pt2` is for `torch.export.load`; a segmentation model then takes
        sides from 33 pixels, not 32, because torch.export specialises the graph at 32.

    Returns the largest absolute difference between the results of the file and of the model, on
    two images whose sizes differ from the traced one.
    Raises InputError for another module or suffix, MissingDependencyError, and ExportError if the
    file exists or can't be written, the model can't be traced, or the results differ by more than
    1e-4; nothing is written then.
    """
    path = Path(file)
    write = _writer(path)
    net = unwrap(model)
    if not isinstance(getattr(net, "config", None), dict):
        raise InputError(
            f"export_model takes a model that create_model built, not a {type(net).__name__}."
        )
    if reason := obstacle(path, overwrite=overwrite):
        raise ExportError(f"{path}: {reason}")
    net = copy.deepcopy(net).to("cpu", torch.float32).eval()
    net = net.to(memory_format=torch.contiguous_format)
    channels = int(getattr(net, "in_chans", 3))
    try:
        with replacing(path) as part, torch.no_grad():
            run = write(net, _image(channels, *_TRACED), part, facts(net))
            tried = [_image(channels, *size) for size in _TRIED]
            errors = [(run(x) - net(x)).abs().max() for x in tried]
            error = float(torch.stack(errors).max())  # NaN, if one is
            if not error <= _TOLERANCE:  # true for NaN, too
                raise ExportError(f"{path}: its results differ from the model's by {error:.2g}.")
    except OSError as problem:
        raise ExportError(f"{path}: the file can't be written ({problem.strerror}).") from problem
    return error


def facts(model: nn.Module) -> dict[str, str]:
    """Return the file's metadata: its input and output, and the origin of its weights."""
    config = cast(dict[str, Any], model.config)
    architecture = str(config["architecture"])
    channels, scale = getattr(model, "in_chans", 3), getattr(model, "scale", None)
    colours = "RGB in [0, 1]"
    result = {
        "architecture": architecture,
        "options": json.dumps(config["options"]),
        "input": f"image: float32 [batch, {channels}, height, width], "
        + (colours if channels == 3 else "in [0, 1]"),
        "output": "result: logits [batch, classes, height, width]"
        if scale is None
        else f"result: [batch, 3, {scale}·height, {scale}·width], {colours}, not clamped",
    }
    source = str(getattr(model, "source", None))  # a local path stays private
    if source.startswith("hf-hub:"):
        result["weights"] = source
    elif source in list_weights(architecture):
        weights = get_weights(source)
        result["weights"] = source
        result["weights_sha256"] = weights.sha256
        result["licence"] = weights.meta.license
    return result


def _writer(path: Path) -> Callable[[nn.Module, Tensor, Path, dict[str, str]], Run]:
    """Return the writer for a suffix; raise if a package that it needs is missing."""
    writers = {".onnx": _write_onnx, ".pt2": _write_pt2}
    suffix = path.suffix.lower()
    if suffix not in writers:
        hint = did_you_mean(suffix, writers)
        raise InputError(f"{path}: the file's name must end in {' or '.join(writers)}.{hint}")
    needed = ("onnx", "onnxscript", "onnxruntime") if suffix == ".onnx" else ()
    if missing := [name for name in needed if importlib.util.find_spec(name) is None]:
        raise MissingDependencyError(
            f"ONNX needs {', '.join(missing)}: pip install 'zoo-models[export]'."
        )
    return writers[suffix]


def _write_onnx(model: nn.Module, image: Tensor, path: Path, facts: dict[str, str]) -> Run:
    import onnxruntime

    try:
        program = torch.onnx.export(
            model,
            (image,),
            dynamo=True,
            dynamic_shapes=({0: "batch", 2: "height", 3: "width"},),
            input_names=["image"],
            output_names=["result"],
            verbose=False,
        )
    except Exception as error:  # the exporter raises errors of many types
        raise _no_graph(path, error) from error
    assert program is not None  # because dynamo=True
    program.model.metadata_props.update(facts)
    program.save(path)
    session = onnxruntime.InferenceSession(path)
    return lambda x: torch.from_numpy(session.run(None, {"image": x.numpy()})[0])


def _write_pt2(model: nn.Module, image: Tensor, path: Path, facts: dict[str, str]) -> Run:
    free = torch.export.Dim.DYNAMIC
    try:
        program = torch.export.export(
            model, (image,), dynamic_shapes=({0: free, 2: free, 3: free},)
        )
    except Exception as error:  # the exporter raises errors of many types
        raise _no_graph(path, error) from error
    torch.export.save(program, path, extra_files={"zoo.json": json.dumps(facts, indent=1)})
    return cast(Run, torch.export.load(path).module())


def _no_graph(path: Path, error: Exception) -> ExportError:
    reason = str(error).strip().partition("\n")[0]
    return ExportError(f"{path}: the model can't be expressed as a graph ({reason}).")


def _image(channels: int, batch: int, height: int, width: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(batch, channels, height, width, generator=generator)

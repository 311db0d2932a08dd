"""Export a model to one file for other programs: ONNX, or torch.export's .pt2.

export_model(zoo.create_model("srresnet_x4.psnr"), "srresnet_x4.onnx")

The file takes batches of images of any size, as the model does, or its metadata name the sizes that
it takes. They also describe the input, the output and the licence of the weights.
"""

from __future__ import annotations

import copy
import importlib.util
import json
import logging
import os
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from zoo.errors import ExportError, InputError, MissingDependencyError, did_you_mean
from zoo.facts import facts
from zoo.graph import Sides, sizes_of, trace
from zoo.store.atomic import obstacle, replacing
from zoo.store.state_dict import unwrap

Run = Callable[[Tensor], Tensor]
Write = Callable[[ExportedProgram, Tensor, Path, dict[str, str]], Run]

_UNIT = 32  # pixels; at least this is taken for the unit to which a model pads images
_LARGE = 1024  # pixels a side; larger images are not computed
_LINE = 160  # characters of another library's message
_TOLERANCE = 1e-4


class Exported(NamedTuple):
    """What is known of a file that was written.

    error: the largest absolute difference between its results and the model's.
    heights, widths: those that it takes.
    bounded: whether it refuses sizes that the model takes.
    """

    error: float
    heights: Sides
    widths: Sides
    bounded: bool


def export_model(
    model: nn.Module, file: str | os.PathLike[str], *, overwrite: bool = False
) -> float:
    """Write a model, in fp32 and eval mode, as a file that other programs run.

    model: one that `create_model` or `load_model` built, on any device; it is not changed.
    file: its suffix sets the format. `.onnx` (needs the extra `export`) has the input "image" and
        the output "result". `.pt2` is for `torch.export.load`. The metadata "heights" and "widths"
        name the sizes that the file takes. Segmentation models take at least one pixel more than
        the unit to which they pad, 33 for most, because torch.export takes one unit for a constant.

    Returns the largest absolute difference between the results of the file and of the model, on
    images on both sides of the sizes to which the model pads, and at the bounds of the file.
    Raises InputError for another module or suffix, MissingDependencyError, and ExportError if the
    file exists or can't be written, the model can't be traced, or the results differ by more than
    1e-4; nothing is written then.
    """
    return export(model, file, overwrite=overwrite).error


def export(model: nn.Module, file: str | os.PathLike[str], *, overwrite: bool = False) -> Exported:
    """Write a model as `export_model` does; return all that is known of the file."""
    path = Path(file)
    write = check_target(path, overwrite=overwrite)
    net = unwrap(model)
    if not isinstance(getattr(net, "config", None), dict):
        raise InputError(
            f"export_model takes a model that create_model built, not a {type(net).__name__}."
        )
    said = facts(net)
    net = copy.deepcopy(net).to("cpu", torch.float32).eval()
    net = net.to(memory_format=torch.contiguous_format)
    try:
        with replacing(path) as part, torch.no_grad(), _quiet():
            return _write_checked(net, write, part, said)
    except OSError as error:
        raise ExportError(f"{path}: the file can't be written ({error.strerror}).") from error
    except ExportError as error:
        raise ExportError(f"{path}: {error}; {_instead(net)}.") from error


def check_target(path: Path, *, overwrite: bool) -> Write:
    """Return what writes files of this suffix; raise if that or the path can't be used."""
    write = _writer(path)
    if reason := obstacle(path, overwrite=overwrite):
        raise ExportError(f"{path}: {reason}")
    return write


def _write_checked(net: nn.Module, write: Write, path: Path, said: dict[str, str]) -> Exported:
    """Write the file, and compare it with the model on images of several sizes."""
    channels = int(getattr(net, "in_chans", 3))
    least = int(getattr(getattr(net, "input_spec", None), "min_side", 1))
    unit = max(int(getattr(getattr(net, "encoder", None), "multiple", 1)), _UNIT)
    image = _image(channels, 2, unit + unit // 4, unit + unit // 2 + 2)
    with _stage("the model can't be expressed as a graph"):
        program = trace(net, image)
        heights, widths = sizes_of(program, image, least=least)
    with _stage(f"its graph can't be written as *{path.suffix}"):
        said = said | {"heights": str(heights), "widths": str(widths)}
        run = write(program, image, path, said)
    error = 0.0
    for batch, height, width in (
        (1, least, least),
        (1, unit, 2 * unit + 1),
        (1, 2 * unit, unit + 1),
        (3, unit + 1, unit + 13),
        (1, min(heights.most or unit, _LARGE), min(widths.most or unit, _LARGE)),
    ):
        x = _image(channels, batch, heights.nearest(height), widths.nearest(width))
        size = f"images of {x.shape[2]} × {x.shape[3]} pixels"
        with _stage(f"the file refuses {size}"):
            difference = float((run(x) - net(x)).abs().max())
        if not difference <= _TOLERANCE:  # true for NaN, too
            raise ExportError(f"its results differ from the model's by {difference:.2g} for {size}")
        error = max(error, difference)
    return Exported(error, heights, widths, (heights, widths) != (Sides(least, None),) * 2)


def _writer(path: Path) -> Write:
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


def _write_onnx(program: ExportedProgram, image: Tensor, path: Path, facts: dict[str, str]) -> Run:
    import onnxruntime

    graph = torch.onnx.export(
        program,
        (image,),
        dynamo=True,
        dynamic_shapes=({0: "batch", 2: "height", 3: "width"},),  # names of the axes
        input_names=["image"],
        output_names=["result"],
        verbose=False,
    )
    assert graph is not None  # because dynamo=True
    graph.model.metadata_props.update(facts)
    graph.save(path)
    session = onnxruntime.InferenceSession(path)
    return lambda x: torch.from_numpy(session.run(None, {"image": x.numpy()})[0])


def _write_pt2(program: ExportedProgram, image: Tensor, path: Path, facts: dict[str, str]) -> Run:
    torch.export.save(program, path, extra_files={"zoo.json": json.dumps(facts, indent=1)})
    return cast(Run, torch.export.load(path).module())


@contextmanager
def _stage(problem: str) -> Iterator[None]:
    """Turn what an exporter or a graph raises, errors of many types, into an ExportError."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        raise ExportError(f"{problem} ({_reason(error)})") from error


def _reason(error: BaseException) -> str:
    """Return the first line of the error from which the others follow, without escape codes."""
    while error.__cause__ is not None:
        error = error.__cause__
    text = error.args[0] if isinstance(error, KeyError) and error.args else error  # else quoted
    text = re.sub(r"\x1b\[[\d;]*m", "", str(text)).strip()
    line = text.partition("\n")[0].strip(" .:") or type(error).__name__
    line = re.sub(r"\S*\.part\.\w+", "the file", line)
    return line if len(line) <= _LINE else line[: _LINE - 1] + "…"


def _instead(net: nn.Module) -> str:
    """Return what works for a model that can't be exported."""
    kept = "zoo.save_model keeps the model for Python"
    if hasattr(net, "encoder"):
        return f"encoders of convolutions such as resnet34 work, and {kept}"
    return kept


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep back the warnings and logs of exporters, which are about their own code."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _image(channels: int, batch: int, height: int, width: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(batch, channels, height, width, generator=generator)

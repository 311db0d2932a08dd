"""`zoo list` and `zoo info`: tables of models and weights."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any

import torch
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

import zoo
from zoo.create import create_model, load_model
from zoo.facts import origin
from zoo.inference.device import pick_device, pick_precision
from zoo.inference.onnx_model import OnnxModel
from zoo.registry import Model, Weights, get_model, get_weights, list_models, list_weights
from zoo.sources import is_onnx, names_folder

_ENTRIES, _LINE = 40, 300  # of a file's metadata, and characters of one


def overview(pattern: str, *, pretrained: bool) -> Table:
    """Return a table of the models that match a pattern; of weights if it contains a dot.

    Builds no network, so that a list appears at once.
    """
    table = Table("model", "task", "weights", "what it is", box=None, pad_edge=False)
    for name in list_models(pattern, pretrained=pretrained):
        architecture, _, tag = name.partition(".")
        model = get_model(architecture)
        tags = [tag] if tag else [known.partition(".")[2] for known in list_weights(name)]
        table.add_row(name, model.task, ", ".join(tags) or "-", model.summary)
    return table


def description(name: str) -> Iterator[RenderableType]:
    """Yield text and tables about a model and all its weights, or about one "model.tag".

    name: also a folder that `save_model` wrote, "hf-hub:org/repo@revision", or an ONNX file.
    Raises UnknownNameError, and WeightsError for a folder or file that can't be loaded.
    """
    if is_onnx(name):
        yield Text(f"{name} says of itself:")
        yield _facts(_of_file(OnnxModel(name)))
        return
    if names_folder(name):
        yield from _of_folder(name)
        return
    model = get_model(name.partition(".")[0])
    known = [get_weights(name).name] if "." in name else list_weights(name)
    yield from _of_model(model, _parameters(model.name), model.options)
    for full_name in known:
        weights = get_weights(full_name)
        yield Text.assemble("\n", (full_name, "bold"), f"  version {weights.meta.version}")
        yield _facts(_of_weights(weights))
    if not known:
        yield Text("\nNo weights: train it with its recipe, or bring your own.")


def installation() -> RenderableType:
    """Return versions and what "auto" stands for here: what a report of a fault needs."""
    device = pick_device()
    packages = ("torch", "torchvision", "timm", "safetensors", "huggingface_hub", "Pillow", "numpy")
    return _facts(
        {
            "zoo": zoo.__version__,
            "Python": platform.python_version(),
            **{name: version(name) for name in packages},
            "system": f"{platform.system()} {platform.machine()}",
            "device": f"{device}, {torch.get_num_threads()} threads",
            "precision": str(pick_precision("auto", device)).removeprefix("torch."),
        }
    )


def _of_folder(name: str) -> Iterator[RenderableType]:
    net = load_model(name)
    spec = net.input_spec
    yield from _of_model(
        get_model(net.config["architecture"]),
        sum(parameter.numel() for parameter in net.parameters()),
        net.config["options"],
    )
    yield Text.assemble("\n", (str(net.source), "bold"))
    side = {"training size": f"{net.image_size} pixels"} if net.image_size else {}
    yield _facts({"channels": spec.channels, "least side": f"{spec.min_side} pixels", **side})
    if (same := origin(net)) is not None:
        yield Text(f"The weights are those of {same.name}:")
        yield _facts(_of_weights(same))
    else:
        yield Text("Nothing is recorded of its training data: they decide its licence and limits.")


def _of_file(model: OnnxModel) -> dict[str, object]:
    """Return the file's metadata, which anybody can write: a line each, and without codes."""

    def plain(text: str) -> str:
        return "".join(filter(str.isprintable, " ".join(text[:_LINE].split())))

    entries = sorted(model.metadata.items())[:_ENTRIES]
    return {plain(key): plain(value) for key, value in entries}


def _of_model(
    model: Model, parameters: int, options: Mapping[str, Any]
) -> Iterator[RenderableType]:
    given = ", ".join(f"{key}={value!r}" for key, value in options.items())
    yield Text.assemble((model.name, "bold"), f"  {model.task}")
    yield Text(model.summary)
    yield _facts({"parameters": f"{parameters:,}", "options": given or "none"})


def _of_weights(weights: Weights) -> dict[str, object]:
    meta = weights.meta
    told = {"intended use": meta.use, "limits": meta.limits}
    return {
        **{key: text for key, text in told.items() if text},
        "licence": meta.license,
        "training data": f"{meta.training_data} ({meta.training_data_terms})",
        "recipe": meta.recipe,
        **meta.options,
        "parameters": f"{_parameters(weights.architecture, **meta.options):,}",
        "size": f"{weights.size:,} bytes",
        "sha256": weights.sha256,
        **_flat(weights.metrics),
    }


def _parameters(name: str, **options: Any) -> int:
    with torch.device("meta"):  # shapes only
        model = create_model(name, **options)
    return sum(parameter.numel() for parameter in model.parameters())


def _facts(facts: dict[str, object]) -> Table:
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for key, value in facts.items():
        table.add_row(Text(key), Text(str(value)))
    return table


def _flat(metrics: dict[str, object], prefix: str = "") -> dict[str, object]:
    """Flatten nested metrics: {"Set5": {"psnr_y": 38}} becomes {"Set5 psnr_y": 38}."""
    flat: dict[str, object] = {}
    for key, value in metrics.items():
        label = f"{prefix} {key}".strip()
        flat |= _flat(value, label) if isinstance(value, dict) else {label: value}
    return flat

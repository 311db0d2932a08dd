"""`zoo list` and `zoo info`: tables of models and weights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from zoo.create import create_model
from zoo.registry import Model, Weights, get_model, get_weights, list_models, list_weights


def overview(pattern: str, *, pretrained: bool) -> Table:
    """Return a table of the models that match a pattern; of weights if it contains a dot.

    Builds no network, so that a list appears at once.
    """
    table = Table("model", "task", "weights", "what it is", box=None, pad_edge=False)
    for name in list_models(pattern, pretrained=pretrained):
        architecture, _, tag = name.partition(".")
        model = get_model(architecture)
        tags = [tag] if tag else [known.partition(".")[2] for known in list_weights(name)]
        table.add_row(name, model.task, ", ".join(tags) or "-", summary(model))
    return table


def summary(model: Model) -> str:
    """Return the first sentence of the builder's docstring."""
    line = (model.build.__doc__ or "").strip().partition("\n")[0]
    return line.partition(". ")[0].rstrip(".")


def description(name: str) -> Iterator[RenderableType]:
    """Yield text and tables about a model and all its weights, or about one "model.tag".

    Raises UnknownNameError.
    """
    model = get_model(name.partition(".")[0])
    known = [get_weights(name).name] if "." in name else list_weights(name)
    options = ", ".join(f"{key}={value!r}" for key, value in model.options.items())
    yield Text.assemble((model.name, "bold"), f"  {model.task}")
    yield Text(summary(model))
    yield _facts({"parameters": f"{_parameters(model.name):,}", "options": options or "none"})
    for full_name in known:
        weights = get_weights(full_name)
        yield Text.assemble("\n", (full_name, "bold"), f"  version {weights.meta.version}")
        yield _facts(_of_weights(weights))
    if not known:
        yield Text("\nNo weights: train it with its recipe, or bring your own.")


def _of_weights(weights: Weights) -> dict[str, object]:
    meta = weights.meta
    return {
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

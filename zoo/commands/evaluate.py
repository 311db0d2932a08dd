"""What `zoo eval` does: measures a model on images of your own."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from zoo.errors import InputError

Figures = dict[str, dict[str, Any]]  # by what was measured, then by metric


def evaluate(
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help="A name of `zoo list`, a saved folder or hf-hub:…."),
    ],
    data: Annotated[Path, typer.Option(help="Folder of photographs, or of images and masks.")],
    validation: Annotated[
        int | None,
        typer.Option(
            min=1, help="Segmentation: groups, the first by name, where no split is saved."
        ),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Segmentation: all images, of a folder new to the model.")
    ] = False,
    size: Annotated[
        int | None, typer.Option(help="Segmentation: side at which it looks; else its own.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="A new file for the figures, as JSON.")] = None,
) -> None:
    """Measure a model on images of your own: zoo eval runs/mine/best --data DIR"""
    from zoo.create import load_model
    from zoo.store.atomic import obstacle, replacing

    if out is not None and (reason := obstacle(out, overwrite=False)):
        raise InputError(f"{out}: {reason}")
    net = load_model(model)
    if hasattr(net, "scale"):
        figures, metrics = enlargement(net, model, data)
    else:
        figures, metrics = segmentation(
            net, model, data, validation=validation, everything=everything, size=size
        )
    Console().print(table(figures, metrics))
    if out is not None:
        with replacing(out) as part:
            part.write_text(json.dumps(figures, indent=1) + "\n")


def enlargement(net: Any, name: str, data: Path) -> tuple[Figures, list[str]]:
    """Figures of a super-resolution model and of bicubic, on photographs that are shrunk first."""
    from zoo.predict import upscale
    from zoo.sr.data.imresize import bicubic_upscale
    from zoo.sr.measure.evaluate import METRICS, evaluate

    ways: dict[str, Any] = {
        "bicubic": partial(bicubic_upscale, scale=net.scale),
        name: partial(upscale, model=net, precision="fp32", tile=None),
    }
    return {way: evaluate(call, data, scale=net.scale) for way, call in ways.items()}, [*METRICS]


def segmentation(
    net: Any,
    name: str,
    data: Path,
    *,
    validation: int | None,
    everything: bool,
    size: int | None,
) -> tuple[Figures, list[str]]:
    """Figures of a segmentation model on the images that its training set aside, or on all."""
    from zoo.inference.segmenter import Segmenter
    from zoo.seg.data.pairs import Reading
    from zoo.seg.measure.evaluate import (
        METRICS,
        evaluate,
        split_to_measure,
        unseen_pairs,
        validation_pairs,
    )

    segmenter = Segmenter(net, precision="fp32", size=size)
    split = split_to_measure(net.split, validation)
    pairs = unseen_pairs(data, split) if everything else validation_pairs(data, split)
    reading = Reading(net.classes, segmenter.channels)
    row = evaluate(segmenter.logits, pairs, size=segmenter.size, reading=reading)
    return {name: row}, [f"{metric}@{segmenter.size}" for metric in METRICS]


def table(figures: Figures, metrics: list[str]) -> Table:
    """One row for each metric, so that it fits a narrow terminal."""
    count = len(next(iter(figures.values()))["images"])
    grid = Table(f"{count} images", *figures, box=None, pad_edge=False)
    for metric in metrics:
        grid.add_row(metric, *(f"{row[metric]:.4f}" for row in figures.values()))
    return grid

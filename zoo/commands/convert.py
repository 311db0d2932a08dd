"""What `zoo convert` does: makes a model folder of another library's weights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from zoo.commands.plain import say


def convert(
    file: Annotated[Path, typer.Argument(help="*.pth, *.pt, … or *.safetensors from elsewhere.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder for the model.")],
    res_scale: Annotated[
        float | None, typer.Option(help="Of EDSR's blocks; else 1, or 0.1 for the large one.")
    ] = None,
    normalise: Annotated[
        str | None, typer.Option(help="Of a Unet's images: imagenet or none; else imagenet.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the model in a folder that exists.")
    ] = False,
) -> None:
    """Make a model of weights from elsewhere: zoo convert EDSR_Mx4.pth -o edsr/

    Takes MSRResNet and EDSR of BasicSR, and Unets of segmentation_models.pytorch on ResNets.
    """
    from zoo.convert import convert as converted

    done = converted(file, out, res_scale=res_scale, normalise=normalise, overwrite=overwrite)
    config = done.model.config
    options = ", ".join(f"{key}={value!r}" for key, value in config["options"].items())
    assumed = f"; assumed, for the file does not tell it: {done.assumed}" if done.assumed else ""
    said = f"{file} → {done.folder}: {config['architecture']}({options}){assumed}"
    say(Console(soft_wrap=True), said)

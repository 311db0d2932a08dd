"""Turn weights of BasicSR and of segmentation_models.pytorch into model folders of zoo.

convert("EDSR_Mx4.pth", "edsr")
zoo.upscale("photo.jpg", Path("edsr"))
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from zoo.create import create_model
from zoo.errors import OptionError, WeightsError, ZooError
from zoo.layouts import LAYOUTS, Layout
from zoo.model import ZooModel
from zoo.store.atomic import locked, temporary
from zoo.store.folder import save_model
from zoo.store.foreign import read_foreign
from zoo.store.state_dict import load_weights

_NORMALISE = ("imagenet", "none")


class Match(NamedTuple):
    """How well a file fits a layout.

    names: of the network's entries, as the file calls those that it holds.
    problems: what is missing, unexpected or of another shape, the first of each.
    """

    layout: Layout
    options: dict[str, Any]
    names: dict[str, str]
    share: float
    problems: list[str]


class Converted(NamedTuple):
    """The folder that was written, the model in it, and what the file did not tell."""

    folder: Path
    model: ZooModel
    assumed: str


def convert(
    file: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    res_scale: float | None = None,
    normalise: str | None = None,
    overwrite: bool = False,
) -> Converted:
    """Write a state dict of another library as a folder that `load_model` takes.

    file: *.safetensors, or a pickle of tensors (*.pth, *.pt, ...), whose code is never run; of
        BasicSR's MSRResNet or EDSR, or of a Unet of segmentation_models.pytorch on a ResNet.
    res_scale: of EDSR's blocks; by default 1, or 0.1 for the large one (256 channels, 32 blocks).
    normalise: how images were prepared for a Unet: "imagenet" (its mean and std, the default) or
        "none" (values in [0, 1]).
    overwrite: replace the model in a folder.

    The network computes what theirs does, up to rounding; a Unet's result are logits, and images
    whose sides 32 does not divide are padded.

    Raises WeightsError for a file that can't be read or fits no network (it names the nearest one)
    and for a folder that exists or can't be written, OptionError for an option that the network
    does not have.
    """
    path, target = Path(file), Path(folder)
    if target.exists() and not (overwrite and target.is_dir()):
        raise WeightsError(f"{target} exists; overwrite=True (--overwrite) replaces its model.")
    state = read_foreign(path)
    found = max((_match(layout, state) for layout in LAYOUTS), key=lambda match: match.share)
    if found.problems:
        raise WeightsError(
            f"{path} fits none of {', '.join(layout.title for layout in LAYOUTS)}; the nearest is"
            f" {found.layout.title} ({'; '.join(found.problems)})."
        )
    options, assumed = _choose(found, res_scale, normalise)
    model = create_model(found.layout.architecture, **options)
    if normalise == "none":
        encoder = cast(Any, model).encoder
        encoder.mean.zero_(), encoder.std.fill_(1)
    own = model.state_dict()
    load_weights(
        model,
        own | {name: state[theirs] for name, theirs in found.names.items()},
        label=str(path),
    )
    _save(model, target)
    return Converted(target, model.eval(), assumed)


def _match(layout: Layout, state: dict[str, Tensor]) -> Match:
    """Compare a file with the network of a layout that its shapes suggest."""
    shapes = {key: tuple(value.shape) for key, value in state.items()}
    with torch.device("meta"):  # shapes only
        try:
            options = {**layout.fixed, **layout.read(shapes)}
            model = create_model(layout.architecture, **options)
        except (ZooError, ArithmeticError, LookupError, ValueError):  # shapes of something else
            options = dict(layout.fixed)
            model = create_model(layout.architecture, **options)
    own = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    names = {key: theirs for key in own if (theirs := layout.theirs(key)) is not None}
    expected = {theirs: own[key] for key, theirs in names.items()}
    missing = [key for key in expected if key not in shapes]
    unexpected = [key for key in shapes if key not in expected]
    unlike = [key for key in expected if key in shapes and shapes[key] != expected[key]]
    problems = [
        f"{what}: {keys[0][:80]}" + (f" and {len(keys) - 1} more" if len(keys) > 1 else "")
        for keys, what in (
            (missing, "missing"),
            (unexpected, "unexpected"),
            (unlike, "of another shape"),
        )
        if keys
    ]
    both = len(expected) - len(missing)
    return Match(layout, options, names, both / (both + len(missing) + len(unexpected)), problems)


def _choose(
    match: Match, res_scale: float | None, normalise: str | None
) -> tuple[dict[str, Any], str]:
    """Return the builder's options, and what is assumed because the file does not tell it."""
    options, untold = match.options, match.layout.untold
    for name, value in {"res_scale": res_scale, "normalise": normalise}.items():
        if value is not None and name != untold:
            raise OptionError(f"{match.layout.title} has no {name}={value!r}: leave it out.")
    if untold == "res_scale":
        mean = "the mean of DIV2K"
        if res_scale is not None:
            return {**options, "res_scale": res_scale}, mean
        large = (options["width"], options["depth"]) == (256, 32)
        res_scale = 0.1 if large else 1.0
        return {**options, "res_scale": res_scale}, f"res_scale={res_scale:g} and {mean}"
    if normalise not in (None, *_NORMALISE):
        raise OptionError(f"normalise={normalise!r} is none of {', '.join(_NORMALISE)}.")
    return options, "normalise=imagenet" if untold == "normalise" and normalise is None else ""


def _save(model: ZooModel, folder: Path) -> None:
    """Write a model's folder; a new one appears whole or not at all."""
    part = temporary(folder.parent, "part")
    try:
        if folder.exists():
            save_model(model, folder)
        else:
            part.mkdir(parents=True)
            with locked(part):
                save_model(model, part).replace(folder)
    except OSError as error:
        raise WeightsError(f"{folder} can't be written ({error}).") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)

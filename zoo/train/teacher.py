"""A teacher: a better network whose results are a second target beside the photographs.

The results are made once, for whole photographs, and kept as PNG files. A small network learns from
them faster than from photographs alone: they contain what the input determines, and none of the
noise that it does not. Results of any other program can be used as well (`targets`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from pydantic import Field, model_validator
from rich.progress import track
from torch import Tensor

from zoo.errors import DataError, RecipeError
from zoo.inference.upscaler import Upscaler
from zoo.pictures.files import read_rgb, write_image
from zoo.pictures.picture import Picture
from zoo.sr.data.pairs import Degradation, Pair, load_pair
from zoo.sr.losses.pixel import Loss
from zoo.store.state_dict import checksum
from zoo.train.recipe import Section


class TeacherSection(Section):
    """The loss becomes (1 - share) · loss(photograph) + share · loss(teacher's result).

    `model` is a name or a saved folder; with `tta` its results are averaged over the eight flips
    and rotations. `targets` is a folder with results of another program instead: NAME.png for each
    photograph, and for shrunk copies SHARE/NAME.png, such as 0.5/NAME.png.
    """

    model: str | None = None
    targets: Path | None = Field(default=None, exclude=True)  # a path is no part of a recipe
    share: float = Field(gt=0, le=1)
    tta: bool = False

    @model_validator(mode="after")
    def _one_source(self) -> TeacherSection:
        if (self.model is None) == (self.targets is None):
            raise ValueError("name either a model or a folder of targets")
        return self


def blend(measure: Loss, prediction: Tensor, target: Tensor, share: float) -> Tensor:
    """The loss against the photograph, `target[:, :3]`, and the teacher's result, `target[:, 3:]`.

    prediction: `[N, 3, H, W]`; target: `[N, 6, H, W]`; returns a scalar.
    """
    photograph, taught = target[:, :3], target[:, 3:]
    return (1 - share) * measure(prediction, photograph) + share * measure(prediction, taught)


def with_teacher(pair: Pair, folder: Path) -> Pair:
    """The pair with the teacher's result as channels 3 to 5 of its target.

    Raises:
        DataError: the result is missing, unreadable or of another size.
    """
    file = folder / result_name(pair.name)
    if not file.is_file():
        raise DataError(f"The teacher has no result {file} for {pair.name}.")
    result = read_rgb(file)
    if result.shape != pair.target.shape:
        (height, width), (rows, columns) = pair.target.shape[:2], result.shape[:2]
        raise DataError(
            f"{file} is {columns}×{rows}; the teacher's result for {pair.name} must be"
            f" {width}×{height}."
        )
    return pair._replace(target=np.dstack([pair.target, result]))


def result_name(photograph: str) -> str:
    return f"{Path(photograph).stem}.png"


def folder_for(root: Path, share: float) -> Path:
    """The folder of results: the root for whole photographs, a subfolder for each shrunk size."""
    return root if share == 1 else root / f"{share:g}"


def make_targets(
    section: TeacherSection,
    files: Sequence[Path],
    *,
    scale: int,
    shares: Sequence[float],
    degrade: Degradation,
    cache: Path,
) -> Path:
    """Returns the folder of the teacher's results, after making those that are missing.

    Each result is written atomically, so an interrupted run continues where it stopped.

    Args:
        files: photographs with different stems.
        scale, shares, degrade: as in training.
        cache: holds a subfolder of results for each teacher's weights.

    Raises:
        RecipeError: the teacher has another scale.
        DataError: two photographs have the same stem.
        ZooError: the teacher can't be loaded, or a file can't be read or written.
    """
    if len({file.stem for file in files}) < len(files):
        raise DataError("The teacher's results are NAME.png: two photographs have the same name.")
    if section.targets is not None:
        return section.targets
    assert section.model is not None  # by validation
    teacher = Upscaler(section.model, tta=section.tta)
    if teacher.scale != scale:
        raise RecipeError(f"The teacher enlarges by {teacher.scale}, the network by {scale}.")
    key = checksum(teacher.model.state_dict())[:16] + ("_tta" if section.tta else "")
    root = cache / f"teacher_{key}"
    load = partial(load_pair, scale=scale, degrade=degrade)
    wanted = [
        (file, share, place)
        for share in shares
        for file in files
        if not (place := folder_for(root, share) / result_name(file.name)).is_file()
    ]
    for file, share, place in track(wanted, "Asking the teacher", disable=not wanted):
        place.parent.mkdir(parents=True, exist_ok=True)
        write_image(Picture(teacher.array(load(file, share=share).input)), place)
    return root

"""Folders of images and masks: which mask belongs to which image, and which form a group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from zoo.errors import DataError, ImageError
from zoo.pictures.files import find_images
from zoo.seg.data.run_lengths import read_runs
from zoo.seg.data.tables import read_table

LAYOUTS = "train/ with train_masks/ or train_masks.csv (Kaggle's Carvana), or images/ with masks/"


class Runs(NamedTuple):
    """A mask given as run lengths in a row of a table."""

    table: Path
    text: str


@dataclass(frozen=True)
class Pair:
    """An image and its mask. A split never separates pairs of one group.

    name: unique in the folder: the image's path inside of it, without suffix.
    """

    image: Path
    mask: Path | Runs
    group: str
    name: str


def list_pairs(folder: Path) -> list[Pair]:
    """All pairs of a folder, sorted by the image's name.

    Two layouts are known: `train/` with `train_masks/NAME_mask.gif` or, without that folder, with
    the run lengths of `train_masks.csv`; and `images/` with `masks/`. A mask has its image's name,
    with or without `_mask`, and any suffix; both may lie in subfolders of equal names. A group is a
    car in Kaggle's layout (the name up to its last underscore), elsewhere a subfolder or, outside
    of subfolders, a single image.

    Raises:
        DataError: the layout is another, an image or a mask lacks its partner, or two files share a
            name.
    """
    pairs, problems = match(folder)
    if problems:
        more = f" ({len(problems) - 1} more files have such a fault.)" if problems[1:] else ""
        raise DataError(problems[0] + more)
    return pairs


def read_captions(folder: Path) -> dict[str, str]:
    """Names of cars by id from `metadata.csv`, e.g. {"0004d4463b50": "2014 Acura TL"}, or {}.

    Raises:
        DataError: the file can't be read or lacks one of its columns.
    """
    file = folder / "metadata.csv"
    if not file.is_file():
        return {}
    rows = read_table(file, ("id", "year", "make", "model"))
    return {row["id"]: f"{row['year']} {row['make']} {row['model']}" for row in rows}


def match(folder: Path) -> tuple[list[Pair], list[str]]:
    """Pairs, and a sentence for every file that lacks a partner or repeats a name."""
    kaggle = (folder / "train").is_dir()
    images = folder / ("train" if kaggle else "images")
    masks = folder / ("train_masks" if kaggle else "masks")
    table = folder / "train_masks.csv"
    if not images.is_dir() or not (masks.is_dir() or (kaggle and table.is_file())):
        raise DataError(f"{folder} has no images and masks; zoo reads {LAYOUTS}.")

    partners: Mapping[str, Path | Runs]
    files, problems = by_key(images)
    if masks.is_dir():
        partners, doubles = by_key(masks)
        lonely = [mask for key, mask in partners.items() if key not in files]
        problems += doubles + [f"{mask} has no image in {images}." for mask in lonely]
    else:
        partners = {key: Runs(table, text) for key, text in read_runs(table).items()}
        masks = table
    pairs = []
    for key, file in files.items():
        if key in partners:
            pairs.append(Pair(file, partners[key], group_of(key, kaggle=kaggle), key))
        else:
            problems.append(f"{file} has no mask {key} or {key}_mask in {masks}.")
    return pairs, problems


def by_key(folder: Path) -> tuple[dict[str, Path], list[str]]:
    """Files by the key of image and mask, `subfolder/name`, and a sentence for each duplicate."""
    files: dict[str, Path] = {}
    problems = []
    try:
        found = find_images([folder])
    except ImageError as error:
        raise DataError(str(error)) from error
    for file, relative in found:
        key = relative.with_suffix("").as_posix().removesuffix("_mask")
        if key in files:
            problems.append(f"{file} and {files[key].name} share a name, and only one can count.")
        else:
            files[key] = file
    return dict(sorted(files.items())), problems


def group_of(key: str, *, kaggle: bool) -> str:
    """The car, the subfolder or the image that a key stands for."""
    folder, _, name = key.rpartition("/")
    if kaggle:
        return key.rpartition("_")[0] or key
    return folder or name


def groups_of(pairs: Sequence[Pair]) -> list[str]:
    """The groups that occur, sorted."""
    return sorted({pair.group for pair in pairs})

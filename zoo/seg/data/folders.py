"""Folders of images and masks: matching the files and finding faulty ones."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from zoo.errors import DataError, ImageError, InputError, ZooError
from zoo.pictures.files import find_images, read_rgb
from zoo.seg.data.masks import read_mask
from zoo.seg.data.resize import resize_image, resize_mask
from zoo.seg.data.run_lengths import decode_runs, read_runs

LAYOUTS = "train/ with train_masks/ or train_masks.csv (Kaggle's Carvana), or images/ with masks/"


class Runs(NamedTuple):
    """A mask given as run lengths in a row of a table."""

    table: Path
    text: str


@dataclass(frozen=True)
class Pair:
    """An image and its mask. A split never separates pairs of one group."""

    image: Path
    mask: Path | Runs
    group: str


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


def find_problems(folder: Path, *, classes: int = 1, allow_empty: bool = False) -> list[str]:
    """Reads every file of a folder; returns a sentence for each missing, unreadable or misfit one.

    classes, allow_empty: see `load_pair`.

    Raises:
        DataError: the layout is not one that `list_pairs` knows.
    """
    pairs, problems = match(folder)
    look = partial(problem_of, classes=classes, allow_empty=allow_empty)
    with ThreadPoolExecutor() as pool:
        found = tqdm(pool.map(look, pairs), "Checking", len(pairs), disable=None)
        return problems + [problem for problem in found if problem]


def problem_of(pair: Pair, *, classes: int, allow_empty: bool) -> str | None:
    try:
        load_pair(pair, classes=classes, allow_empty=allow_empty)
    except ZooError as error:
        return str(error)
    return None


def load_pair(
    pair: Pair, *, classes: int = 1, allow_empty: bool = False
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Reads a pair: RGB `[H, W, 3]` uint8 and class numbers `[H, W]` uint8.

    Args:
        pair: a grey image gets three equal channels, 16 bits become 8, alpha is dropped.
        classes: see `read_mask`.
        allow_empty: whether a mask of one class may be all background.

    Raises:
        DataError: a file is missing, unreadable, empty or of another size; it is named.
    """
    image = read_rgb(pair.image)
    height, width = image.shape[:2]

    if isinstance(pair.mask, Runs):
        name = f"{pair.mask.table} ({pair.image.name})"
        try:
            mask = decode_runs(pair.mask.text, (height, width))
        except InputError as error:
            raise DataError(f"{name}: {error}") from error
    else:
        name = str(pair.mask)
        mask = read_mask(pair.mask, classes=classes)
    if mask.shape != (height, width):
        raise DataError(
            f"{name} is {mask.shape[1]} × {mask.shape[0]}, "
            f"but its image {pair.image} is {width} × {height}."
        )
    if classes == 1 and not allow_empty and not mask.any():
        raise DataError(f"{name} is empty; allow_empty accepts images without an object.")
    return image, mask


def load_resized(
    pair: Pair, size: int, *, classes: int = 1, allow_empty: bool = False
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Like `load_pair`, but squashed to a square: `[3, size, size]` and `[size, size]`, uint8."""
    image, mask = load_pair(pair, classes=classes, allow_empty=allow_empty)
    square = (size, size)
    return resize_image(image, square).transpose(2, 0, 1), resize_mask(mask, square)


def read_captions(folder: Path) -> dict[str, str]:
    """Names of cars by id from `metadata.csv`, e.g. {"0004d4463b50": "2014 Acura TL"}, or {}.

    Raises:
        DataError: the file lacks one of its columns.
    """
    file = folder / "metadata.csv"
    if not file.is_file():
        return {}
    with file.open(newline="", encoding="utf-8") as stream:
        try:
            rows = csv.DictReader(stream)
            return {row["id"]: f"{row['year']} {row['make']} {row['model']}" for row in rows}
        except KeyError as error:
            raise DataError(f"{file} lacks the column {error.args[0]}.") from error


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
            pairs.append(Pair(file, partners[key], group_of(key, kaggle=kaggle)))
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

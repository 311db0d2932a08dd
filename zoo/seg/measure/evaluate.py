"""The segmentation benchmark: predict masks for a folder's images, compare with the real ones.

At a square size, image and mask are squashed to it (see `zoo.seg.data.resize`), as the lesson does.
At native size nothing is resized here: the prediction must have the file's size.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from zoo.errors import DataError, OptionError
from zoo.seg.data.folders import Pair, list_pairs
from zoo.seg.data.masks import Mask
from zoo.seg.data.pairs import ONE_OBJECT, Reading, load_pair
from zoo.seg.data.resize import resize_image, resize_mask
from zoo.seg.data.splits import SplitRule, fingerprint
from zoo.seg.measure.metrics import (
    TOLERANCE,
    Counts,
    count,
    dice_per_image,
    summary,
    summary_by_class,
)

PROTOCOL = (
    "accuracy (p > 0.5) and dice_pooled over all pixels of the set; dice, iou and boundary_f "
    f"(tolerance {TOLERANCE} px) per image, then mean; @N: image (bilinear, antialiased) and mask "
    "(nearest) squashed to N×N; @native: logits brought back to the file's size, bilinear"
)
METRICS = ("accuracy", "dice_pooled", "dice", "iou", f"boundary_f_{TOLERANCE}px")

# uint8 [H, W, C] -> logits [classes, H, W]
Predict = Callable[[NDArray[np.uint8]], Tensor]


def validation_pairs(data: Path, split: Mapping[str, Any] | None = None) -> list[Pair]:
    """The images and masks of a folder that the training of some weights set aside for validation.

    split: as saved with the weights (`ZooModel.split`); if None, the lesson's: the first 63 groups.

    Raises:
        DataError: the folder can't be used or is not the one that was split; nothing was set aside.
        InputError: the fold does not exist.
    """
    rule, pairs = SplitRule.parse(split), list_pairs(data)
    if rule.groups not in (None, fingerprint(pairs)):
        raise DataError(
            f"The weights were trained on another folder than {data}, so which of its images "
            "validate is unknown: measure all (--all), or give the folder of the training."
        )
    rows = replace(rule, held_out=0).split(pairs).validation
    if not rows:
        raise DataError(
            f"The training set no image of {data} aside for validation: "
            "measure all images (--all) of another folder."
        )
    return [pairs[row] for row in rows]


def split_to_measure(
    saved: Mapping[str, Any] | None, validation: int | None
) -> Mapping[str, Any] | None:
    """The split that was saved with the weights; the first `validation` groups if none was.

    Raises:
        OptionError: `validation` contradicts the saved split.
    """
    if saved is None:
        return None if validation is None else {"validation": validation}
    rule = SplitRule.parse(saved)
    if validation is not None and (rule.folds, rule.validation) != (None, validation):
        trained = f"fold {rule.fold} of {rule.folds} for"
        raise OptionError(
            f"--validation {validation} contradicts the training, which set "
            f"{rule.validation if rule.folds is None else trained} validation: leave it out."
        )
    return saved


def unseen_pairs(data: Path, split: Mapping[str, Any] | None) -> list[Pair]:
    """All images and masks of a folder on which some weights were not trained.

    split: see `validation_pairs`.

    Raises:
        DataError: the folder can't be used, or it is the one of the training.
    """
    pairs = list_pairs(data)
    if SplitRule.parse(split).groups == fingerprint(pairs):
        raise DataError(
            f"The weights were trained on images of {data}: leave --all out, "
            "and the validation images alone are measured."
        )
    return pairs


def load_at(
    pair: Pair, size: int | None, reading: Reading = ONE_OBJECT
) -> tuple[NDArray[np.uint8], Mask]:
    """Image `[H, W, C]` and class numbers `[H, W]`, squashed to a square unless `size` is None."""
    image, mask = load_pair(pair, reading)
    if size is None:
        return image, mask
    return resize_image(image, (size, size)), resize_mask(mask, (size, size))


def evaluate(
    predict: Predict, pairs: Sequence[Pair], *, size: int | None, reading: Reading = ONE_OBJECT
) -> dict[str, Any]:
    """Measures predictions on images and masks.

    Args:
        predict: from uint8 `[H, W, C]` to logits `[classes, H, W]`.
        pairs: at least one; of one folder, so that their names differ.
        size: side of the squares in pixels, or None for the files' own sizes.
        reading: how the files are read.

    Returns:
        The figures of `zoo.seg.measure.metrics.summary`, "seconds" per image, "images":
        `{name: {"dice": ..., "seconds": ...}}` and, for several classes, "classes":
        `{number: figures}`, None for a figure of a class that does not occur.

    Raises:
        DataError: a pair can't be used, or two have the same name.
    """
    if len({pair.name for pair in pairs}) < len(pairs):
        raise DataError("Two of the images to measure have the same name.")
    parts, seconds = [], []
    for pair in tqdm(pairs, "Measuring", disable=None):
        image, mask = load_at(pair, size, reading)
        start = time.perf_counter()
        logits = predict(image)
        seconds.append(time.perf_counter() - start)
        masks = torch.tensor(mask)[None].to(logits.device)
        parts.append(count(logits[None], masks, ignore_index=reading.void))
    counts = Counts.join(parts)
    images = {
        pair.name: {"dice": dice, "seconds": taken}
        for pair, dice, taken in zip(pairs, dice_per_image(counts).tolist(), seconds, strict=True)
    }
    at = "native" if size is None else str(size)
    result = {**summary(counts, at=at), "seconds": float(np.mean(seconds)), "images": images}
    if reading.classes > 1:
        result["classes"] = summary_by_class(counts, at=at)
    return result

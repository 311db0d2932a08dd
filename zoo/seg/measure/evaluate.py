"""The segmentation benchmark: predict masks for a folder's images, compare with the real ones.

At a square size, image and mask are squashed to it (see `zoo.seg.data.resize`), as the lesson does.
At native size nothing is resized here: the prediction must have the file's size.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from zoo.seg.data.folders import Pair, list_pairs, load_pair
from zoo.seg.data.resize import resize_image, resize_mask
from zoo.seg.data.splits import lesson_split
from zoo.seg.measure.metrics import TOLERANCE, Counts, count, dice_per_image, summary

PROTOCOL = (
    "accuracy (p > 0.5) and dice_pooled over all pixels of the set; dice, iou and boundary_f "
    f"(tolerance {TOLERANCE} px) per image, then mean; @N: image (bilinear, antialiased) and mask "
    "(nearest) squashed to N×N; @native: logits brought back to the file's size, bilinear"
)
METRICS = ("accuracy", "dice_pooled", "dice", "iou", f"boundary_f_{TOLERANCE}px")

# uint8 [H, W, 3] -> logits [classes, H, W]
Predict = Callable[[NDArray[np.uint8]], Tensor]


def validation_pairs(data: Path, count: int = 63) -> list[Pair]:
    """Images and masks of the first `count` groups by name: the lesson's validation cars.

    Raises:
        DataError: the folder can't be used or holds no more than `count` groups.
    """
    pairs = list_pairs(data)
    return [pairs[row] for row in lesson_split(pairs, validation=count, held_out=0).validation]


def load_at(
    pair: Pair, size: int | None, *, classes: int = 1, allow_empty: bool = False
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Image `[H, W, 3]` and class numbers `[H, W]`, squashed to a square unless `size` is None."""
    image, mask = load_pair(pair, classes=classes, allow_empty=allow_empty)
    if size is None:
        return image, mask
    return resize_image(image, (size, size)), resize_mask(mask, (size, size))


def evaluate(
    predict: Predict,
    pairs: Sequence[Pair],
    *,
    size: int | None,
    classes: int = 1,
    allow_empty: bool = False,
) -> dict[str, Any]:
    """Measures predictions on images and masks.

    Args:
        predict: from uint8 `[H, W, 3]` to logits `[classes, H, W]`.
        pairs: at least one.
        size: side of the squares in pixels, or None for the files' own sizes.
        classes, allow_empty: see `zoo.seg.data.folders.load_pair`.

    Returns:
        The figures of `zoo.seg.measure.metrics.summary`, "seconds" per image, and "images":
        `{name: {"dice": ..., "seconds": ...}}`.

    Raises:
        DataError: a pair can't be used.
    """
    parts, seconds, names = [], [], []
    for pair in tqdm(pairs, "Measuring", disable=None):
        image, mask = load_at(pair, size, classes=classes, allow_empty=allow_empty)
        start = time.perf_counter()
        logits = predict(image)
        seconds.append(time.perf_counter() - start)
        names.append(Path(pair.image).stem)
        parts.append(count(logits[None], torch.tensor(mask)[None].to(logits.device)))
    counts = Counts.join(parts)
    images = {
        name: {"dice": dice, "seconds": taken}
        for name, dice, taken in zip(names, dice_per_image(counts).tolist(), seconds, strict=True)
    }
    figures = summary(counts, at="native" if size is None else str(size))
    return {**figures, "seconds": float(np.mean(seconds)), "images": images}

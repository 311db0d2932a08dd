"""Segmentation metrics from integer counts per image, so that the batch size has no effect.

parts = [count(model(images), masks) for images, masks in data.in_order(16)]
summary(Counts.join(parts), at="512")     # {"accuracy@512": ..., "dice_pooled@512": ..., ...}

With one class, only the foreground is measured; it is predicted where p > 0.5 (logit > 0). With
more classes, the largest logit decides and every class is measured, background included; scores
are means over the classes that occur.

A class that neither prediction nor mask contains is left out of the mean. If none is left (one
class, both empty), dice, iou and the boundary score are 1. If only one of the two is empty, they
are 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.errors import InputError
from zoo.seg.void import void_label

TOLERANCE = 2  # pixels: the distance at which two boundaries still match


@dataclass(frozen=True)
class Counts:
    """Pixel counts of N images and C classes (1 if binary), int64, on the CPU.

    `correct` and `pixels` are `[N]`, all others `[N, C]`. Void pixels are in none. `overlap` counts
    pixels both `predicted` and `actual`; `edge_*` count boundary pixels, `edge_*_near` those within
    the tolerance of the other boundary.
    """

    correct: Tensor
    pixels: Tensor
    overlap: Tensor
    predicted: Tensor
    actual: Tensor
    edge_predicted: Tensor
    edge_predicted_near: Tensor
    edge_actual: Tensor
    edge_actual_near: Tensor

    @staticmethod
    def join(parts: Sequence[Counts]) -> Counts:
        """Concatenate the counts of several batches."""
        names = [field.name for field in fields(Counts)]
        return Counts(*(torch.cat([getattr(part, name) for part in parts]) for name in names))


def count(logits: Tensor, masks: Tensor, *, ignore_index: int | None = None) -> Counts:
    """Compares a batch of predictions with masks of the same size.

    Args:
        logits: `[N, 1, H, W]`, or `[N, classes, H, W]` for more than one class; float.
        masks: class numbers `[N, H, W]`; 0 and 1 for one class.
        ignore_index: the number of void pixels, which count nowhere; an edge between a class and
            void pixels is no edge. See `zoo.seg.void.void_label`.

    Raises:
        InputError: shapes differ, class numbers are out of range, or logits are NaN.
    """
    classes = logits.shape[1] if logits.ndim == 4 else 0
    if not classes or masks.shape != (len(logits), *logits.shape[2:]):
        raise InputError(
            f"Logits [N, classes, H, W] need masks [N, H, W], "
            f"not {list(logits.shape)} and {list(masks.shape)}."
        )
    void = void_label(classes, ignore_index)
    known = (torch.ones_like(masks, dtype=torch.bool) if void is None else masks != void)[:, None]
    numbers = masks[:, None].where(known, 0)
    if masks.numel() and not 0 <= int(numbers.min()) <= int(numbers.max()) < max(2, classes):
        wrong = numbers.min() if numbers.min() < 0 else numbers.max()
        raise InputError(f"The masks hold class {int(wrong)}; there are {max(2, classes)}.")
    if bool(logits.isnan().any()):
        raise InputError("The logits hold NaN.")
    if classes == 1:
        predicted, actual = logits > 0, numbers == 1
    else:
        every = torch.arange(classes, device=logits.device).view(1, -1, 1, 1)
        predicted, actual = logits.argmax(dim=1, keepdim=True) == every, numbers == every
    predicted, actual = predicted & known, actual & known

    edge_predicted, edge_actual = boundary(predicted, known), boundary(actual, known)
    planes = (
        predicted & actual,
        predicted,
        actual,
        edge_predicted,
        edge_predicted & widen(edge_actual, TOLERANCE),
        edge_actual,
        edge_actual & widen(edge_predicted, TOLERANCE),
    )
    agree = (predicted == actual).all(dim=1) & known[:, 0]
    correct, pixels = agree.sum(dim=(1, 2)).cpu(), known.sum(dim=(1, 2, 3)).cpu()
    return Counts(correct, pixels, *(plane.sum(dim=(2, 3)).cpu() for plane in planes))


def bring_back(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize logits `[N, C, h, w]` bilinearly to the file's (height, width), for `@native`."""
    return F.interpolate(logits.float(), size, mode="bilinear", align_corners=False)


def accuracy(counts: Counts) -> float:
    """Share of correct pixels over all images; 1 if all pixels are void."""
    pixels = counts.pixels.sum().item()
    return counts.correct.sum().item() / pixels if pixels else 1.0


def dice_pooled(counts: Counts) -> float:
    """Dice coefficient over the pixels of all images together."""
    return mean_over_classes(pooled_scores(counts)).item()


def dice_per_image(counts: Counts) -> Tensor:
    """Dice coefficient of each image, `[N]` float64."""
    return mean_over_classes(dice_scores(counts))


def dice(counts: Counts) -> float:
    """Dice coefficient per image, then the mean."""
    return dice_per_image(counts).mean().item()


def iou(counts: Counts) -> float:
    """Intersection over union (Jaccard index) per image, then the mean."""
    return mean_over_classes(iou_scores(counts)).mean().item()


def boundary_f(counts: Counts) -> float:
    """Boundary F-score per image, then the mean (Csurka et al., BMVC 2013).

    The harmonic mean of precision (the share of predicted boundary pixels with an actual one within
    the tolerance) and recall (the reverse). The usual tolerance, 0.75 % of the diagonal, is 5
    pixels at 512 × 512, too coarse for clean cutouts; here it is 2 pixels at every size.
    """
    return mean_over_classes(boundary_scores(counts)).mean().item()


# Scores by class, float64, NaN where a class is neither predicted nor actual.


def pooled_scores(counts: Counts) -> Tensor:
    """Dice coefficients `[C]` over the pixels of all images together."""
    return 2 * counts.overlap.sum(0).double() / (counts.predicted + counts.actual).sum(0)


def dice_scores(counts: Counts) -> Tensor:
    """Dice coefficients `[N, C]`."""
    return 2 * counts.overlap.double() / (counts.predicted + counts.actual)


def iou_scores(counts: Counts) -> Tensor:
    """Intersections over unions `[N, C]`."""
    return counts.overlap.double() / (counts.predicted + counts.actual - counts.overlap)


def boundary_scores(counts: Counts) -> Tensor:
    """Boundary F-scores `[N, C]`; NaN where neither has a boundary."""
    precision = counts.edge_predicted_near.double() / counts.edge_predicted.clamp(min=1)
    recall = counts.edge_actual_near.double() / counts.edge_actual.clamp(min=1)
    score = 2 * precision * recall / (precision + recall).clamp(min=1e-12)
    absent = (counts.edge_predicted == 0) & (counts.edge_actual == 0)
    return score.masked_fill(absent, torch.nan)


def summary(counts: Counts, *, at: str) -> dict[str, float]:
    """All metrics, named "metric@at": `at` is the square's side, or "native"."""
    scores = {
        "accuracy": accuracy(counts),
        "dice_pooled": dice_pooled(counts),
        "dice": dice(counts),
        "iou": iou(counts),
        f"boundary_f_{TOLERANCE}px": boundary_f(counts),
    }
    return {f"{name}@{at}": score for name, score in scores.items()}


def summary_by_class(counts: Counts, *, at: str) -> dict[str, dict[str, float | None]]:
    """All metrics but accuracy of each class, by its number; None if it occurs in no image.

    "dice_pooled" is over all pixels, the others are means over the images where the class occurs.
    """
    scores = {
        "dice_pooled": pooled_scores(counts),
        "dice": dice_scores(counts).nanmean(0),
        "iou": iou_scores(counts).nanmean(0),
        f"boundary_f_{TOLERANCE}px": boundary_scores(counts).nanmean(0),
    }
    return {
        str(number): {
            f"{name}@{at}": None if score[number].isnan() else score[number].item()
            for name, score in scores.items()
        }
        for number in range(counts.overlap.shape[1])
    }


def mean_over_classes(scores: Tensor) -> Tensor:
    """Mean `[..., C]` → `[...]` without NaN (0 / 0: the class does not occur); 1 if none occurs."""
    return scores.nanmean(dim=-1).nan_to_num(nan=1.0)


def boundary(planes: Tensor, known: Tensor | None = None) -> Tensor:
    """Mask pixels with one of 8 neighbours off the mask, bool; the image's border doesn't count.

    planes: `[N, C, H, W]`, bool. known: `[N, 1, H, W]`, bool; neighbours outside of it don't count.
    """
    others = ~planes if known is None else ~planes & known
    outside = F.max_pool2d(others.float(), 3, stride=1, padding=1) > 0
    return planes & outside


def widen(planes: Tensor, radius: int) -> Tensor:
    """Pixels within `radius` (Euclidean, between pixel centres) of a true one, bool."""
    offset = torch.arange(-radius, radius + 1, device=planes.device)
    disk = (offset[:, None] ** 2 + offset**2 <= radius**2).float()
    merged = planes.flatten(0, 1)[:, None].float()
    near = F.conv2d(merged, disk[None, None], padding=radius) > 0.5
    return near.view_as(planes)

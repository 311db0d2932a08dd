"""Segmentation metrics against their definitions, at any batch size, and where nothing is found."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor

from zoo.errors import InputError
from zoo.seg.measure import metrics
from zoo.seg.measure.metrics import Counts, bring_back, count, summary


def blobs(number: int, size: int, seed: int) -> Tensor:
    """Smooth random numbers, `[number, 1, size, size]`: their signs make blobs."""
    noise = torch.randn(number, 1, 6, 6, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(noise, (size, size), mode="bicubic")


def prediction_and_masks(number: int = 7, size: int = 24) -> tuple[Tensor, Tensor]:
    logits = blobs(number, size, 0)
    return logits, ((logits + 0.4 * blobs(number, size, 1)) > 0)[:, 0].byte()


def near(a: np.ndarray, b: np.ndarray) -> float:
    """Share of the points a `[n, 2]` that have one of b within the tolerance."""
    distances = np.linalg.norm(a[:, None] - b[None], axis=-1)
    return float((distances.min(1) <= metrics.TOLERANCE).mean())


def edge(mask: np.ndarray) -> np.ndarray:
    """Pixels of a mask with a neighbour outside, looked up one by one."""
    height, width = mask.shape
    return np.array(
        [
            (row, column)
            for row, column in np.argwhere(mask)
            if not mask[
                max(row - 1, 0) : min(row + 2, height), max(column - 1, 0) : min(column + 2, width)
            ].all()
        ]
    )


def test_all_metrics_follow_their_definitions() -> None:
    logits, masks = prediction_and_masks()
    result = summary(count(logits, masks), at="24")
    p, m = (logits[:, 0] > 0).numpy(), masks.numpy() == 1
    overlap, sizes = (p & m).sum((1, 2)), p.sum((1, 2)) + m.sum((1, 2))
    scores = []
    for predicted, actual in zip(p, m, strict=True):
        a, b = edge(predicted), edge(actual)
        precision, recall = near(a, b), near(b, a)
        scores.append(2 * precision * recall / (precision + recall))
    expected = {
        "accuracy@24": (p == m).mean(),
        "dice_pooled@24": 2 * overlap.sum() / sizes.sum(),
        "dice@24": (2 * overlap / sizes).mean(),
        "iou@24": (overlap / (p | m).sum((1, 2))).mean(),
        "boundary_f_2px@24": np.mean(scores),
    }
    assert result == pytest.approx(expected, abs=1e-12)
    by_image = metrics.dice_per_image(count(logits, masks))
    assert by_image.tolist() == pytest.approx((2 * overlap / sizes).tolist())
    assert 0.3 < result["boundary_f_2px@24"] < 0.99  # the case is no trivial one
    assert result["dice@24"] != pytest.approx(result["dice_pooled@24"], abs=1e-4)


@pytest.mark.parametrize("classes", [1, 3])
def test_the_batch_size_changes_nothing(classes: int) -> None:
    logits = torch.cat([blobs(9, 20, seed) for seed in range(classes)], dim=1)
    masks = (blobs(9, 20, 9)[:, 0] > 0).byte()
    whole = summary(count(logits, masks), at="20")
    for size in (1, 2, 4):
        parts = [count(x, y) for x, y in zip(logits.split(size), masks.split(size), strict=True)]
        assert summary(Counts.join(parts), at="20") == whole  # to the last bit


def test_a_half_is_background() -> None:
    """p > 0.5, so a logit of exactly 0 is not foreground."""
    logits = torch.tensor([-1.0, 0.0, 1e-6, 3.0]).view(1, 1, 2, 2)
    counts = count(logits, torch.ones(1, 2, 2, dtype=torch.uint8))
    assert counts.predicted.item() == 2
    assert metrics.accuracy(counts) == 0.5


def test_nothing_to_find() -> None:
    empty, full = torch.zeros(1, 8, 8, dtype=torch.uint8), torch.zeros(1, 8, 8, dtype=torch.uint8)
    full[0, 2:5, 2:5] = 1
    nothing, something = -torch.ones(1, 1, 8, 8), full[:, None] * 2.0 - 1
    for logits, mask, expected in (
        (nothing, empty, 1.0),
        (something, empty, 0.0),
        (nothing, full, 0.0),
        (something, full, 1.0),
    ):
        counts = count(logits, mask)
        for metric in (metrics.dice_pooled, metrics.dice, metrics.iou, metrics.boundary_f):
            assert metric(counts) == expected
    whole = torch.ones(1, 8, 8, dtype=torch.uint8)  # no edge on either side
    assert metrics.boundary_f(count(torch.ones(1, 1, 8, 8), whole)) == 1.0


def test_the_boundary_score_forgives_two_pixels() -> None:
    mask = torch.zeros(1, 40, 40, dtype=torch.uint8)
    mask[0, 10:30, 10:30] = 1
    scores = [
        metrics.boundary_f(count(mask.roll(shift, 2)[:, None] * 2.0 - 1, mask))
        for shift in (0, 2, 3)
    ]
    # Moved by 3, of 76 edge pixels stay near: 36 inside the rows, and 3 at each end of one column.
    assert scores == pytest.approx([1, 1, 42 / 76])


def test_the_boundary_score_of_small_things_and_of_far_ones() -> None:
    dot = torch.zeros(1, 9, 9, dtype=torch.uint8)
    dot[0, 4, 4] = 1  # one pixel, which is all edge
    assert metrics.boundary_f(count(dot[:, None] * 2.0 - 1, dot)) == 1.0
    mask = torch.zeros(1, 40, 40, dtype=torch.uint8)
    mask[0, 5:25, 5:25] = 1
    moved = mask.roll(9, 2)
    share = near(edge(moved[0].numpy()), edge(mask[0].numpy()))
    assert 0.1 < share < 0.4
    assert metrics.boundary_f(count(moved[:, None] * 2.0 - 1, mask)) == pytest.approx(share)


@pytest.mark.parametrize("radius", [1, 3])
def test_pixels_are_near_within_a_circle(radius: int) -> None:
    planes = torch.zeros(2, 3, 12, 15, dtype=torch.bool)
    planes[0, 1, 6, 7] = planes[1, 2, 0, 14] = True
    y, x = torch.meshgrid(torch.arange(12), torch.arange(15), indexing="ij")
    expected = torch.zeros_like(planes)
    expected[0, 1] = (y - 6) ** 2 + (x - 7) ** 2 <= radius**2
    expected[1, 2] = y**2 + (x - 14) ** 2 <= radius**2
    assert torch.equal(metrics.widen(planes, radius), expected)


def test_a_boundary_is_inside_and_void_makes_none() -> None:
    planes = blobs(4, 24, 3) > 0
    for plane, found in zip(planes[:, 0], metrics.boundary(planes)[:, 0], strict=True):
        assert np.array_equal(np.argwhere(found.numpy()), edge(plane.numpy()))
    known = torch.ones_like(planes)
    known[..., 12:] = False  # void: its pixels are in no mask
    planes &= known
    found = metrics.boundary(planes, known)
    assert torch.equal(found[..., :12], metrics.boundary(planes[..., :12]))
    assert not found[..., 12:].any()


@pytest.mark.parametrize("classes", [1, 3])
def test_void_counts_as_if_it_were_cut_off(classes: int) -> None:
    logits = torch.cat([blobs(3, 24, seed) for seed in range(classes)], dim=1)
    masks = (blobs(3, 24, 9)[:, 0] > 0).byte()
    masks[:, :, 16:] = 255
    counts, cut = count(logits, masks, ignore_index=255), count(logits[..., :16], masks[..., :16])
    for field in dataclasses.fields(counts):
        assert torch.equal(getattr(counts, field.name), getattr(cut, field.name)), field.name


def test_classes_that_do_not_occur_are_left_out() -> None:
    masks = torch.zeros(1, 4, 4, dtype=torch.uint8)
    masks[0, :2] = 2
    predicted = masks.clone()
    predicted[0, 0, 0] = 0  # one pixel of eight is missed
    logits = torch.nn.functional.one_hot(predicted.long(), 4).permute(0, 3, 1, 2).float()
    counts = count(logits, masks)
    assert counts.predicted.tolist() == [[9, 0, 7, 0]]
    assert metrics.dice(counts) == pytest.approx((2 * 8 / 17 + 2 * 7 / 15) / 2)
    assert metrics.dice_pooled(counts) == metrics.dice(counts)
    assert metrics.iou(counts) == pytest.approx((8 / 9 + 7 / 8) / 2)
    assert metrics.accuracy(counts) == 15 / 16


def test_predictions_come_back_to_the_files_size() -> None:
    logits = blobs(2, 16, 0)
    native = bring_back(logits, (30, 45))
    assert native.shape == (2, 1, 30, 45)
    masks = (native > 0)[:, 0].byte()
    assert summary(count(native, masks), at="native")["dice@native"] == 1.0
    ramp = bring_back(torch.tensor([[[[0.0, 1.0]]]]), (1, 4))
    assert ramp.flatten().tolist() == [0, 0.25, 0.75, 1]  # pixels are areas, not corners
    squashed = bring_back(native, (16, 16)) > 0
    assert (squashed == (logits > 0)).float().mean() > 0.95


@pytest.mark.parametrize(
    ("logits", "masks", "message"),
    [
        (torch.zeros(2, 1, 4, 4), torch.zeros(2, 4, 5), "need masks"),
        (torch.zeros(2, 4, 4), torch.zeros(2, 4, 4), "need masks"),
        (torch.zeros(2, 1, 4), torch.zeros(2, 4), "need masks"),
        (torch.zeros(1, 1, 4, 4), torch.full((1, 4, 4), 255), "hold class 255; there are 2"),
        (torch.zeros(1, 1, 4, 4), torch.full((1, 4, 4), 2), "hold class 2; there are 2"),
        (torch.zeros(1, 1, 4, 4), torch.full((1, 4, 4), -1), "hold class -1; there are 2"),
        (torch.zeros(1, 3, 4, 4), torch.full((1, 4, 4), 3), "hold class 3; there are 3"),
        (torch.full((1, 1, 4, 4), torch.nan), torch.zeros(1, 4, 4), "NaN"),
    ],
)
def test_what_does_not_fit_is_refused(logits: Tensor, masks: Tensor, message: str) -> None:
    with pytest.raises(InputError, match=message):
        count(logits, masks)

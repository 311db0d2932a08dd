"""Mask files of every depth: many classes, void pixels, thresholds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvips
import torch
from cars import write_mask, write_photo
from PIL import Image
from torch import Tensor

from zoo.errors import DataError, InputError
from zoo.seg.data.augment import Augmentation
from zoo.seg.data.batches import MaskedImages
from zoo.seg.data.folders import list_pairs
from zoo.seg.data.masks import read_mask
from zoo.seg.data.pairs import Reading, load_pair, load_resized
from zoo.seg.data.resized_copies import resized_copies
from zoo.seg.losses import segmentation_loss
from zoo.seg.measure.metrics import Counts, count, summary, summary_by_class

Writer = Callable[[Path, np.ndarray], Path]


def by_vips(bands: int, interpretation: str, suffix: str) -> Writer:
    """Writes equal channels of 16 bits, the last of 2 or 4 half transparent; PIL has no such."""

    def write(file: Path, levels: np.ndarray) -> Path:
        planes = [levels.astype(np.uint16)] * bands
        if bands % 2 == 0:
            planes[-1] = np.full_like(planes[0], 30000)
        image = pyvips.Image.new_from_array(np.dstack(planes), interpretation=interpretation)
        image.write_to_file(str(file.with_suffix(suffix)))
        return file.with_suffix(suffix)

    return write


def by_pil(suffix: str, dtype: Any = np.uint16) -> Writer:
    return lambda file, levels: write_mask(file.with_suffix(suffix), levels.astype(dtype))


DEEP: dict[str, Writer] = {
    "grey PNG": by_pil(".png"),
    "grey TIFF": by_pil(".tif"),
    "grey TIFF, 32 bits": by_pil(".tif", np.int32),
    "PGM": by_pil(".pgm"),
    "grey and alpha PNG": by_vips(2, "grey16", ".png"),
    "RGB PNG": by_vips(3, "rgb16", ".png"),
    "RGBA PNG": by_vips(4, "rgb16", ".png"),
    "RGB TIFF": by_vips(3, "rgb16", ".tif"),
    "grey and alpha TIFF": by_vips(2, "grey16", ".tif"),
}


# Many classes


@pytest.mark.parametrize("kind", DEEP)
@pytest.mark.parametrize("classes", [200, 256, 257, 300, 4000, 60000])
def test_class_numbers_are_kept_whatever_the_depth(tmp_path: Path, kind: str, classes: int) -> None:
    numbers = np.random.default_rng(0).integers(0, classes, (9, 7))
    numbers[0, :2] = 0, classes - 1
    file = DEEP[kind](tmp_path / "m", numbers)
    assert np.array_equal(read_mask(file, classes=classes), numbers)
    if classes != 256:  # of 255 classes, 255 is void
        with pytest.raises(DataError, match=f"the classes 0 to {classes - 2}"):
            read_mask(file, classes=classes - 1)


def test_many_classes_reach_loss_and_metrics(tmp_path: Path) -> None:
    classes, side = 300, 32
    numbers = np.repeat(np.arange(268, 300), side).reshape(side, side)
    write_photo(tmp_path / "images" / "a.png", side, side)
    write_mask(tmp_path / "masks" / "a.png", numbers.astype(np.uint16))
    reading = Reading(classes)
    pairs = list_pairs(tmp_path)
    assert np.array_equal(load_resized(pairs[0], 16, reading)[1][:, 0], range(269, 301, 2))
    copies = resized_copies(tmp_path, pairs, side, reading, cache=tmp_path / "cache")
    data = MaskedImages(*copies)
    (_, masks), *_ = data.in_order(1)
    assert np.array_equal(masks[0], numbers)
    _, turned = data.batch(4, torch.Generator().manual_seed(0), augmentation=Augmentation())
    assert set(turned.unique().tolist()) == set(range(268, 300))
    logits = torch.nn.functional.one_hot(masks.long(), classes).movedim(-1, 1) * 50.0
    assert segmentation_loss(logits, masks, dice_weight=1) < 1e-6
    assert summary(count(logits, masks), at="x")["dice@x"] == 1
    assert segmentation_loss(logits.roll(1, 1), masks) > 49


# Void pixels


@pytest.mark.parametrize(
    ("levels", "options", "expected"),
    [
        ([0, 1, 255], {"classes": 2}, [0, 1, 255]),
        ([0, 20, 255], {"classes": 21}, [0, 20, 255]),
        ([0, 254, 255], {"classes": 255}, [0, 254, 255]),
        ([0, 1, 255], {"classes": 256}, [0, 1, 255]),  # 255 is a class
        ([0, 1, 255], {"classes": 300, "ignore_index": 255}, [0, 1, -1]),
        ([1, 2, 0], {"classes": 3, "ignore_index": 0}, [1, 2, 255]),
        ([0, 1, 7], {"classes": 3, "ignore_index": 7}, [0, 1, 255]),
        ([0, 1, 2], {"classes": 3, "ignore_index": 2}, [0, 1, 255]),
        ([0, 2, 65535], {"classes": 3, "ignore_index": 65535}, [0, 2, 255]),
        ([0, 299, 65535], {"classes": 300, "ignore_index": 65535}, [0, 299, -1]),
        ([0, 1, 255], {"ignore_index": 255}, [0, 1, 255]),
        ([0, 255, 255], {"ignore_index": 255}, [0, 255, 255]),
        ([0, 255, 128], {"ignore_index": 128}, [0, 1, 255]),
        ([0, 1, 2], {"ignore_index": 2}, [0, 1, 255]),
        ([0, 255, 255], {}, [0, 1, 1]),  # white is the object unless the recipe says otherwise
        ([10, 200, 255], {"ignore_index": 255, "threshold": 100}, [0, 1, 255]),
    ],
)
def test_void_pixels_are_told_apart(
    tmp_path: Path, levels: list[int], options: dict[str, Any], expected: list[int]
) -> None:
    dtype = np.uint16 if max(levels) > 255 else np.uint8
    file = write_mask(tmp_path / "m.png", np.array([levels] * 3, dtype))
    assert read_mask(file, **options).tolist() == [expected] * 3


def test_void_pixels_of_a_palette(tmp_path: Path) -> None:
    """As Pascal VOC stores them."""
    levels = np.array([[0, 15, 255]] * 3, np.uint8)
    palette = np.random.default_rng(0).integers(0, 256, 768).tolist()
    assert np.array_equal(
        read_mask(write_mask(tmp_path / "m.png", levels, palette), classes=21), levels
    )


def test_a_void_label_that_nobody_named_is_refused(tmp_path: Path) -> None:
    file = write_mask(tmp_path / "m.png", np.array([[0, 1, 255]], np.uint8))
    with pytest.raises(DataError, match="0, 1, 255; .* ignore_index: 255"):
        read_mask(file)


def with_void(classes: int) -> tuple[Tensor, Tensor, int]:
    """Random logits and masks whose right half is void, and the number of void pixels."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, classes, 12, 20, generator=generator)
    masks = torch.randint(0, max(2, classes), (3, 12, 20), generator=generator).int()
    void = 255 if classes <= 255 else -1
    masks[:, :, 10:] = void
    return logits, masks, void


@pytest.mark.parametrize("classes", [1, 2, 5, 300])
@pytest.mark.parametrize("dice_weight", [0.0, 0.7])
def test_the_loss_of_void_pixels_is_that_of_an_image_without_them(
    classes: int, dice_weight: float
) -> None:
    logits, masks, void = with_void(classes)
    loss = segmentation_loss(logits, masks, dice_weight=dice_weight, ignore_index=void)
    cut = segmentation_loss(logits[..., :10], masks[..., :10], dice_weight=dice_weight)
    torch.testing.assert_close(loss, cut)
    nothing = torch.full_like(masks, void)
    logits.requires_grad_()
    loss = segmentation_loss(logits, nothing, dice_weight=dice_weight, ignore_index=void)
    loss.backward()
    assert loss == 0
    assert logits.grad is not None
    assert not logits.grad.any()


@pytest.mark.parametrize("classes", [1, 2, 5, 300])
def test_the_figures_of_void_pixels_are_those_of_an_image_without_them(classes: int) -> None:
    logits, masks, void = with_void(classes)
    whole = count(logits, masks, ignore_index=void)
    cut = count(logits[..., :10], masks[..., :10])
    assert summary(whole, at="x") == summary(cut, at="x")
    assert whole.pixels.tolist() == [120] * 3
    nothing = count(logits, torch.full_like(masks, void), ignore_index=void)
    assert set(summary(nothing, at="x").values()) == {1.0}  # nothing to find, nothing found


def test_255_is_void_for_several_classes_without_a_word() -> None:
    logits, masks, _ = with_void(3)
    assert segmentation_loss(logits, masks) == segmentation_loss(logits, masks, ignore_index=255)
    assert count(logits, masks).pixels.tolist() == [120] * 3
    with pytest.raises(InputError, match="hold class 254"):
        count(logits, masks.where(masks != 255, 254))


def test_a_mask_of_void_alone_is_named(tmp_path: Path) -> None:
    write_photo(tmp_path / "images" / "a.png")
    write_mask(tmp_path / "masks" / "a.png", np.full((12, 10), 255, np.uint8))
    (pair,) = list_pairs(tmp_path)
    with pytest.raises(DataError, match="a.png holds void pixels only"):
        load_pair(pair, Reading(3))
    assert (load_pair(pair, Reading(3, allow_empty=True))[1] == 255).all()
    with pytest.raises(DataError, match="a.png is empty"):
        load_pair(pair, Reading(ignore_index=255))


@pytest.mark.parametrize("odd", [np.nan, np.inf, -1.0, 0.5])
def test_masks_of_odd_numbers_are_refused_in_a_sentence(tmp_path: Path, odd: float) -> None:
    levels = np.array([[0, 1, odd]], np.float32)
    Image.fromarray(levels).save(tmp_path / "m.tif")
    for classes in (1, 3):
        with pytest.raises(DataError, match="m.tif holds the values"):
            read_mask(tmp_path / "m.tif", classes=classes)


# A threshold


DISK = np.hypot(*np.mgrid[-20:20, -24:24]) < 13


@pytest.mark.parametrize(
    ("name", "levels", "threshold"),
    [
        ("m.jpg", DISK * 255, 127),
        ("m.jpg", DISK * 128, 64),
        ("m.png", DISK * 128, 0),
        ("m.png", DISK * 128, 127.5),
        ("m.png", DISK * 65535, 32767),
        ("m.tif", DISK * 65535, 0),
        ("m.pgm", DISK * 65535, 40000),
        ("m.png", DISK * 200 + 20, 100),
    ],
)
def test_a_threshold_reads_what_is_neither_0_and_1_nor_0_and_255(
    tmp_path: Path, name: str, levels: np.ndarray, threshold: float
) -> None:
    dtype = np.uint16 if levels.max() > 255 else np.uint8
    file = write_mask(tmp_path / name, levels.astype(dtype))
    assert np.array_equal(read_mask(file, threshold=threshold), DISK)
    with pytest.raises(DataError, match="holds the values .* mask_threshold: "):
        read_mask(file)


def test_a_threshold_reads_colours_and_palettes_as_they_look(tmp_path: Path) -> None:
    colours = np.where(DISK[..., None], (250, 255, 240), (10, 0, 30)).astype(np.uint8)
    Image.fromarray(colours).save(tmp_path / "rgb.jpg", quality=95)
    inverted = write_mask(tmp_path / "p.png", 1 - DISK.astype(np.uint8), [240] * 3 + [9] * 3)
    for file in (tmp_path / "rgb.jpg", inverted):
        assert np.array_equal(read_mask(file, threshold=127), DISK)
    with pytest.raises(InputError, match="does not go with 3 classes"):
        Reading(3, mask_threshold=127)


# Figures by class


def test_classes_have_figures_of_their_own() -> None:
    logits, masks, _ = with_void(4)
    masks[masks == 3] = 0
    logits[:, 3] = -9
    counts = count(logits, masks)
    rows = summary_by_class(counts, at="20")
    assert list(rows) == ["0", "1", "2", "3"]
    assert set(rows["3"].values()) == {None}
    for number in range(3):
        alone = Counts(
            counts.correct, counts.pixels,
            *(getattr(counts, name)[:, number : number + 1] for name in (
                "overlap", "predicted", "actual", "edge_predicted", "edge_predicted_near",
                "edge_actual", "edge_actual_near",
            )),
        )  # fmt: skip
        expected = summary(alone, at="20")
        assert rows[str(number)] == pytest.approx({k: expected[k] for k in rows[str(number)]})
    mean = np.mean([rows[str(number)]["dice_pooled@20"] for number in range(3)])
    assert summary(counts, at="20")["dice_pooled@20"] == pytest.approx(mean)

"""Resized copies belong to what was asked for: classes, empty masks, the table of runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cars import write_cars, write_mask

from zoo.errors import DataError
from zoo.seg.data.folders import list_pairs
from zoo.seg.data.pairs import Reading
from zoo.seg.data.resized_copies import resized_copies


def test_copies_for_one_class_are_not_those_for_several(tmp_path: Path) -> None:
    root, kept = write_cars(tmp_path / "cars", cars=1, views=1), tmp_path / "kept"
    pairs = list_pairs(root)
    mask = np.zeros((12, 10), np.uint8)
    mask[:6] = 1
    write_mask(pairs[0].mask, mask, [255, 255, 255, 0, 0, 0])  # index 0 is white
    by_colour, by_index = (
        resized_copies(root, pairs, 8, Reading(classes), cache=kept)[1] for classes in (1, 2)
    )
    assert np.array_equal(by_colour, 1 - by_index)


def test_copies_with_empty_masks_are_only_for_those_who_allow_them(tmp_path: Path) -> None:
    root, kept = write_cars(tmp_path / "cars", cars=1, views=1), tmp_path / "kept"
    pairs = list_pairs(root)
    write_mask(pairs[0].mask, np.zeros((12, 10), np.uint8), [0, 0, 0, 255, 255, 255])
    resized_copies(root, pairs, 8, Reading(allow_empty=True), cache=kept)
    with pytest.raises(DataError, match="is empty"):
        resized_copies(root, pairs, 8, cache=kept)


def test_copies_follow_the_table_of_runs(tmp_path: Path) -> None:
    root, kept = write_cars(tmp_path / "cars", cars=1, views=1), tmp_path / "kept"
    (pair,) = list_pairs(root)
    pair.mask.unlink()
    pair.mask.parent.rmdir()
    shares = []
    for pixels in (60, 120):
        (root / "train_masks.csv").write_text(f"img,rle_mask\n{pair.image.name},1 {pixels}\n")
        shares.append(resized_copies(root, list_pairs(root), 8, cache=kept)[1].mean())
    assert shares == [0.5, 1]

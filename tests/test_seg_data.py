"""Masks, run lengths, folders and splits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cars import write_cars, write_mask, write_photo
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from zoo.errors import DataError, InputError
from zoo.seg.data.checks import find_problems
from zoo.seg.data.folders import Pair, Runs, list_pairs, read_captions
from zoo.seg.data.masks import read_mask
from zoo.seg.data.pairs import Reading, load_pair
from zoo.seg.data.run_lengths import decode_runs, encode_runs, read_runs
from zoo.seg.data.splits import k_fold, lesson_split

MASK = np.array([[0, 1, 1, 0], [0, 0, 1, 1], [1, 0, 0, 0]], np.uint8)

# Run lengths


def test_runs_count_row_by_row_from_one() -> None:
    assert encode_runs(MASK) == "2 2 7 3"
    decoded = decode_runs("2 2 7 3", (3, 4))
    assert decoded.dtype == np.uint8
    assert np.array_equal(decoded, MASK)
    assert np.array_equal(decode_runs("2 2 7 2 9 1", (3, 4)), MASK)  # runs may touch


@given(
    arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 1))
)
@settings(max_examples=60, deadline=None)
def test_runs_round_trip(mask: np.ndarray) -> None:
    assert np.array_equal(decode_runs(encode_runs(mask), mask.shape), mask)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("3 2 9", "pairs of whole numbers"),
        ("3 x", "pairs of whole numbers"),
        ("0 2", "start at 1"),
        ("2 0", "at least one pixel"),
        ("2 3 4 1", "overlap"),
        ("1 1 5 3 7 1", "overlap"),
        ("11 3", "end at pixel 13, and 4 × 3 has 12"),
    ],
)
def test_bad_runs_are_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        decode_runs(text, (3, 4))


def test_runs_agree_with_kaggles_table(data: Path) -> None:
    """The published row of this photograph begins "879386 40", at 1918 pixels a row."""
    mask = read_mask(data / "carvana" / "train_masks" / "00087a6bd4dc_01_mask.gif")
    row, column = divmod(879386 - 1, 1918)
    top, left = divmod(int(mask.argmax()), 512)
    assert abs(top - row * 512 / 1280) < 1
    assert abs(left - column * 512 / 1918) < 1


# Mask files


def test_masks_of_every_mode(tmp_path: Path) -> None:
    grey, white = MASK * 255, [0, 0, 0, 255, 255, 255]
    files = [
        write_mask(tmp_path / "l01.png", MASK),
        write_mask(tmp_path / "l255.png", grey),
        write_mask(tmp_path / "bits.png", grey > 0),
        write_mask(tmp_path / "rgb.png", np.dstack([grey] * 3)),
        write_mask(tmp_path / "rgb01.bmp", np.dstack([MASK] * 3)),
        write_mask(tmp_path / "rgba.png", np.dstack([grey] * 3 + [grey * 0 + 7])),
        write_mask(tmp_path / "deep.png", MASK.astype(np.uint16)),
        write_mask(tmp_path / "kaggle.gif", MASK, white),
        write_mask(tmp_path / "inverted.gif", 1 - MASK, white[::-1]),  # index 0 is white
        write_mask(tmp_path / "red.png", MASK, [0, 0, 0, 128, 0, 0]),  # by its indices
    ]
    modes = set()
    for file in files:
        with Image.open(file) as image:
            modes.add(image.mode)
        mask = read_mask(file)
        assert mask.dtype == np.uint8
        assert np.array_equal(mask, MASK), file.name
    assert modes >= {"P", "L", "1", "RGB", "RGBA"}


def test_index_masks(tmp_path: Path) -> None:
    numbers = np.array([[0, 1], [2, 3]], np.uint8)
    palette = [0, 0, 0, 128, 0, 0, 0, 128, 0, 255, 255, 255]
    for file in (
        write_mask(tmp_path / "p.png", numbers, palette),
        write_mask(tmp_path / "l.png", numbers),
    ):
        assert np.array_equal(read_mask(file, classes=4), numbers)
        with pytest.raises(DataError, match=f"{file.name} holds the values 0, 1, 2, 3; .* 0 to 2"):
            read_mask(file, classes=3)


def test_other_values_are_named(tmp_path: Path) -> None:
    file = write_mask(tmp_path / "grey.png", np.array([[0, 1, 255]], np.uint8))
    with pytest.raises(DataError, match="grey.png holds the values 0, 1, 255; .* 0 and 255"):
        read_mask(file)
    file = write_mask(tmp_path / "many.png", np.arange(12, dtype=np.uint8)[None])
    with pytest.raises(DataError, match="0, 1, 2, 3, 4, 5, 6, 7 and 4 more"):
        read_mask(file)
    file = write_mask(tmp_path / "red.png", np.dstack([MASK, MASK * 0, MASK * 0]))
    with pytest.raises(DataError, match="red.png is in colour"):
        read_mask(file)


def test_masks_are_turned_upright_as_photographs_are(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # on its side
    Image.fromarray(MASK * 255).save(tmp_path / "turned.png", exif=exif)
    assert np.array_equal(read_mask(tmp_path / "turned.png"), np.rot90(MASK, -1))


def test_damaged_masks_are_named(tmp_path: Path) -> None:
    file = write_mask(tmp_path / "a.gif", np.eye(40, dtype=np.uint8), [0, 0, 0, 255, 255, 255])
    whole = file.read_bytes()
    for length in (0, 5, 12, len(whole) // 2, len(whole) - 9):
        file.write_bytes(whole[:length])
        with pytest.raises(DataError, match="a.gif can't be read as a mask"):
            read_mask(file)
    with pytest.raises(DataError, match="There is no mask .*b.gif"):
        read_mask(tmp_path / "b.gif")
    frames = [Image.fromarray(MASK * 255), Image.fromarray(255 - MASK * 255)]
    frames[0].save(file, save_all=True, append_images=frames[1:])
    with pytest.raises(DataError, match="a.gif holds several frames"):
        read_mask(file)


# Folders


def test_kaggles_layout(tmp_path: Path) -> None:
    root = write_cars(tmp_path)
    pairs = list_pairs(root)
    assert [pair.image.name for pair in pairs] == sorted(p.name for p in (root / "train").iterdir())
    assert pairs[4] == Pair(
        root / "train" / "000000000001_02.jpg",
        root / "train_masks" / "000000000001_02_mask.gif",
        "000000000001",
        "000000000001_02",
    )
    image, mask = load_pair(pairs[4])
    assert image.shape == (12, 10, 3)
    assert image.dtype == mask.dtype == np.uint8
    assert mask.sum() == 20  # two rows
    assert find_problems(root) == []


def test_the_table_stands_in_for_mask_files(tmp_path: Path) -> None:
    root = write_cars(tmp_path, cars=1)
    expected = [load_pair(pair)[1] for pair in list_pairs(root)]
    rows = ["img,rle_mask"]
    for pair, mask in zip(list_pairs(root), expected, strict=True):
        rows.append(f"{pair.image.name},{encode_runs(mask)}")
        pair.mask.unlink()
    (root / "train_masks").rmdir()
    table = root / "train_masks.csv"
    table.write_text("\n".join(rows))
    pairs = list_pairs(root)
    assert all(isinstance(pair.mask, Runs) for pair in pairs)
    assert all(
        np.array_equal(load_pair(pair)[1], m) for pair, m in zip(pairs, expected, strict=True)
    )

    table.write_text("\n".join(rows).replace(",1 10", ",999 10"))
    with pytest.raises(DataError, match=r"train_masks.csv \(000000000000_01.jpg\): The runs end"):
        load_pair(list_pairs(root)[0])
    table.write_text("image,rle\n")
    with pytest.raises(DataError, match="train_masks.csv lacks the column img and rle_mask"):
        read_runs(table)


def test_any_pair_of_folders(tmp_path: Path) -> None:
    for name in ("a/1", "a/2", "b"):
        write_photo(tmp_path / "images" / f"{name}.png")
        write_mask(tmp_path / "masks" / f"{name}.png", np.ones((12, 10), np.uint8))
    assert [pair.group for pair in list_pairs(tmp_path)] == ["a", "a", "b"]
    with pytest.raises(DataError, match="has no images and masks; zoo reads train/"):
        list_pairs(tmp_path / "images")


def test_captions(tmp_path: Path) -> None:
    assert read_captions(tmp_path) == {}
    table = tmp_path / "metadata.csv"
    table.write_text('"id","year","make","model"\n"0004d4463b50","2014","Acura","TL"\n')
    assert read_captions(tmp_path) == {"0004d4463b50": "2014 Acura TL"}
    table.write_text("id,year\n1,2\n")
    with pytest.raises(DataError, match="metadata.csv lacks the column make and model"):
        read_captions(tmp_path)


def test_every_fault_is_found_and_named(tmp_path: Path) -> None:
    root = write_cars(tmp_path, cars=2, views=4)
    names = [pair.image.stem for pair in list_pairs(root)]
    masks = [root / "train_masks" / f"{name}_mask.gif" for name in names]
    masks[0].unlink()
    (root / "train" / f"{names[1]}.jpg").unlink()
    masks[2].write_bytes(masks[2].read_bytes()[:-12])
    write_mask(masks[3], np.ones((5, 6), np.uint8), [0, 0, 0, 255, 255, 255])
    write_mask(masks[4], np.zeros((12, 10), np.uint8), [0, 0, 0, 255, 255, 255])
    (root / "train" / f"{names[5]}.jpg").write_bytes(b"\xff\xd8 no picture")
    write_photo(root / "train" / f"{names[6]}.png")

    problems = find_problems(root)
    expected = [
        f"{names[6]}.png and {names[6]}.jpg share a name",
        f"{names[1]}_mask.gif has no image in",
        f"{names[0]}.jpg has no mask {names[0]} or {names[0]}_mask in",
        f"{names[2]}_mask.gif can't be read as a mask",
        f"{names[3]}_mask.gif is 6 × 5, but its image",
        f"{names[4]}_mask.gif is empty; allow_empty accepts",
        f"{names[5]}.jpg",
    ]
    assert len(problems) == len(expected)
    assert all(text in problem for text, problem in zip(expected, problems, strict=True))
    assert len(find_problems(root, Reading(allow_empty=True))) == len(expected) - 1
    with pytest.raises(DataError, match=r"share a name.*\(2 more files have such a fault.\)"):
        list_pairs(root)


def test_grey_and_deep_photographs_become_rgb8(tmp_path: Path) -> None:
    mask = write_mask(tmp_path / "m.png", np.ones((2, 2), np.uint8))
    grey = np.array([[0, 100], [200, 255]], np.uint8)
    for pixels in (grey, grey.astype(np.uint16) * 257):
        image, _ = load_pair(Pair(write_mask(tmp_path / "i.png", pixels), mask, "g", "i"))
        assert np.array_equal(image, np.dstack([grey] * 3))


# Splits


def pairs_of(cars: int, views: int = 2) -> list[Pair]:
    return [
        Pair(
            Path(f"{car:03}_{view}.jpg"),
            Path(f"{car:03}_{view}.gif"),
            f"{car:03}",
            f"{car:03}_{view}",
        )
        for car in range(cars)
        for view in range(views)
    ]


def test_the_lessons_split_takes_whole_cars() -> None:
    split = lesson_split(pairs_of(30), validation=6, held_out=4)
    assert split.validation == list(range(12))  # the first six by name
    assert split.train == list(range(12, 52))
    assert split.held_out == list(range(52, 60))  # the last four
    with pytest.raises(DataError, match="10 groups of images are too few to set 6 aside"):
        lesson_split(pairs_of(10), validation=6, held_out=4)


@pytest.mark.parametrize(("cars", "few"), [(3, 1), (10, 2), (30, 6)])
def test_the_advice_for_few_cars_is_one_that_works(cars: int, few: int) -> None:
    with pytest.raises(DataError, match=rf"and split.held_out \(--held-out\) to {few}\."):
        lesson_split(pairs_of(cars))
    assert lesson_split(pairs_of(cars), validation=few, held_out=few).train


def test_as_many_cars_choose_checkpoints_in_folds_as_in_the_lesson() -> None:
    split = k_fold(pairs_of(40), folds=4, fold=1)
    assert (len(split.train), len(split.held_out), len(split.validation)) == (20, 40, 20)


@pytest.mark.parametrize("folds", [2, 3, 7])
def test_no_car_is_on_both_sides_and_every_car_validates_once(folds: int) -> None:
    pairs = pairs_of(11)
    validated: list[int] = []
    for fold in range(folds):
        split = k_fold(pairs, folds=folds, fold=fold, held_out=2)
        sides = [split.train, split.held_out, split.validation]
        assert sorted(row for side in sides for row in side) == list(range(len(pairs)))
        cars = [{pairs[row].group for row in side} for side in sides]
        assert all(cars)
        assert sum(map(len, cars)) == 11
        validated += split.validation
    assert sorted(validated) == list(range(len(pairs)))
    with pytest.raises(InputError, match="numbers 0 to"):
        k_fold(pairs, folds=folds, fold=folds)
    with pytest.raises(DataError, match="can't be split into 12 folds"):
        k_fold(pairs, folds=12, fold=0)


def test_the_split_of_carvana(data: Path) -> None:
    pairs = list_pairs(data / "carvana")
    split = lesson_split(pairs)
    assert split.validation == list(range(1008))
    assert (len(split.train), len(split.held_out)) == (3760, 320)
    sides = (split.train, split.held_out, split.validation)
    cars = [{pairs[row].group for row in side} for side in sides]
    assert [len(side) for side in cars] == [235, 20, 63]
    assert len(cars[0] | cars[1] | cars[2]) == 318

"""Masks, run lengths, folders, splits, resized copies and augmented batches."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from zoo.errors import DataError, InputError
from zoo.seg import cache as cache_module
from zoo.seg.augment import Augmentation, relight, turn
from zoo.seg.cache import resized_copies
from zoo.seg.data import MaskedImages
from zoo.seg.folders import (
    Pair,
    Runs,
    find_problems,
    list_pairs,
    load_pair,
    load_resized,
    read_captions,
)
from zoo.seg.masks import read_mask
from zoo.seg.resize import resize_image, resize_mask
from zoo.seg.runs import decode_runs, encode_runs, read_runs
from zoo.seg.splits import k_fold, lesson_split

MASK = np.array([[0, 1, 1, 0], [0, 0, 1, 1], [1, 0, 0, 0]], np.uint8)


def write_mask(file: Path, mask: np.ndarray, palette: list[int] | None = None) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(mask)
    if palette is not None:
        image = image.convert("P")
        image.putdata(mask.ravel().tolist())
        image.putpalette(palette)
    image.save(file)
    return file


def write_photo(file: Path, height: int = 12, width: int = 10, seed: int = 0) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file)
    return file


def write_cars(
    root: Path, cars: int = 2, views: int = 3, height: int = 12, width: int = 10
) -> Path:
    """Kaggle's layout in small; the mask of view i has i + 1 rows, from the top."""
    for car in range(cars):
        for view in range(views):
            name = f"{car:012x}_{view + 1:02}"
            write_photo(root / "train" / f"{name}.jpg", height, width, seed=views * car + view)
            mask = np.zeros((height, width), np.uint8)
            mask[: view + 1] = 1
            write_mask(root / "train_masks" / f"{name}_mask.gif", mask, [0, 0, 0, 255, 255, 255])
    return root


# Run lengths


def test_runs_count_row_by_row_from_one() -> None:
    assert encode_runs(MASK) == "2 2 7 3"
    assert np.array_equal(decode_runs("2 2 7 3", (3, 4)), MASK)
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
    with pytest.raises(DataError, match="metadata.csv lacks the column make"):
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
    assert len(find_problems(root, allow_empty=True)) == len(expected) - 1
    with pytest.raises(DataError, match=r"share a name.*\(2 more files have such a fault.\)"):
        list_pairs(root)


def test_grey_and_deep_photographs_become_rgb8(tmp_path: Path) -> None:
    mask = write_mask(tmp_path / "m.png", np.ones((2, 2), np.uint8))
    grey = np.array([[0, 100], [200, 255]], np.uint8)
    for pixels in (grey, grey.astype(np.uint16) * 257):
        image, _ = load_pair(Pair(write_mask(tmp_path / "i.png", pixels), mask, "g"))
        assert np.array_equal(image, np.dstack([grey] * 3))


# Splits


def pairs_of(cars: int, views: int = 2) -> list[Pair]:
    return [
        Pair(Path(f"{car:03}_{view}.jpg"), Path(f"{car:03}_{view}.gif"), f"{car:03}")
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


# Resized copies


def test_resizing_is_torchs(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (37, 53, 3), dtype=np.uint8)
    mask = rng.integers(0, 5, (37, 53), dtype=np.uint8)
    for size in ((16, 16), (64, 80)):
        x = torch.from_numpy(pixels).permute(2, 0, 1)[None].float()
        expected = torch.nn.functional.interpolate(x, size, mode="bilinear", antialias=True)
        result = torch.tensor(resize_image(pixels, size)).permute(2, 0, 1)
        assert (result - expected[0]).abs().max() < 1.01  # PIL rounds after each direction
        x = torch.from_numpy(mask)[None, None].float()
        expected = torch.nn.functional.interpolate(x, size, mode="nearest-exact")
        assert np.array_equal(resize_mask(mask, size), expected[0, 0].byte().numpy())


def test_copies_are_kept_and_follow_their_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, kept = write_cars(tmp_path / "cars"), tmp_path / "kept"
    pairs = list_pairs(root)
    images, masks = resized_copies(root, pairs, 8, cache=kept)
    assert (images.shape, masks.shape) == ((6, 3, 8, 8), (6, 8, 8))
    assert images.dtype == masks.dtype == np.uint8
    for row, pair in enumerate(pairs):
        image, mask = load_resized(pair, 8)
        assert np.array_equal(images[row], image)
        assert np.array_equal(masks[row], mask)

    with monkeypatch.context() as patch:
        patch.setattr(cache_module, "load_resized", None)  # nothing is decoded again
        again, _ = resized_copies(root, pairs, 8, cache=kept)
    assert np.array_equal(again, images)

    changed = np.ones((12, 10), np.uint8)
    write_mask(pairs[5].mask, changed, [0, 0, 0, 255, 255, 255])
    _, masks = resized_copies(root, pairs, 8, cache=kept)
    assert masks[5].all()
    resized_copies(root, pairs, 4, cache=kept)
    assert len(list(kept.glob("*/*/images.npy"))) == 2  # one a size, none of the former state


def test_damaged_and_half_built_copies_are_built_anew(tmp_path: Path) -> None:
    root, kept = write_cars(tmp_path / "cars"), tmp_path / "kept"
    pairs = list_pairs(root)
    images = np.array(resized_copies(root, pairs, 8, cache=kept)[0])
    (file,) = kept.glob("*/*/images.npy")
    file.write_bytes(file.read_bytes()[:-100])
    leftover = file.parent.with_name("state.123.part")  # of a killed process
    leftover.mkdir()
    assert np.array_equal(resized_copies(root, pairs, 8, cache=kept)[0], images)
    assert not leftover.exists()


def test_a_bad_pair_leaves_no_copies(tmp_path: Path) -> None:
    root, kept = write_cars(tmp_path / "cars"), tmp_path / "kept"
    pairs = list_pairs(root)
    pairs[4].mask.write_bytes(b"GIF89a")
    with pytest.raises(DataError, match="000000000001_02_mask.gif"):
        resized_copies(root, pairs, 8, cache=kept)
    assert [file.name for file in kept.glob("*/*")] in ([], ["lock"])
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="Resized copies can't be kept in .*file"):
        resized_copies(root, pairs[:4], 8, cache=tmp_path / "file")


BUILD = """
import hashlib, sys
from pathlib import Path
from zoo.seg import cache
from zoo.seg.folders import list_pairs

decoded = []
load = cache.load_resized
cache.load_resized = lambda pair, **options: decoded.append(pair) or load(pair, **options)
root, kept = map(Path, sys.argv[1:])
pairs = list_pairs(root)
print("ready", flush=True)
sys.stdin.readline()
images, masks = cache.resized_copies(root, pairs, 16, cache=kept)
print(len(decoded), hashlib.sha256(images.tobytes() + masks.tobytes()).hexdigest())
"""


def test_two_processes_build_one_copy(tmp_path: Path) -> None:
    root, kept = write_cars(tmp_path / "cars", cars=20, views=4), tmp_path / "kept"
    command = [sys.executable, "-c", BUILD, str(root), str(kept)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    processes = [
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    decoded, hashes = zip(*(process.communicate()[0].split() for process in processes), strict=True)
    assert sorted(decoded) == ["0", "80"]  # one built, the other waited
    assert hashes[0] == hashes[1]
    (entry,) = [path for path in kept.glob("*/*") if path.is_dir()]
    assert sorted(file.name for file in entry.iterdir()) == ["images.npy", "masks.npy"]


# Batches


def numbered(count: int, size: int = 4) -> MaskedImages:
    """Images that are filled with their number, and masks with its parity."""
    numbers = np.arange(count, dtype=np.uint8)
    images = np.broadcast_to(numbers[:, None, None, None], (count, 3, size, size)).copy()
    return MaskedImages(images, images[:, 0] % 2, rows=range(2, count))


def test_batches_draw_from_their_rows_by_the_generator_alone() -> None:
    data = numbered(12)
    x, y = data.batch(300, torch.Generator().manual_seed(1))
    assert (x.dtype, y.dtype) == (torch.float32, torch.uint8)
    assert (x.shape, y.shape) == ((300, 3, 4, 4), (300, 4, 4))
    numbers = (x * 255).round().byte()
    assert set(numbers.flatten().tolist()) == set(range(2, 12))
    assert torch.equal(numbers[:, 0] % 2, y)

    torch.manual_seed(5)  # the global generator has no say
    options = {"augmentation": Augmentation()}
    first = data.batch(8, torch.Generator().manual_seed(1), **options)
    torch.manual_seed(6)
    second = data.batch(8, torch.Generator().manual_seed(1), **options)
    other = data.batch(8, torch.Generator().manual_seed(2), **options)
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])
    assert not torch.equal(first[0], other[0])


def test_in_order_gives_every_image_once() -> None:
    data = numbered(12)
    assert len(data) == 10
    batches = list(data.in_order(4))
    assert [len(x) for x, _ in batches] == [4, 4, 2]
    numbers = torch.cat([x for x, _ in batches])[:, 0, 0, 0] * 255
    assert numbers.round().tolist() == list(range(2, 12))
    with pytest.raises(DataError, match="no images in this part"):
        MaskedImages(np.zeros((2, 3, 4, 4), np.uint8), np.zeros((2, 4, 4), np.uint8), rows=[])


# Augmentation


def disks(count: int, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Images whose brightness is their mask: one disk each, off the middle."""
    rng = np.random.default_rng(3)
    rows, columns = np.mgrid[:size, :size]
    masks = np.stack(
        [
            (rows - row) ** 2 + (columns - column) ** 2 < (size / 5) ** 2
            for row, column in rng.uniform(size * 0.3, size * 0.7, (count, 2))
        ]
    )
    y = torch.from_numpy(masks).byte()
    return y[:, None].float().expand(-1, 3, -1, -1) * 0.6 + 0.2, y


def test_images_and_masks_move_together_each_its_own_way() -> None:
    x, y = disks(24, 48)
    moved, labels = Augmentation()(x, y, torch.Generator().manual_seed(0))
    assert moved.shape == x.shape
    assert set(labels.unique().tolist()) == {0, 1}
    assert labels.dtype == torch.uint8
    agree = (moved.mean(1) > 0.5) == (labels == 1)
    assert agree.float().mean() > 0.99  # all but pixels on the edge
    columns = torch.arange(48.0)

    def middles(masks: torch.Tensor) -> torch.Tensor:
        return (masks.sum(1) * columns).sum(1) / masks.sum((1, 2))

    before, after = middles(y), middles(labels)
    flipped = (after - (47 - before)).abs() < (after - before).abs()
    assert 4 < int(flipped.sum()) < 20
    assert moved.mean((1, 2, 3)).sub(x.mean((1, 2, 3))).unique().numel() == 24  # own light


def test_a_turn_is_torchvisions_rotate_of_tv_tensors() -> None:
    from torchvision import tv_tensors
    from torchvision.transforms.v2 import InterpolationMode
    from torchvision.transforms.v2 import functional as V

    generator = torch.Generator().manual_seed(0)
    x = torch.rand(3, 3, 33, 33, generator=generator)
    y = torch.randint(0, 5, (3, 33, 33), generator=generator, dtype=torch.uint8)
    degrees, mirror = [4.0, -2.5, 11.0], torch.tensor([1.0, -1.0, -1.0])
    turned, labels = turn(x, y, torch.deg2rad(torch.tensor(degrees)), mirror)
    inside = slice(5, -5)  # the corners are mirrored here and black there
    for i, angle in enumerate(degrees):
        image = V.rotate(tv_tensors.Image(x[i]), angle, interpolation=InterpolationMode.BILINEAR)
        mask = V.rotate(tv_tensors.Mask(y[i]), angle)
        if mirror[i] < 0:
            image, mask = V.horizontal_flip(image), V.horizontal_flip(mask)
        assert torch.allclose(turned[i][:, inside, inside], image[:, inside, inside], atol=1e-4)
        same = labels[i] == mask
        assert same[inside, inside].float().mean() > 0.995  # ties may round either way


def test_corners_are_mirrored_not_black() -> None:
    x, y = torch.ones(4, 3, 32, 32), torch.ones(4, 32, 32, dtype=torch.uint8)
    moved, labels = Augmentation(rotation=30, lighting=0)(x, y, torch.Generator().manual_seed(0))
    assert torch.allclose(moved, x, atol=1e-5)
    assert labels.all()


def test_light_changes_by_the_lessons_formula_and_stays_in_range() -> None:
    x = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    lit = relight(x, torch.tensor([0.05, -0.05]), torch.tensor([1.05, 0.95]))
    for image, result, shift, contrast in zip(x, lit, (0.05, -0.05), (1.05, 0.95), strict=True):
        expected = ((image - image.mean()) * contrast + image.mean() + shift).clamp(0, 1)
        assert torch.allclose(result, expected, atol=1e-6)
    still, labels = Augmentation(rotation=0, flip=False, lighting=0)(
        x, x[:, 0].round().byte(), torch.Generator().manual_seed(0)
    )
    assert torch.allclose(still, x, atol=1e-5)
    assert torch.equal(labels, x[:, 0].round().byte())

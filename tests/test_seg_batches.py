"""Resized copies and augmented batches."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from cars import write_cars, write_mask

from zoo.errors import DataError
from zoo.seg.data import resized_copies as cache_module
from zoo.seg.data.augment import Augmentation, relight, turn
from zoo.seg.data.batches import MaskedImages
from zoo.seg.data.folders import list_pairs
from zoo.seg.data.pairs import load_resized
from zoo.seg.data.resize import resize_image, resize_mask
from zoo.seg.data.resized_copies import resized_copies

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
from zoo.seg.data import resized_copies as cache
from zoo.seg.data.folders import list_pairs

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


def test_every_image_draws_its_own_turn_and_light_up_to_the_limits() -> None:
    x = torch.linspace(0.4, 0.6, 33)[:, None].expand(64, 3, 33, 33)  # brighter downwards
    augmentation = Augmentation(rotation=20, flip=False, lighting=0.05)
    moved, _ = augmentation(x, x[:, 0].byte(), torch.Generator().manual_seed(0))
    down = (moved[:, 0, 20, 16] - moved[:, 0, 12, 16]) / 0.05
    across = (moved[:, 0, 16, 20] - moved[:, 0, 16, 12]) / 0.05
    for drawn, limit in (
        (torch.rad2deg(torch.atan2(across, down)), 20),
        (torch.hypot(across, down) - 1, 0.05),
        (moved[:, 0, 16, 16] - 0.5, 0.05),
    ):
        assert drawn.unique().numel() == 64
        assert -1.01 * limit < drawn.min() < -0.8 * limit
        assert 0.8 * limit < drawn.max() < 1.01 * limit


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

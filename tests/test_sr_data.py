"""Pairs of photographs and their degraded versions, and the patches cut from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from zoo.errors import DataError, ImageError
from zoo.pictures.files import list_images
from zoo.sr.data.imresize import bicubic_downscale, imresize
from zoo.sr.data.pairs import Pair, PairedPatches, load_pair


def save(array: np.ndarray, file: Path) -> Path:
    Image.fromarray(array).save(file)
    return file


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def numbered_pairs(scale: int) -> list[Pair]:
    """Images whose pixels tell which image, row and column they come from, at the input's scale."""
    pairs = []
    for i, (height, width) in enumerate([(9, 12), (15, 8), (8, 8)]):
        rows, columns = np.mgrid[:height, :width]
        small = np.dstack([np.full_like(rows, i), rows, columns]).astype(np.uint8)
        pairs.append(Pair(str(i), small.repeat(scale, 0).repeat(scale, 1), small))
    return pairs


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_patches_are_aligned_and_inside(scale: int) -> None:
    """Both sides of each pair show the same place, turned the same way."""
    patches = PairedPatches(numbered_pairs(scale), scale=scale)
    inputs, targets = patches.batch(64, 5, torch.Generator().manual_seed(0))
    assert inputs.shape == (64, 3, 5, 5)
    assert targets.shape == (64, 3, 5 * scale, 5 * scale)
    enlarged = inputs.repeat_interleave(scale, 2).repeat_interleave(scale, 3)
    assert torch.equal(targets, enlarged)
    codes = (inputs * 255).round().long()
    for image, rows, columns in codes.unbind(0):
        assert (image == image[0, 0]).all()  # of one image
        spans = {tuple(sorted(set(plane.flatten().tolist()))) for plane in (rows, columns)}
        assert all(span == tuple(range(span[0], span[0] + 5)) for span in spans)  # and in one piece


def test_all_eight_orientations_and_every_image_occur() -> None:
    patches = PairedPatches(numbered_pairs(1), scale=1)
    inputs, _ = patches.batch(400, 2, torch.Generator().manual_seed(1))
    codes = (inputs * 255).round().long()
    right, down = codes[:, 1:, 0, 1] - codes[:, 1:, 0, 0], codes[:, 1:, 1, 0] - codes[:, 1:, 0, 0]
    assert len(torch.cat([right, down], dim=1).unique(dim=0)) == 8
    assert set(codes[:, 0, 0, 0].tolist()) == {0, 1, 2}


def test_a_batch_is_decided_by_the_generator() -> None:
    patches = PairedPatches(numbered_pairs(2), scale=2)
    first = patches.batch(8, 4, torch.Generator().manual_seed(5))
    again = patches.batch(8, 4, torch.Generator().manual_seed(5))
    other = patches.batch(8, 4, torch.Generator().manual_seed(6))
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])


@pytest.mark.parametrize("scale", [1, 2])
def test_of_several_candidates_the_one_with_most_to_learn_is_taken(scale: int) -> None:
    """Of a picture that is flat but for its right end, patches show that end."""
    small = np.full((12, 40, 3), 100, np.uint8)
    target = small.repeat(scale, 0).repeat(scale, 1)
    target[:, -5 * scale :] += noise(12 * scale, 5 * scale) // 2
    patches = PairedPatches([Pair("a", target, small)], scale=scale)
    missed = patches.misses.view(12, 40)
    assert (missed[:, :35] == 0).all()
    torch.testing.assert_close(
        missed[:, 35:].mean(), torch.tensor(np.abs(target - 100.0)[:, -5 * scale :].mean()).float()
    )

    def shares(candidates: int) -> float:
        generator = torch.Generator().manual_seed(0)
        _, cut = patches.batch(200, 4, generator, candidates=candidates)
        return float((cut.flatten(1).std(1) > 0.01).float().mean())

    assert shares(1) == pytest.approx(5 / 37, abs=0.05)  # 5 of the 37 places reach the end
    assert shares(4) == pytest.approx(1 - (32 / 37) ** 4, abs=0.08)


def test_odd_sizes_are_cropped_and_degraded(tmp_path: Path) -> None:
    file = save(noise(37, 50), tmp_path / "a.png")
    pair = load_pair(file, scale=4)
    assert pair.target.shape == (36, 48, 3)
    assert np.array_equal(pair.input, bicubic_downscale(noise(37, 50), 4))


def test_a_share_of_a_photograph_is_shrunk_before_it_is_cut(tmp_path: Path) -> None:
    pixels = noise(37, 50)
    pair = load_pair(save(pixels, tmp_path / "a.png"), scale=4, share=0.5)
    expected = imresize(pixels, (18, 25))[:16, :24]
    assert np.array_equal(pair.target, expected)
    assert np.array_equal(pair.input, bicubic_downscale(expected, 4))


def test_low_resolution_files_are_taken_as_given(tmp_path: Path) -> None:
    (tmp_path / "low").mkdir()
    file = save(noise(8, 8), tmp_path / "a.png")
    save(noise(4, 4, seed=1), tmp_path / "low" / "a.png")
    pair = load_pair(file, scale=2, inputs=tmp_path / "low")
    assert np.array_equal(pair.input, noise(4, 4, seed=1))


def test_any_degradation_will_do(tmp_path: Path) -> None:
    """Colouring: the input is the grey picture, the target the colours."""

    def grey(image: np.ndarray, scale: int) -> np.ndarray:
        return np.repeat(image.mean(2, keepdims=True).astype(np.uint8), 3, axis=2)

    file = save(noise(8, 9), tmp_path / "a.png")
    pair = load_pair(file, scale=1, degrade=grey)
    inputs, targets = PairedPatches([pair], scale=1).batch(4, 6, torch.Generator())
    assert (inputs[:, 0] == inputs[:, 2]).all()
    torch.testing.assert_close(targets.mean(1), inputs[:, 0], atol=1 / 255, rtol=0)


def test_photographs_are_read_upright_and_in_8_bits(tmp_path: Path) -> None:
    deep = np.linspace(0, 65535, 8 * 6).astype(np.uint16).reshape(8, 6)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    expected = np.rint(deep / 257).astype(np.uint8)
    target = load_pair(tmp_path / "deep.png", scale=2).target
    np.testing.assert_array_equal(target, np.repeat(expected[..., None], 3, axis=2))

    exif = Image.Exif()
    exif[0x0112] = 6  # on its side
    pixels = noise(8, 6)
    Image.fromarray(pixels).save(tmp_path / "turned.png", exif=exif)
    turned = load_pair(tmp_path / "turned.png", scale=2).target
    np.testing.assert_array_equal(turned, np.rot90(pixels, -1))


def test_mistakes_name_the_file(tmp_path: Path) -> None:
    good = save(noise(8, 8), tmp_path / "good.png")
    small = save(noise(2, 5), tmp_path / "small.png")
    broken = tmp_path / "broken.png"
    broken.write_bytes(good.read_bytes()[:60])
    text = tmp_path / "text.jpg"
    text.write_text("not a picture")
    low = tmp_path / "low"
    low.mkdir()
    save(noise(3, 4), low / "good.png")

    with pytest.raises(DataError, match="broken.png: the file is damaged"):
        load_pair(broken, scale=2)
    with pytest.raises(DataError, match="text.jpg: the file is no picture"):
        load_pair(text, scale=2)
    with pytest.raises(DataError, match="good.png: at scale 2 .* must be 4×4, not 4×3"):
        load_pair(good, scale=2, inputs=low)
    with pytest.raises(DataError, match="small.png has no partner"):
        load_pair(small, scale=2, inputs=low)
    with pytest.raises(DataError, match="small.png is 5×2 .* smaller than the patch of 3"):
        PairedPatches([load_pair(good, scale=1), load_pair(small, scale=1)], scale=1).check_patch(3)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ImageError, match="has no image in it"):
        list_images(tmp_path / "empty")
    with pytest.raises(ImageError, match="can't be listed"):
        list_images(tmp_path / "nowhere")

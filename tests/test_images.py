"""Transparency, folders of images, pixels as tensors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import SRGB, assert_camera_exif, camera_exif, random_pixels, save
from PIL import Image

from zoo.errors import ImageError, InputError
from zoo.pictures.files import find_images, read_image
from zoo.pictures.picture import Picture, fill_transparent, to_pixels, to_tensor
from zoo.pictures.pillow import from_pil, to_pil


def test_fill_transparent_takes_the_nearest_visible_colours() -> None:
    pixels = np.zeros((33, 50, 3), np.uint8)
    alpha = np.zeros((33, 50), np.uint8)
    pixels[:, :5], alpha[:, :5] = (200, 10, 30), 255
    pixels[:, -5:], alpha[:, -5:] = (10, 200, 30), 40
    filled = fill_transparent(pixels, alpha)
    np.testing.assert_array_equal(filled[:, :5], pixels[:, :5])
    np.testing.assert_array_equal(filled[:, -5:], pixels[:, -5:])
    assert (filled[..., 2] == 30).all()  # no black anywhere
    assert (filled[:, 5] == (200, 10, 30)).all()
    assert (filled[:, -6] == (10, 200, 30)).all()
    assert pixels[:, 5:45].max() == 0  # the argument is left alone


def test_fill_transparent_prefers_opaque_neighbours() -> None:
    pixels = np.array([[[0], [90]], [[240], [7]]], np.uint16)
    alpha = np.array([[30000, 10000], [20000, 0]], np.uint16)
    filled = fill_transparent(pixels, alpha)
    assert filled[1, 1, 0] == round((90 * 1 + 240 * 2) / 6)
    np.testing.assert_array_equal(filled.ravel()[:3], pixels.ravel()[:3])


@pytest.mark.parametrize("value", [0, 255])
def test_fill_transparent_where_there_is_nothing_to_do(value: int) -> None:
    pixels = random_pixels(3, 4, 3)
    assert fill_transparent(pixels, np.full((3, 4), value, np.uint8)) is pixels


def test_no_dark_halo_around_an_enlarged_cutout(tmp_path: Path) -> None:
    planes = np.zeros((20, 20, 4), np.uint8)  # transparent black around a white disc
    y, x = np.mgrid[:20, :20]
    planes[(y - 9.5) ** 2 + (x - 9.5) ** 2 < 50] = 255
    picture = read_image(save(Image.fromarray(planes), tmp_path / "a.png"))
    enlarged = Image.fromarray(picture.pixels).resize((80, 80), Image.Resampling.BICUBIC)
    assert np.asarray(enlarged).min() == 255


# Finding files


def test_find_images(tmp_path: Path) -> None:
    names = ["b/z.JPG", "b/c/a.tiff", "a.png", "A2.WebP", "notes.txt", ".hidden.png", ".git/x.png"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = find_images([tmp_path])
    assert [str(relative) for _, relative in found] == ["A2.WebP", "a.png", "b/c/a.tiff", "b/z.JPG"]
    assert all(file == tmp_path / relative for file, relative in found)
    single = find_images([tmp_path / "b/z.JPG", str(tmp_path / "notes.txt"), tmp_path / "gone.png"])
    assert [str(relative) for _, relative in single] == ["z.JPG", "notes.txt", "gone.png"]
    assert len(find_images([tmp_path, tmp_path / "a.png", tmp_path / "b"])) == 4


def test_a_folder_named_by_a_dot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.png").touch()
    monkeypatch.chdir(tmp_path)
    assert find_images(["."]) == [(Path("a.png"), Path("a.png"))]


def test_a_folder_without_images(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ImageError, match="no image"):
        find_images([tmp_path])


# Tensors


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("working", [torch.float32, torch.float64])
def test_tensor_round_trip_is_exact(dtype: type, working: torch.dtype) -> None:
    levels = np.arange(np.iinfo(dtype).max + 1).astype(dtype).reshape(-1, 16, 1)
    pixels = np.concatenate([levels, levels[::-1], levels[:, ::-1]], axis=2)
    tensor = to_tensor(pixels)
    assert tensor.shape == (3, *pixels.shape[:2])
    assert tensor.dtype == torch.float32
    assert (tensor.min(), tensor.max()) == (0, 1)
    again = to_pixels(tensor.to(working), dtype)
    assert again.dtype == dtype
    np.testing.assert_array_equal(again, pixels)


def test_to_pixels_clamps_and_rounds_and_keeps_its_argument() -> None:
    tensor = torch.tensor([-0.5, 0.0, 0.49 / 255, 0.51 / 255, 1.0, 1.7]).reshape(1, 1, 6)
    kept = tensor.clone()
    assert to_pixels(tensor).ravel().tolist() == [0, 0, 0, 1, 255, 255]
    assert torch.equal(tensor, kept)
    assert to_pixels(torch.ones(3, 2, 1, dtype=torch.bfloat16)).shape == (2, 1, 3)


@pytest.mark.parametrize(
    "tensor",
    [torch.zeros(2, 2), torch.zeros(1, 3, 2, 2), torch.zeros(3, 2, 2, dtype=torch.uint8)],
)
def test_to_pixels_refuses_other_tensors(tensor: torch.Tensor) -> None:
    with pytest.raises(InputError, match="float tensor"):
        to_pixels(tensor)


def test_values_that_no_pixel_can_show() -> None:
    for value in (float("nan"), float("inf")):
        with pytest.raises(InputError, match="NaN or infinity"):
            to_pixels(torch.full((3, 2, 2), value))
    with pytest.raises(InputError, match="float32"):
        to_pixels(torch.zeros(3, 2, 2), np.float32)
    with pytest.raises(InputError, match="float64"):
        to_tensor(np.zeros((2, 2, 3)))


@pytest.mark.parametrize(
    ("pixels", "alpha"),
    [
        (np.zeros((2, 2), np.uint8), None),
        (np.zeros((2, 2, 4), np.uint8), None),
        (np.zeros((0, 2, 3), np.uint8), None),
        (np.zeros((2, 2, 3), np.float32), None),
        (np.zeros((2, 2, 3), np.uint8), np.zeros((3, 2), np.uint8)),
        (np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2), np.uint16)),
    ],
)
def test_pictures_of_impossible_shapes(pixels: np.ndarray, alpha: np.ndarray | None) -> None:
    with pytest.raises(InputError):
        Picture(pixels, alpha)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_pil_round_trip(mode: str) -> None:
    planes = random_pixels(5, 4, len(mode)).clip(1)
    image = Image.fromarray(planes[..., 0] if mode == "L" else planes)
    image.info["icc_profile"] = SRGB
    image.info["exif"] = camera_exif(3)
    again = to_pil(from_pil(image))
    assert again.mode == image.mode == mode
    np.testing.assert_array_equal(
        np.asarray(again), np.asarray(image.transpose(Image.Transpose.ROTATE_180))
    )
    assert again.info["icc_profile"] == SRGB
    assert_camera_exif(again.info["exif"])

"""Training and measuring with other channels than RGB, from every kind of file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvips
import torch
from cars import write_mask
from carvana import app
from PIL import Image
from tiny_seg import MODEL, TINY, write_recipe
from typer.testing import CliRunner

import zoo
from zoo.errors import DataError, InputError
from zoo.inference.segmenter import Segmenter
from zoo.seg.data.bands import read_bands
from zoo.seg.data.resize import resize_image
from zoo.train.segmentation import Segmentation, SegRecipe

Save = Callable[[Path, np.ndarray], Path]


def by_pil(mode: str, suffix: str) -> Save:
    def save(file: Path, planes: np.ndarray) -> Path:
        bands = len(Image.new(mode, (1, 1)).getbands())
        shown = planes[..., :bands] if mode != "LA" else planes[..., [0, 3]]
        image = Image.fromarray(shown[..., 0] if bands == 1 else shown, mode)
        image.save(file.with_suffix(suffix))
        return file.with_suffix(suffix)

    return save


def by_vips(bands: int, depth: int, **options: Any) -> Save:
    def save(file: Path, planes: np.ndarray) -> Path:
        stored = np.dstack([planes, planes[..., ::-1]])[..., :bands].copy()
        if depth == 16:
            stored = stored.astype(np.uint16) * 257
        file = file.with_suffix(".tif")
        pyvips.Image.new_from_array(stored).tiffsave(str(file), **options)
        return file

    return save


KINDS: dict[str, tuple[int, Save]] = {  # bands as stored
    "grey PNG": (1, by_pil("L", ".png")),
    "grey TIFF": (1, by_pil("L", ".tif")),
    "grey and alpha PNG": (2, by_pil("LA", ".png")),
    "grey and alpha TIFF": (2, by_vips(2, 8)),
    "RGB PNG": (3, by_pil("RGB", ".png")),
    "RGBA PNG": (4, by_pil("RGBA", ".png")),
    "RGBA TIFF": (4, by_pil("RGBA", ".tif")),
    "four bands TIFF": (4, by_vips(4, 8, compression="lzw")),
    "four bands TIFF, 16 bits": (4, by_vips(4, 16)),
    "five bands TIFF": (5, by_vips(5, 8, compression="deflate")),
    "six bands TIFF, 16 bits": (6, by_vips(6, 16, predictor="horizontal", compression="lzw")),
}


def planes_of(seed: int = 0) -> np.ndarray:
    """RGBA `[40, 48, 4]` without full transparency."""
    return np.random.default_rng(seed).integers(1, 256, (40, 48, 4), np.uint8)


@pytest.mark.parametrize("kind", KINDS)
def test_bands_are_read_as_stored_or_as_a_picture(tmp_path: Path, kind: str) -> None:
    bands, save = KINDS[kind]
    planes = planes_of()
    file = save(tmp_path / "i", planes)
    stored = np.dstack([planes, planes[..., ::-1]])
    alpha = planes[..., 1:2] if kind == "grey and alpha TIFF" else planes[..., 3:]
    if bands in (1, 3):
        alpha = np.full_like(alpha, 255)
    if bands > 4:
        assert np.array_equal(read_bands(file, bands), stored[..., :bands])
        for channels in (1, 2, 3, 4, bands - 1, bands + 1):
            if channels != bands:
                with pytest.raises(DataError, match="i.tif"):
                    read_bands(file, channels)
        return
    colours = planes[..., :3] if bands > 2 else planes[..., :1].repeat(3, axis=2)
    luma = np.rint(colours @ [0.299, 0.587, 0.114])[..., None]
    assert np.abs(read_bands(file, 1) - luma).max() <= 1
    assert np.abs(read_bands(file, 2) - np.dstack([luma, alpha])).max() <= 1
    assert np.array_equal(read_bands(file, 3), colours)
    assert np.array_equal(read_bands(file, 4), np.dstack([colours, alpha]))
    with pytest.raises(DataError, match="takes 5"):
        read_bands(file, 5)


def test_channels_are_resized_each_by_itself() -> None:
    planes = planes_of()
    planes[:20, :, 3] = 1  # as alpha, it would weight the colours
    small = resize_image(planes, (16, 16))
    for channel in range(4):
        alone = Image.fromarray(planes[..., channel]).resize((16, 16), Image.Resampling.BILINEAR)
        assert np.array_equal(small[..., channel], np.asarray(alone))
    assert np.array_equal(resize_image(planes[..., :3], (16, 16)), small[..., :3])
    assert resize_image(planes[..., :1], (16, 16)).shape == (16, 16, 1)


def own_images(folder: Path, save: Save, number: int = 4) -> Path:
    """Images with the top half as their object."""
    (folder / "images").mkdir(parents=True)
    mask = np.zeros((40, 48), np.uint8)
    mask[:20] = 255
    for i in range(number):
        save(folder / "images" / f"{i}", planes_of(i))
        write_mask(folder / "masks" / f"{i}.png", mask)
    return folder


def recipe_for(channels: int) -> dict[str, Any]:
    return TINY | {
        "model": MODEL | {"options": MODEL["options"] | {"in_chans": channels}},
        "stages": TINY["stages"][:1],
    }


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("channels", [1, 4])
def test_every_kind_of_file_is_trained_on(tmp_path: Path, kind: str, channels: int) -> None:
    bands, save = KINDS[kind]
    data = own_images(tmp_path / "data", save)
    recipe = SegRecipe.model_validate(recipe_for(channels))
    task = Segmentation(recipe, data, channels=channels, cache=tmp_path / "cache")
    if bands > 4:
        with pytest.raises(DataError, match=r"\.tif"):
            task.batch(task.recipe.stages[0], torch.Generator())
        return
    net: Any = zoo.create_model(recipe.model.name, **recipe.model.options).eval()
    images, masks = task.batch(task.recipe.stages[0], torch.Generator())
    assert images.shape == (2, channels, 32, 32)
    task.loss(net(images), masks).backward()
    assert set(task.validate(net)) == {"dice_pooled@32", "accuracy@32"}


@pytest.mark.parametrize(("kind", "channels"), [("RGBA PNG", 4), ("five bands TIFF", 5)])
def test_the_commands_check_train_and_measure(tmp_path: Path, kind: str, channels: int) -> None:
    data, run = own_images(tmp_path / "data", KINDS[kind][1]), tmp_path / "run"
    recipe = write_recipe(tmp_path, **recipe_for(channels))
    for command in (
        ["check", "--data", data, "--channels", channels],
        ["train", recipe, "--data", data, "--out", run, "--cache", tmp_path / "cache"],
        ["eval", run / "best", "--data", data, "--native", data, "--out", tmp_path],
    ):
        outcome = CliRunner().invoke(app, [str(argument) for argument in command])
        assert outcome.exit_code == 0, outcome.output
    assert json.loads((tmp_path / "run.json").read_text())["size"] == 32
    segmenter = Segmenter(run / "best")
    photo = planes_of()[..., :3]
    if channels > 4:
        with pytest.raises(InputError, match="takes 5"):
            segmenter.array(photo)
    else:
        assert segmenter.array(photo).shape == (40, 48)

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
from carvana import app
from cars import write_mask
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
    if (bands, kind.endswith("TIFF")) != (2, True) or read_ok(file):
        assert np.abs(read_bands(file, 1) - luma).max() <= 1
        assert np.array_equal(read_bands(file, 3), colours)
        assert np.array_equal(read_bands(file, 4), np.dstack([colours, alpha]))
    assert np.abs(read_bands(file, 2) - np.dstack([luma, alpha])).max() <= 1
    with pytest.raises(DataError, match="takes 5"):
        read_bands(file, 5)


def read_ok(file: Path) -> bool:
    try:
        read_bands(file, 1)
    except DataError:
        return False
    return True

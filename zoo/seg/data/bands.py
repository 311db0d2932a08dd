"""Reading of images with as many channels as a network takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from zoo.errors import DataError, InputError, ZooError
from zoo.pictures.channels import channels_of
from zoo.pictures.files import read_image, read_rgb
from zoo.pictures.picture import Array


def read_bands(file: Path, channels: int) -> Array:
    """Reads an image as `[H, W, channels]` uint8, turned upright; 16 bits are rounded to 8.

    A TIFF with this number of bands is taken as it is stored, if they are not 1 or 3. Any other
    picture is read by `channels_of`.

    Raises:
        DataError: the file is missing, unreadable or has another number of bands; it is named.
    """
    if channels == 3:
        return read_rgb(file)
    if channels != 1 and file.suffix.lower() in (".tif", ".tiff"):
        bands = stored_bands(file)
        if bands.shape[2] == channels:
            return to_8_bits(bands)
        if bands.shape[2] > 4:
            raise DataError(f"{file} has {bands.shape[2]} channels; the network takes {channels}.")
    try:
        return to_8_bits(channels_of(read_image(file), channels))
    except InputError as error:
        raise DataError(f"{file}: {error}") from error
    except ZooError as error:
        raise DataError(str(error)) from error


def to_8_bits(pixels: Array) -> Array:
    """uint8 of uint8 or uint16, rounded."""
    return pixels if pixels.dtype == np.uint8 else np.rint(pixels / 257).astype(np.uint8)


def stored_bands(file: Path) -> Array:
    """All bands of a file, alpha included, `[H, W, C]` uint8 or uint16, turned upright.

    Raises:
        DataError: the file is unreadable or holds other numbers, or pyvips is missing.
    """
    if not file.is_file():
        raise DataError(f"{file}: there is no such file.")
    try:
        import pyvips
    except (ImportError, OSError) as error:  # OSError: the package without the libvips library
        raise DataError(
            f"{file} needs pyvips to be read: pip install 'zoo-models[large]'."
        ) from error
    try:
        image: Any = pyvips.Image.new_from_file(str(file), fail_on="truncated").autorot()
        bands: Array = image.numpy()
    except pyvips.Error as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise DataError(f"{file} can't be read: {reason}.") from error
    if bands.dtype not in ("u1", "u2"):
        raise DataError(f"{file} has {bands.dtype} pixels; zoo takes 8 or 16 bits.")
    return bands.reshape(*bands.shape[:2], -1)

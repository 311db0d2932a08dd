"""Pictures for the tests of image files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms

from zoo.errors import ImageError
from zoo.pictures.files import read_image

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def random_pixels(*shape: int, dtype: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max + 1, shape).astype(dtype)


def smooth_pixels(height: int, width: int) -> np.ndarray:
    """`[H, W, 3]`, colours that survive JPEG."""
    y, x = np.mgrid[:height, :width]
    planes = [255 * x / width, 255 * y / height, 255 * (x + y) / (height + width)]
    return np.stack(planes, -1).astype(np.uint8)


def photo(name: str) -> Path:
    """One of the photographs that ship inside scikit-image's wheel."""
    data = pytest.importorskip("skimage.data")
    return Path(data.__file__).with_name(name)


def camera_exif(orientation: int | None = None) -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Zoo Cameras"
    exif[ExifTags.IFD.Exif] = {
        ExifTags.Base.ExposureTime: 0.01,
        ExifTags.Base.MakerNote: b"secret\0sauce",
        ExifTags.Base.ExifImageWidth: 99999,
    }
    exif[ExifTags.IFD.GPSInfo] = {1: "N", 2: (52.0, 31.0, 12.0)}
    if orientation is not None:
        exif[ExifTags.Base.Orientation] = orientation
    return exif.tobytes()


def assert_camera_exif(block: bytes | None) -> None:
    assert block is not None
    exif = Image.Exif()
    exif.load(block)
    assert exif[ExifTags.Base.Make] == "Zoo Cameras"
    assert exif.get(ExifTags.Base.Orientation, 1) == 1
    details = exif.get_ifd(ExifTags.IFD.Exif)
    assert details[ExifTags.Base.ExposureTime] == 0.01
    assert details[ExifTags.Base.MakerNote] == b"secret\0sauce"
    assert details[ExifTags.Base.ExifImageWidth] == 99999  # what the camera said stays
    assert exif.get_ifd(ExifTags.IFD.GPSInfo)[2] == (52.0, 31.0, 12.0)


def save(image: Image.Image, path: Path, **options: object) -> Path:
    image.save(path, **options)
    return path


def refusal(path: Path, **options: int) -> str:
    """The one sentence that reading raises: it names the file and has no second line."""
    with pytest.raises(ImageError) as caught:
        read_image(path, **options)
    sentence = str(caught.value)
    assert sentence.startswith(f"{path}: ")
    assert "\n" not in sentence
    return sentence

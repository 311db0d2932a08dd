"""Writing image files: nothing in silence, nothing half written."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pictures import SRGB, photo, random_pixels, smooth_pixels
from PIL import Image

from zoo.errors import ImageError, InputError
from zoo.pictures.files import check_output, read_image, write_image
from zoo.pictures.picture import Picture


def test_jpeg_has_full_colour_resolution_and_the_quality_asked_for(tmp_path: Path) -> None:
    picture = replace(read_image(photo("astronaut.png")), format="JPEG")
    for quality in (95, 60):
        write_image(picture, tmp_path / "a.jpg", quality=quality, overwrite=True)
        with Image.open(tmp_path / "a.jpg") as image:
            assert [layer[1:3] for layer in image.layer] == [(1, 1)] * 3  # 4:4:4
            stream = io.BytesIO()
            image.save(stream, "JPEG", qtables="keep", subsampling="keep")
            reference = io.BytesIO()
            Image.new("RGB", (8, 8)).save(reference, "JPEG", quality=quality)
            assert image.quantization == Image.open(reference).quantization
    for quality in (0, 101):
        with pytest.raises(InputError, match=str(quality)):
            write_image(picture, tmp_path / "b.jpg", quality=quality)


@pytest.mark.parametrize(
    ("picture", "sentence"),
    [
        (
            Picture(random_pixels(2, 2, 3), np.zeros((2, 2), np.uint8), format="JPEG"),
            "transparency",
        ),
        (Picture(random_pixels(2, 2, 3), np.zeros((2, 2), np.uint8), format="BMP"), "transparency"),
        (Picture(random_pixels(2, 2, 1, dtype=np.uint16), format="JPEG"), "16 bits"),
        (Picture(random_pixels(2, 2, 1, dtype=np.uint16), format="WEBP"), "16 bits"),
        (Picture(random_pixels(2, 2, 3, dtype=np.uint16), format="PPM"), "16 bits"),
        (Picture(random_pixels(2, 2, 3), icc_profile=SRGB, format="BMP"), "colour profile"),
        (Picture(random_pixels(2, 2, 3), format="GIF"), "doesn't write GIF"),
        (Picture(random_pixels(2, 2, 3), format="JPG"), "Did you mean 'JPEG'"),
        (Picture(random_pixels(1, 16384, 3), format="WEBP"), "16,383"),
        (Picture(random_pixels(1, 65501, 1), format="JPEG"), "65,500"),
    ],
)
def test_what_a_format_cannot_hold_is_refused(
    tmp_path: Path, picture: Picture, sentence: str
) -> None:
    with pytest.raises(ImageError, match=sentence) as caught:
        write_image(picture, tmp_path / "out")
    assert str(caught.value).startswith(f"{tmp_path / 'out'}: ")
    assert list(tmp_path.iterdir()) == []


def test_size_limits_are_known_before_the_work(tmp_path: Path) -> None:
    picture = Picture(random_pixels(1, 5000, 3), format="WEBP")
    check_output(picture, tmp_path / "out", scale=3)
    with pytest.raises(ImageError, match="20,000"):
        check_output(picture, tmp_path / "out", scale=4)
    large = Picture(np.zeros((3000, 3000, 3), np.uint8), format="BMP")
    check_output(large, tmp_path / "out", scale=8)
    with pytest.raises(ImageError, match="bytes"):
        check_output(large, tmp_path / "out", scale=16)


def test_an_opaque_alpha_plane_may_go(tmp_path: Path) -> None:
    alpha = np.full((4, 4), 255, np.uint8)
    write_image(Picture(smooth_pixels(4, 4), alpha, format="JPEG"), tmp_path / "a.jpg")
    assert read_image(tmp_path / "a.jpg").alpha is None


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    picture = Picture(random_pixels(2, 2, 3))
    file = tmp_path / "a.png"
    write_image(picture, file)
    first = file.read_bytes()
    with pytest.raises(ImageError, match=r"a\.png: the file exists.*--overwrite"):
        write_image(Picture(random_pixels(3, 3, 3)), file)
    assert file.read_bytes() == first
    write_image(Picture(random_pixels(3, 3, 3)), file, overwrite=True)
    assert read_image(file).pixels.shape == (3, 3, 3)
    for place, sentence in [
        (tmp_path / "nowhere" / "b.png", "does not exist"),
        (file / "b.png", "does not exist"),
        (tmp_path, "is a folder"),
        (tmp_path / ("b" * 300), "too long"),
    ]:
        with pytest.raises(ImageError, match=sentence):
            write_image(picture, place, overwrite=True)
    assert [child.name for child in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
@pytest.mark.parametrize("exists", [False, True])
def test_nothing_half_written_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, exists: bool
) -> None:
    file = tmp_path / "a.png"
    if exists:
        file.write_bytes(b"the old one")

    def half_a_save(image: Image.Image, path: Path, **options: object) -> None:
        assert path.parent == tmp_path  # or the rename would not be atomic
        path.write_bytes(b"half")
        raise error

    monkeypatch.setattr(Image.Image, "save", half_a_save)
    expected = KeyboardInterrupt if error is KeyboardInterrupt else ImageError
    with pytest.raises(expected):
        write_image(Picture(random_pixels(2, 2, 3)), file, overwrite=True)
    assert [child.read_bytes() for child in tmp_path.iterdir()] == [b"the old one"] * exists


def test_written_files_have_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "usual").touch()
    write_image(Picture(random_pixels(2, 2, 3)), tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_mode == (tmp_path / "usual").stat().st_mode

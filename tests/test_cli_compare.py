"""`zoo compare`: the sheet, and what is refused before the work."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import skimage.data
from commands import files, run
from PIL import Image

import zoo
from zoo.commands.compare import row
from zoo.commands.parts import bicubic
from zoo.inference.upscaler import Upscaler
from zoo.sr.data.imresize import bicubic_upscale
from zoo.sr.measure.metrics import psnr_y


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    Image.fromarray(skimage.data.coffee()[:61, :82]).save(tmp_path / "in" / "a.png")
    Image.fromarray(skimage.data.camera()[:60, :80]).save(tmp_path / "in" / "b.png")
    return tmp_path / "in"


@pytest.mark.parametrize("shrink", [(), ("--shrink",)])
def test_a_sheet_has_a_row_for_each_picture_and_a_column_for_each_model(
    folder: Path, tiny_upscaler: Path, tmp_path: Path, shrink: tuple[str, ...]
) -> None:
    sheet = tmp_path / "sheet.png"
    models = ("-m", tiny_upscaler, "-m", "srresnet_x2")
    result = run("compare", folder, "-o", sheet, *models, *shrink)
    assert result.status == 0, result.stderr
    assert str(sheet) in result.stdout
    width, height = Image.open(sheet).size
    columns = 5 + len(shrink)  # photograph, low resolution, bicubic, two models, original
    assert round(width / 300) == columns
    assert round(height / 310) == 2


def test_a_row_shows_the_results_and_their_psnr() -> None:
    original = skimage.data.astronaut()[:120, :140]
    upscaler = Upscaler("srresnet_x2", precision="fp32")
    made = row(original, {"ours": upscaler}, 2, shrink=True)
    top, left, side = made.part
    small = zoo.sr.data.imresize.bicubic_downscale(original, 2)
    whole = {"bicubic": bicubic_upscale(small, 2), "ours": upscaler.array(small)}
    for title, image in (*whole.items(), ("original", original)):
        expected = image[2 * top : 2 * (top + side), 2 * left : 2 * (left + side)]
        np.testing.assert_array_equal(made.versions[title], expected)
    for title, image in whole.items():
        assert made.captions[title] == f"PSNR-Y {psnr_y(image, original, crop=2):.2f} dB"
    assert row(original, {"ours": upscaler}, 2, shrink=False).captions == {}


@pytest.mark.parametrize("part", [(0, 0, 9), (20, 31, 12), (51, 60, 9)])
def test_a_part_is_bicubic_as_the_whole(part: tuple[int, int, int]) -> None:
    small = skimage.data.astronaut()[:60, :69]
    top, left, side = (2 * number for number in part)
    expected = bicubic_upscale(small, 2)[top : top + side, left : left + side]
    np.testing.assert_array_equal(bicubic(small, part, 2), expected)


def test_what_can_not_be_compared_is_one_sentence(
    folder: Path, tiny_upscaler: Path, tmp_path: Path
) -> None:
    (tmp_path / "taken.png").touch()
    (folder / "c.png").write_text("no picture")
    before = files(tmp_path)
    for arguments, status, sentence in (
        (["a.png", "-m", "srresnet_x4"], 2, "enlarge by different factors"),
        (["a.png", "-m", "unet34"], 2, "no super-resolution model"),
        (["c.png"], 1, "c.png"),
        (["a.png", "-o", tmp_path / "taken.png"], 1, "--overwrite"),
        (["a.png", "-o", tmp_path / "sheet.doc"], 2, "doesn't write '.doc' files"),
    ):
        name, *rest = arguments
        options = ["-o", tmp_path / "sheet.png", "-m", tiny_upscaler, *rest]
        result = run("compare", folder / str(name), *options)
        assert result.status == status, result.stderr
        assert sentence in result.stderr
        assert len(result.stderr.splitlines()) == 1
    assert files(tmp_path) == before

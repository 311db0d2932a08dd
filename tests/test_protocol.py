"""The super-resolution protocol: imresize bit for bit, luma, PSNR and SSIM against references."""

from __future__ import annotations

from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from zoo.errors import DataError, InputError
from zoo.sr.data.imresize import bicubic_downscale, bicubic_upscale, imresize
from zoo.sr.measure.evaluate import evaluate, find_set
from zoo.sr.measure.metrics import psnr_rgb, psnr_y, rgb_to_y, ssim_y

rng = np.random.default_rng(0)


def exact_resize_line(line: list[int], size: int) -> list[int]:
    """MATLAB's bicubic resize of one line by its definition, in rational arithmetic."""
    scale = Fraction(size, len(line))
    stretch = max(Fraction(1), 1 / scale)

    def kernel(x: Fraction) -> Fraction:
        x = abs(x)
        if x <= 1:
            return Fraction(3, 2) * x**3 - Fraction(5, 2) * x**2 + 1
        return -(x**3) / 2 + Fraction(5, 2) * x**2 - 4 * x + 2 if x < 2 else Fraction(0)

    result = []
    for i in range(size):
        centre = (i + Fraction(1, 2)) / scale - Fraction(1, 2)
        weights = {k: kernel((centre - k) / stretch) for k in range(-20, len(line) + 20)}
        value = sum(w * line[min(max(k, 0), len(line) - 1)] for k, w in weights.items())
        value /= sum(weights.values())
        result.append(min(max(int((value + Fraction(1, 2)) // 1), 0), 255))
    return result


def exact_resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    rows = [exact_resize_line([int(v) for v in column], size[0]) for column in image.T]
    return np.array([exact_resize_line(list(line), size[1]) for line in zip(*rows, strict=True)])


@pytest.mark.parametrize(
    ("shape", "size"), [((12, 16), (6, 8)), ((12, 16), (3, 4)), ((9, 6), (3, 2)), ((5, 3), (10, 6))]
)
def test_imresize_equals_rational_arithmetic(shape: tuple[int, int], size: tuple[int, int]) -> None:
    image = rng.integers(0, 256, shape, dtype=np.uint8)
    assert np.array_equal(imresize(image, size), exact_resize(image, size))


def test_imresize_of_an_edge_by_hand() -> None:
    """The halved kernel's outer weights: 0.11328125, -0.03515625, -0.01171875."""
    line = np.array([[0] * 8 + [200] * 8], dtype=np.uint8)
    assert imresize(line, (1, 8)).tolist() == [[0, 0, 0, 13, 187, 202, 200, 200]]


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("name", ["Set5", "Set14"])
def test_low_resolution_files_are_reproduced(data: Path, name: str, scale: int) -> None:
    folder = data / "sr" / "benchmark" / name
    files = sorted((folder / f"LR_x{scale}").iterdir())
    assert len(files) == {"Set5": 5, "Set14": 14}[name]
    for file in files:
        original = np.asarray(Image.open(folder / file.name))
        published = np.asarray(Image.open(file))
        assert np.array_equal(bicubic_downscale(original, scale), published), file.name


@pytest.mark.parametrize(
    ("name", "scale", "rounded", "unrounded"),
    [
        ("Set5", 2, 33.64, 33.67), ("Set14", 2, 30.31, 30.33), ("B100", 2, 29.55, None),
        ("Set5", 4, 28.42, 28.43), ("Set14", 4, 26.09, 26.09), ("B100", 4, 25.96, None),
    ],
)  # fmt: skip
def test_bicubic_figures(
    data: Path, name: str, scale: int, rounded: float, unrounded: float | None
) -> None:
    folder = find_set(data / "sr", name)
    result = evaluate(lambda low: bicubic_upscale(low, scale), folder, scale=scale)
    assert result["psnr_y_rounded"] == pytest.approx(rounded, abs=0.01)
    assert result["psnr_y"] > result["psnr_y_rounded"]
    if unrounded is not None:
        assert result["psnr_y"] == pytest.approx(unrounded, abs=0.01)
    assert len(result["images"]) == {"Set5": 5, "Set14": 14, "B100": 100}[name]


def test_luma_by_hand() -> None:
    colours = np.array([[[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0]]], dtype=np.uint8)
    assert rgb_to_y(colours, rounded=True).tolist() == [[16, 235, 81, 145]]
    assert rgb_to_y(colours)[0].tolist() == pytest.approx([16, 235, 81.481, 144.553])


def test_grey_counts_as_equal_channels() -> None:
    grey = rng.integers(0, 256, (6, 7), dtype=np.uint8)
    assert np.array_equal(rgb_to_y(grey), rgb_to_y(np.dstack([grey] * 3)))


@pytest.mark.parametrize("shift", [0, 60])
def test_psnr_and_ssim_agree_with_scikit_image(shift: int) -> None:
    """Where the result is far brighter, SSIM's small constants count, too."""
    target = skimage.data.astronaut()[:120, :150] // (9 if shift else 1)
    result = np.clip(target + rng.normal(shift, 9, target.shape), 0, 255).astype(np.uint8)
    y, reference = rgb_to_y(result)[3:-3, 3:-3], rgb_to_y(target)[3:-3, 3:-3]
    psnr = peak_signal_noise_ratio(reference, y, data_range=255)
    ssim = structural_similarity(
        reference, y, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert psnr_y(result, target, crop=3) == pytest.approx(psnr)
    assert ssim_y(result, target, crop=3) == pytest.approx(ssim)
    assert psnr_rgb(result, target) == pytest.approx(peak_signal_noise_ratio(target, result))


def test_an_image_against_itself() -> None:
    image = rng.integers(0, 256, (13, 15, 3), dtype=np.uint8)
    with np.errstate(all="raise"):
        for crop in (0, 2, 6):
            assert psnr_y(image, image, crop=crop) == float("inf")
        assert psnr_rgb(image, image) == float("inf")
    assert ssim_y(image, image, crop=1) == pytest.approx(1)  # the least: 11 pixels are left


def test_a_set_is_measured_by_the_protocol(tmp_path: Path) -> None:
    """Cut to a multiple of the scale, `scale` pixels off each side, the mean over the images."""
    originals = {"a": skimage.data.astronaut()[:41, :47], "b": skimage.data.chelsea()[:36, :40]}
    for name, pixels in originals.items():
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")

    def enlarge(low: np.ndarray) -> np.ndarray:
        result = bicubic_upscale(low, 2)
        result[:2], result[:, -2:] = 0, 0  # wrong, but on the rim alone
        return result

    figures = evaluate(enlarge, tmp_path, scale=2)
    targets = {"a": originals["a"][:40, :46], "b": originals["b"]}
    measures = {
        "psnr_y": psnr_y,
        "psnr_y_rounded": partial(psnr_y, rounded=True),
        "ssim_y": ssim_y,
    }
    for metric, measure in measures.items():
        found = [figures["images"][name][metric] for name in "ab"]
        results = [bicubic_upscale(bicubic_downscale(targets[name], 2), 2) for name in "ab"]
        expected = [measure(r, targets[n], crop=2) for r, n in zip(results, "ab", strict=True)]
        assert found == pytest.approx(expected)
        assert figures[metric] == pytest.approx(sum(expected) / 2)

    (tmp_path / "LR_x2").mkdir()  # published files come before our own
    for name in "ab":
        low = np.zeros_like(bicubic_downscale(targets[name], 2))
        Image.fromarray(low).save(tmp_path / "LR_x2" / f"{name}.png")
    assert evaluate(enlarge, tmp_path, scale=2)["psnr_y"] < figures["psnr_y"] - 5


@pytest.mark.parametrize(
    ("files", "names"),
    [
        (("a.png", "b.png"), ["a", "b"]),
        (("a.bmp", "a.png", "b.png"), ["a.bmp", "a.png", "b.png"]),
        (("a.png", "a.b.png"), ["a", "a.b"]),
        (("a.bmp", "a.bmp.png", "a.png"), ["a.bmp", "a.bmp.png", "a.png"]),
    ],
)
def test_every_file_counts_whatever_its_name(
    tmp_path: Path, files: tuple[str, ...], names: list[str]
) -> None:
    for seed, file in enumerate(files):
        pixels = np.random.default_rng(seed).integers(0, 256, (32, 32, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / file)
    figures = evaluate(partial(bicubic_upscale, scale=2), tmp_path, scale=2)
    assert sorted(figures["images"]) == sorted(names)
    each = [row["psnr_y"] for row in figures["images"].values()]
    assert len(set(each)) == len(files)
    assert figures["psnr_y"] == pytest.approx(np.mean(each))


def test_a_set_is_found_in_the_two_places_that_the_message_names(tmp_path: Path) -> None:
    for place in ("Mine", "benchmark/Yours", "sr/benchmark/Theirs"):
        (tmp_path / place).mkdir(parents=True)
    assert find_set(tmp_path, "Mine") == tmp_path / "Mine"
    assert find_set(tmp_path, "Yours") == tmp_path / "benchmark" / "Yours"
    assert find_set(tmp_path, str(tmp_path / "Mine")) == tmp_path / "Mine"
    with pytest.raises(DataError, match="Theirs is in neither"):
        find_set(tmp_path, "Theirs")


def test_bad_input_is_one_sentence() -> None:
    grey = np.zeros((8, 8), np.uint8)
    with pytest.raises(InputError, match="not float64"):
        imresize(np.zeros((4, 4)), (2, 2))
    for shape, size in (((4, 4), (0, 2)), ((4, 0), (2, 2)), ((4, 4, 0), (2, 2))):
        with pytest.raises(InputError):
            imresize(np.zeros(shape, np.uint8), size)
    for wrong in (
        np.zeros((4, 4, 3)),
        np.zeros((1, 4, 4, 3), np.uint8),
        np.zeros((4, 4, 2), np.uint8),
    ):
        with pytest.raises(InputError, match="Luma is taken of uint8"):
            rgb_to_y(wrong)
    with pytest.raises(InputError, match="Sizes differ"):
        psnr_y(grey, grey[:4], crop=1)
    with pytest.raises(InputError, match="Nothing is left"):
        psnr_y(grey, grey, crop=4)
    with pytest.raises(InputError, match="SSIM needs 11 pixels"):
        ssim_y(grey, grey, crop=1)
    for other in (grey[:4], np.zeros((8, 8))):
        for pair in ((grey, other), (other, grey)):
            with pytest.raises(InputError, match="two uint8 images of one shape"):
                psnr_rgb(*pair)
    with pytest.raises(DataError, match="Set99"):
        find_set(Path("nowhere"), "Set99")

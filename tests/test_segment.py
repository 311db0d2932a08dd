"""zoo.segment: masks, overlays and cutouts of pictures of any kind and size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

import zoo
from zoo.errors import InputError, UnknownNameError
from zoo.inference.segmenter import Segmenter
from zoo.pictures.picture import Picture

Array = np.ndarray[Any, np.dtype[Any]]


class Reddish(nn.Module):
    """Foreground is where red exceeds green: `[N, 3, S, S]` to logits `[N, 1, S, S]`."""

    def forward(self, x: Tensor) -> Tensor:
        self.seen = x.shape
        return 20 * (x[:, :1] - x[:, 1:2])


class Bands(nn.Module):
    """Three classes by brightness."""

    def forward(self, x: Tensor) -> Tensor:
        grey = x.mean(1, keepdim=True)
        return torch.cat([0.4 - grey, torch.zeros_like(grey), grey - 0.7], dim=1)


class Flat(nn.Module):
    """The same logits everywhere."""

    def __init__(self, *logits: float) -> None:
        super().__init__()
        self.logits = torch.tensor(logits).view(1, -1, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.logits.float().expand(len(x), -1, *x.shape[2:])


def scene(height: int = 60, width: int = 90) -> Array:
    """A red rectangle, a quarter of the picture, in the middle of green."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 1] = 200
    pixels[height // 4 : -(height // 4), width // 4 : -(width // 4)] = (200, 0, 0)
    return pixels


def truth(pixels: Array) -> Array:
    return pixels[..., 0] > pixels[..., 1]


@pytest.mark.parametrize("shape", [(60, 90), (33, 32), (7, 200), (700, 520), (1, 1)])
def test_the_mask_has_the_size_of_the_picture(shape: tuple[int, int]) -> None:
    net = Reddish().eval()
    mask = zoo.segment(scene(*shape), net, precision="fp32", size=64)
    assert net.seen == (1, 3, 64, 64)
    assert mask.shape == shape
    assert mask.dtype == np.uint8
    assert set(np.unique(mask)) <= {0, 255}
    if min(shape) > 30:
        assert np.mean((mask > 0) == truth(scene(*shape))) > 0.93


def test_arrays_pictures_paths_and_tensors_agree(tmp_path: Path) -> None:
    pixels = scene()
    Image.fromarray(pixels).save(tmp_path / "scene.png")
    mask = zoo.segment(pixels, Reddish(), precision="fp32")
    for image in (tmp_path / "scene.png", Image.fromarray(pixels)):
        result = zoo.segment(image, Reddish(), precision="fp32")
        assert result.mode == "L"
        np.testing.assert_array_equal(np.asarray(result), mask)
    deep = zoo.segment(pixels.astype(np.uint16) * 257, Reddish(), precision="fp32")
    np.testing.assert_array_equal(deep, mask)
    alpha = np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])
    np.testing.assert_array_equal(zoo.segment(alpha, Reddish(), precision="fp32"), mask)
    tensor = torch.from_numpy(pixels).permute(2, 0, 1) / 255
    for given in (tensor, tensor.double(), torch.stack([tensor, tensor])):
        found = zoo.segment(given, Reddish(), precision="fp32")
        assert found.dtype == given.dtype
        assert found.shape == (*given.shape[:-3], 1, 60, 90)
        assert torch.equal(found.reshape(-1, 60, 90)[-1] * 255, torch.tensor(mask).to(found))


def test_grey_is_rgb_with_equal_channels() -> None:
    grey = np.random.default_rng(0).integers(0, 256, (40, 40), np.uint8)
    rgb = np.repeat(grey[..., None], 3, axis=2)
    np.testing.assert_array_equal(zoo.segment(grey, Bands()), zoo.segment(rgb, Bands()))


def test_several_classes_give_class_numbers() -> None:
    grey = np.repeat([[20, 140, 240]], 32, axis=0).repeat(32, axis=1).astype(np.uint8)
    mask = zoo.segment(grey, Bands(), precision="fp32", size=96)
    assert [mask[16, column] for column in (8, 48, 88)] == [0, 1, 2]
    cut = Segmenter(Bands(), size=96).picture(Picture(grey[..., None]), "cutout")
    assert cut.alpha[16, 8] < cut.alpha[16, 48]


def test_colours_are_grey_to_a_network_of_one_channel() -> None:
    net = Bands()
    net.in_chans = 1
    pixels = np.full((40, 40, 3), (0, 255, 0), np.uint8)  # luma 0.587: the class in the middle
    assert (zoo.segment(pixels, net, precision="fp32") == 1).all()
    assert (zoo.segment(pixels[..., :1], net, precision="fp32") == 0).all()
    seen = nn.Identity()
    seen.in_chans = 1
    for channel, luma in enumerate((0.299, 0.587, 0.114)):
        pixels = np.eye(3, dtype=np.uint8)[channel] * np.full((40, 40, 1), 255, np.uint8)
        logits = Segmenter(seen, size=40, precision="fp32").logits(pixels)
        torch.testing.assert_close(logits, torch.full((1, 40, 40), luma))
    net.in_chans = 5
    with pytest.raises(InputError, match="this network takes 5"):
        zoo.segment(pixels, net)


def test_a_network_of_four_channels_sees_transparency() -> None:
    seen = nn.Identity()
    seen.in_chans = 4
    segmenter = Segmenter(seen, size=40, precision="fp32")
    rgba = np.random.default_rng(0).integers(0, 256, (40, 40, 4), np.uint8)
    assert np.array_equal(segmenter.array(rgba), rgba.argmax(2))
    opaque = segmenter.array(rgba[..., :3])
    assert np.array_equal(opaque == 3, (rgba[..., :3] < 255).all(2))
    with pytest.raises(InputError, match="takes 4 channels, not 3"):
        segmenter.tensor(torch.rand(3, 40, 40))


def test_classes_that_no_mask_of_8_bits_holds_are_refused() -> None:
    class Many(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.arange(300.0).view(1, -1, 1, 1).expand(len(x), -1, *x.shape[2:])

    with pytest.raises(InputError, match="256 classes, not 300"):
        zoo.segment(scene(), Many())
    assert (zoo.segment(torch.rand(3, 40, 40), Many()) == 299).all()


def test_the_threshold_is_a_probability() -> None:
    net = Flat(np.log(0.7 / 0.3))
    assert zoo.segment(scene(), net, threshold=0.69, precision="fp32").all()
    assert not zoo.segment(scene(), net, threshold=0.71, precision="fp32").any()


def test_tta_averages_with_the_mirrored_picture() -> None:
    torch.manual_seed(0)
    net = nn.Conv2d(3, 1, 5, padding=2)
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    x = torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255
    with torch.no_grad():
        expected = (net(x) + net(x.flip(3)).flip(3)) / 2
    found = Segmenter(net, tta=True, size=64, precision="fp32").logits(pixels)
    torch.testing.assert_close(found[None], expected, rtol=1e-4, atol=1e-4)


def test_logits_come_back_bilinear() -> None:
    net = Reddish()
    found = Segmenter(net, size=64, precision="fp32").logits(scene(120, 200))
    square = F.interpolate(
        torch.from_numpy(scene(120, 200)).permute(2, 0, 1)[None] / 255,
        (64, 64),
        mode="bilinear",
        antialias=True,
    )
    expected = F.interpolate(net(square), (120, 200), mode="bilinear")
    torch.testing.assert_close(found[None], expected, rtol=1e-4, atol=1e-4)


def test_a_cutout_keeps_the_object_and_has_a_soft_edge() -> None:
    pixels = scene(120, 180)
    picture = Picture(pixels, icc_profile=b"profile", format="JPEG")
    cut = Segmenter(Reddish(), size=64, precision="fp32").picture(picture, "cutout")
    assert (cut.format, cut.icc_profile) == ("PNG", b"profile")
    assert cut.alpha[60, 90] == 255
    assert cut.alpha[5, 5] == 0
    assert ((cut.alpha > 0) & (cut.alpha < 255)).any()
    np.testing.assert_array_equal(cut.pixels[60, 90], pixels[60, 90])
    assert cut.pixels[5, 5, 0] > 100  # the object's red, not the background's green


@pytest.mark.parametrize(
    ("logits", "threshold", "opacity"),
    [
        ((0.0,), 0.5, 0.5),  # on the edge
        ((1.0,), 0.5, 0.75),
        ((-2.0,), 0.5, 0.0),
        ((2.0,), 0.5, 1.0),
        ((np.log(4),), 0.8, 0.5),  # the edge is where the probability is the threshold
        ((np.log(2), 0.0, 0.0), 0.5, 0.5),  # of several classes all but 0 count together
        ((0.0, 0.5, -30.0), 0.5, 0.625),
    ],
)
def test_a_cutouts_opacity_by_hand(
    logits: tuple[float, ...], threshold: float, opacity: float
) -> None:
    segmenter = Segmenter(Flat(*logits), threshold=threshold, size=32, precision="fp32")
    cut = segmenter.picture(Picture(scene()), "cutout")
    np.testing.assert_allclose(cut.alpha, 255 * opacity, atol=0.51)


def test_an_overlays_colours_by_hand() -> None:
    """Half of the picture, half of the class's colour; each class has its own."""
    pixels = np.full((40, 40, 3), 100, np.uint8)
    for logits, colour in (((0.0, 1.0, 0.0), (0, 158, 115)), ((0.0, 0.0, 1.0), (230, 159, 0))):
        over = Segmenter(Flat(*logits), size=32).picture(Picture(pixels), "overlay")
        assert (over.pixels == np.rint((100 + np.array(colour)) / 2)).all()


def test_a_cutout_of_a_cutout_stays_transparent() -> None:
    alpha = np.full((60, 90), 255, np.uint8)
    alpha[:, :45] = 0
    cut = Segmenter(Reddish(), size=64).picture(Picture(scene(), alpha), "cutout")
    assert not cut.alpha[:, :45].any()
    assert cut.alpha[30, 50] == 255


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
def test_an_overlay_tints_the_object_alone(dtype: type, channels: int) -> None:
    pixels = scene()[..., :channels].astype(dtype) * (np.iinfo(dtype).max // 255)
    net = Reddish() if channels == 3 else Bands()
    segmenter = Segmenter(net, size=64, precision="fp32")
    picture = Picture(pixels, icc_profile=b"profile", format="TIFF")
    over = segmenter.picture(picture, "overlay")
    assert over.pixels.shape == (60, 90, 3)
    assert (over.pixels.dtype, over.format) == (dtype, "TIFF")
    assert over.icc_profile == (b"profile" if channels == 3 else None)
    inside = segmenter.picture(picture).pixels[..., 0] > 0
    changed = (over.pixels != np.repeat(pixels, 3 // channels, axis=2)).any(axis=2)
    np.testing.assert_array_equal(changed, inside)


def test_a_named_network_without_weights_says_so() -> None:
    with pytest.raises(UnknownNameError, match="srresnet_lesson_x2 has no"):
        zoo.segment(scene(), "srresnet_lesson_x2")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"threshold": 1.0}, "threshold=1.0 is not a probability"),
        ({"size": 16}, "size=16 is no whole number of pixels from 32 up"),
        ({"size": 64.5}, "size=64.5 is no whole number"),
        ({"precision": "fp8"}, "precision='fp8' is none of"),
        ({"device": "gpu"}, "device='gpu' can't be used"),
    ],
)
def test_wrong_arguments_are_named(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        zoo.segment(scene(), Reddish(), **options)


def test_wrong_input_is_named() -> None:
    with pytest.raises(InputError, match="is a path, a PIL image, .* not a list"):
        zoo.segment([1], Reddish())
    with pytest.raises(InputError, match=r"uint8 or uint16 .*, not \[4, 4, 2\]"):
        zoo.segment(np.zeros((4, 4, 2), np.uint8), Reddish())
    with pytest.raises(InputError, match=r"lie in \[0, 255\] and should lie in \[0, 1\]"):
        zoo.segment(torch.tensor([0.0, 255]).expand(3, 4, 2), Reddish())
    with pytest.raises(InputError, match="NaN or infinity"):
        zoo.segment(torch.full((3, 4, 4), torch.nan), Reddish())
    with pytest.raises(InputError, match="1 or 3 channels"):
        zoo.segment(torch.zeros(2, 4, 4), Reddish())
    with pytest.raises(InputError, match="it enlarges pictures"):
        zoo.segment(scene(), zoo.create_model("srresnet_x2", width=8, depth=1))
    with pytest.raises(InputError, match=r"'cutuot' is none of .* Did you mean 'cutout'\?"):
        Segmenter(Reddish()).picture(Picture(scene()), "cutuot")

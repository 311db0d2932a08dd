"""zoo.upscale: types in are types out, whatever is asked for, and bad input is named."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import skimage.data
import torch
import torch.nn.functional as F
from PIL import Image

import zoo
from zoo.errors import ImageError, InputError, UnknownNameError, WeightsError
from zoo.inference.placement import load
from zoo.inference.upscaler import Upscaler
from zoo.pictures.files import write_image
from zoo.pictures.picture import Picture, to_pixels, to_tensor
from zoo.registry import WeightsMeta
from zoo.sr.networks.srresnet import SRResNet
from zoo.store.download import sha256_of
from zoo.store.state_dict import save_weights

CPU = torch.device("cpu")


@pytest.fixture
def net():
    torch.manual_seed(0)
    return zoo.create_model("srresnet_x2", width=8, depth=1).eval()


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (11, 14, 3), np.uint8)


def by_hand(net, pixels):
    """The whole picture, in fp32, without anything of zoo.upscale."""
    with torch.inference_mode():
        return to_pixels(net(to_tensor(pixels)[None])[0], pixels.dtype)


def test_array_in_array_out(net, pixels):
    result = zoo.upscale(pixels, net, precision="fp32", tile=5)
    assert result.dtype == np.uint8
    np.testing.assert_array_equal(result, by_hand(net, pixels))


@pytest.mark.parametrize("shape", [(9, 7), (9, 7, 1), (9, 7, 3), (9, 7, 4), (1, 1), (1, 1, 3)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_arrays_keep_their_form(net, shape, dtype):
    array = np.full(shape, np.iinfo(dtype).max // 2, dtype)
    result = zoo.upscale(array, net)
    assert result.dtype == dtype
    assert result.shape == (2 * shape[0], 2 * shape[1], *shape[2:])


def test_grey_is_the_mean_of_equal_channels(net):
    grey = np.random.default_rng(1).integers(0, 65536, (8, 9), np.uint16)
    as_rgb = np.repeat(grey[..., None], 3, axis=2)
    with torch.inference_mode():
        expected = net(to_tensor(as_rgb)[None])[0].mean(0, keepdim=True)
    result = zoo.upscale(grey, net, precision="fp32")
    np.testing.assert_array_equal(result, to_pixels(expected, np.uint16)[..., 0])


@pytest.mark.parametrize("shape", [(3, 6, 5), (2, 3, 6, 5), (1, 6, 5), (3, 1, 1)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_tensor_in_tensor_out(net, shape, dtype):
    tensor = torch.rand(shape).to(dtype).requires_grad_()
    result = zoo.upscale(tensor, net, precision="fp32")
    assert result.dtype == dtype
    assert result.shape == (*shape[:-2], 2 * shape[-2], 2 * shape[-1])
    assert not result.requires_grad
    assert not result.is_inference()  # fit for training
    rgb = tensor.detach().float().expand(*shape[:-3], 3, *shape[-2:])
    with torch.inference_mode():
        expected = net(rgb.reshape(-1, 3, *shape[-2:]))
    if shape[-3] == 1:
        expected = expected.mean(1, keepdim=True)
    expected = expected.clamp(0, 1).reshape(result.shape).to(dtype)
    torch.testing.assert_close(result, expected, rtol=0, atol=1e-5)


def test_path_and_pil_give_pil(net, pixels, tmp_path):
    file = tmp_path / "photo.png"
    Image.fromarray(pixels).save(file)
    for image in (file, str(file), Image.open(file)):
        result = zoo.upscale(image, net, precision="fp32")
        assert isinstance(result, Image.Image)
        np.testing.assert_array_equal(np.asarray(result), by_hand(net, pixels))


def test_picture_keeps_its_metadata(net, pixels):
    picture = Picture(pixels, icc_profile=b"profile", exif=b"exif", format="JPEG")
    result = Upscaler(net).picture(picture)
    assert (result.icc_profile, result.exif, result.format) == (b"profile", b"exif", "JPEG")


def test_transparency_has_no_halo_and_keeps_what_is_plain(net):
    """A white disc on transparent black: no black may leak in, and 0 and 255 must stay so."""
    y, x = np.mgrid[:40, :40] - 19.5
    alpha = np.where(x**2 + y**2 < 12**2, 255, 0).astype(np.uint8)
    image = np.dstack([alpha, alpha, alpha, alpha])
    white = zoo.upscale(np.full((40, 40, 3), 255, np.uint8), net, precision="fp32")
    result = zoo.upscale(image, net, precision="fp32", tile=11)
    np.testing.assert_array_equal(result[..., :3], white)
    wide = np.kron(alpha, np.ones((2, 2), np.uint8))
    inside = np.kron(np.where(x**2 + y**2 < 10**2, 1, 0), np.ones((2, 2))) > 0
    outside = np.kron(np.where(x**2 + y**2 > 14**2, 1, 0), np.ones((2, 2))) > 0
    assert (result[inside, 3] == 255).all()
    assert (result[outside, 3] == 0).all()
    assert (result[..., 3] != wide).any()  # the edge itself is the network's work


def test_tta_is_the_mean_of_eight(net, pixels):
    image = to_tensor(pixels)
    total = torch.zeros(3, 22, 28)
    with torch.inference_mode():
        for mirrored in (False, True):
            for turns in range(4):
                turned = image.flip(2) if mirrored else image
                large = net(turned.rot90(turns, (1, 2))[None])[0].rot90(-turns, (1, 2))
                total += large.flip(2) if mirrored else large
    result = zoo.upscale(image, net, tta=True, precision="fp32", tile=6)
    torch.testing.assert_close(result, (total / 8).clamp(0, 1), rtol=0, atol=1e-5)


def test_bf16_is_close_to_fp32(net):
    image = torch.rand(3, 24, 24)
    exact = zoo.upscale(image, net, precision="fp32")
    rough = zoo.upscale(image, net, precision="bf16")
    assert 0 < (rough - exact).abs().max() < 0.02


def test_a_module_gets_its_modes_back(net):
    net.train()
    net.body.eval()  # as a frozen part would be
    before = {name: module.training for name, module in net.named_modules()}
    state = copy.deepcopy(net.state_dict())
    zoo.upscale(torch.rand(3, 4, 4), net)
    assert {name: module.training for name, module in net.named_modules()} == before
    for key, value in net.state_dict().items():
        assert torch.equal(value, state[key])


def test_a_saved_folder_is_a_model(net, pixels, tmp_path):
    zoo.save_model(net, tmp_path / "mine")
    result = zoo.upscale(pixels, str(tmp_path / "mine"), precision="fp32")
    np.testing.assert_array_equal(result, by_hand(net, pixels))


def test_any_module_with_a_scale_will_do():
    net = torch.nn.Upsample(scale_factor=3, mode="nearest")
    net.scale = 3
    image = torch.rand(3, 4, 5)
    expected = image.repeat_interleave(3, 1).repeat_interleave(3, 2)
    torch.testing.assert_close(zoo.upscale(image, net), expected)
    with pytest.raises(InputError, match="halo"):
        zoo.upscale(image, net, tile=2)


def test_a_named_model_is_loaded_once(own_registry, monkeypatch, tmp_path):
    built = []

    @zoo.register_model(task="super-resolution")
    def tiny_for_test():
        built.append(1)
        return SRResNet(2, width=4, depth=1)

    file = tmp_path / "tiny.safetensors"
    save_weights(zoo.create_model("tiny_for_test").state_dict(), file)
    built.clear()
    monkeypatch.setattr("zoo.sources.PRETRAINED", tmp_path)
    meta = WeightsMeta(
        version=1, license="-", training_data="-", training_data_terms="-", recipe="-"
    )
    weights = zoo.Weights(
        name="tiny_for_test.one", file=file.name, sha256=sha256_of(file), size=1, meta=meta
    )
    zoo.register_weights(weights, default=True)
    image = torch.rand(3, 5, 5)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: zoo.upscale(image, "tiny_for_test"), range(8)))
    assert len(built) == 1
    assert all(torch.equal(result, results[0]) for result in results)
    assert load("tiny_for_test", CPU) is load("tiny_for_test", CPU)


@pytest.mark.parametrize(
    ("image", "sentence"),
    [
        (torch.full((3, 4, 4), torch.nan), "NaN or infinity"),
        (torch.tensor([0.5, torch.inf, 0.5]).view(3, 1, 1), "NaN or infinity"),
        (torch.tensor([torch.inf, 0.5, -torch.inf]).view(3, 1, 1), "NaN or infinity"),
        (torch.rand(3, 4, 4) * 255, "divide values of 0..255 by 255"),
        (torch.rand(2, 4, 4), r"1 or 3 channels.*\[2, 4, 4\]"),
        (torch.rand(4, 4), "1 or 3 channels"),
        (torch.rand(3, 0, 4), "at least one pixel"),
        (torch.randint(0, 255, (3, 4, 4), dtype=torch.uint8), "torch.uint8; divide"),
        (np.zeros((4, 4, 2), np.uint8), r"\[4, 4, 2\] of uint8"),
        (np.zeros((4, 4, 3), np.float32), "float32"),
        (np.zeros((0, 4, 3), np.uint8), r"\[0, 4, 3\]"),
        (b"bytes", "not a bytes"),
    ],
)
def test_bad_images_are_refused_in_one_sentence(net, image, sentence):
    with pytest.raises(InputError, match=sentence) as caught:
        zoo.upscale(image, net)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"tile": 0}, "tile=0"),
        ({"tile": "big"}, "tile='big'"),
        ({"precision": "bf61"}, "Did you mean 'bf16'"),
        ({"precision": "fp16", "device": "cpu"}, "needs a GPU"),
        ({"device": "tpu9"}, "can't be used on this machine"),
        ({"device": "cuda:99"}, "can't be used on this machine"),
    ],
)
def test_bad_options_are_refused_in_one_sentence(net, options, sentence):
    with pytest.raises(InputError, match=sentence):
        zoo.upscale(torch.rand(3, 4, 4), net, **options)


def test_bad_models_are_refused(tmp_path):
    with pytest.raises(UnknownNameError, match="Did you mean 'srresnet_x2'"):
        zoo.upscale(torch.rand(3, 4, 4), "srresnt_x2")
    with pytest.raises(WeightsError, match="config.json"):
        zoo.upscale(torch.rand(3, 4, 4), tmp_path / "missing")
    with pytest.raises(InputError, match="no super-resolution model"):
        zoo.upscale(torch.rand(3, 4, 4), torch.nn.Identity())

    with pytest.raises(InputError, match="not a NoneType"):
        zoo.upscale(torch.rand(3, 4, 4), None)


def photo() -> torch.Tensor:
    return to_tensor(skimage.data.astronaut()[:64, :64])


@pytest.mark.parametrize(
    "shift",
    [
        lambda x: 2 * x - 1,
        lambda x: (x - 0.5) / 0.5,
        lambda x: (x - 0.45) / 0.225,  # about ImageNet's
        lambda x: x - x.mean(),
        lambda x: 0.4 * (2 * x - 1),  # of little contrast
        lambda x: 255 * x,
        lambda x: x.where(x < 0.5, -x),
    ],
)
@pytest.mark.parametrize("batch", [False, True])
def test_values_of_another_range_are_refused(net, shift, batch):
    image = shift(photo())
    if batch:  # one wrong image among right ones
        image = torch.stack([photo(), image, photo()])
    for act, model in ((zoo.upscale, net), (zoo.segment, torch.nn.Conv2d(3, 1, 1))):
        with pytest.raises(InputError, match=r"lie in \[.*\] and should lie in \[0, 1\]"):
            act(image, model)


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("factor", [0.5, 1.5, 2, 3])
@pytest.mark.parametrize("picture", ["photo", "noise", "black and white"])
def test_overshoots_of_resampling_pass(net, picture, factor, antialias):
    torch.manual_seed(0)
    noise = torch.rand(3, 64, 64)
    image = {"photo": photo(), "noise": noise, "black and white": (noise > 0.8).float()}[picture]
    resampled = F.interpolate(image[None], scale_factor=factor, mode="bicubic", antialias=antialias)
    result = zoo.upscale(resampled, net, precision="fp32")
    assert 0 <= float(result.min()) <= float(result.max()) <= 1


def test_a_module_in_half_precision_runs_at_fp32():
    net = zoo.create_model("srresnet_x2", width=8, depth=1).eval()
    x = torch.rand(3, 9, 9)
    wanted = zoo.upscale(x, net, precision="fp32")
    result = zoo.upscale(x, net.bfloat16(), precision="fp32")
    torch.testing.assert_close(result, wanted, atol=0.03, rtol=0)


def test_16_bits_in_colour_are_refused_before_the_work(tmp_path):
    picture = Picture(np.zeros((8, 8, 3), np.uint16))
    write_image(picture, tmp_path / "deep.png")

    class Idle(torch.nn.Module):
        scale = 2

        def forward(self, x):
            raise AssertionError("it ran")

    with pytest.raises(ImageError, match="no mode for 16 bits .* takes a uint16 array"):
        zoo.upscale(tmp_path / "deep.png", Idle())


def test_progress_ends_at_one(net):
    for image in (torch.rand(2, 3, 9, 9), np.zeros((9, 9, 4), np.uint8)):
        shares = []
        zoo.upscale(image, net, tile=5, progress=shares.append)
        assert shares == sorted(shares)
        assert len(shares) == 8
        assert shares[-1] == 1


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_grey_stored_as_rgb_stays_grey(net, dtype):
    full = np.iinfo(dtype).max
    grey = np.random.default_rng(0).integers(0, full, (9, 11, 1)).astype(dtype)
    rgb = grey.repeat(3, axis=2)
    alpha = np.full((9, 11), full, dtype)
    upscaler = Upscaler(net, tile=4)
    results = [
        upscaler.array(rgb),
        upscaler.array(np.dstack([rgb, alpha]))[..., :3],
        upscaler.picture(Picture(rgb, alpha)).pixels,
        to_pixels(upscaler.tensor(to_tensor(rgb)), dtype),
    ]
    for result in results:
        np.testing.assert_array_equal(result, upscaler.array(grey).repeat(3, axis=2))
    rgb[4, 4, 2] ^= 1  # one pixel with a colour: then it is a colour photograph
    red, _, blue = upscaler.array(rgb).transpose(2, 0, 1)
    assert (red != blue).any()

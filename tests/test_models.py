"""What every registered model must do; a new model gets these tests by being registered.

The images of most tests, 33 × 40 pixels, suit both tasks and divide by nothing.
"""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from conftest import TINY_OPTIONS
from torch import nn

import zoo
from zoo.errors import InputError
from zoo.registry import get_model

SIZES = {
    "super-resolution": [(1, 1), (1, 9), (7, 12), (33, 20)],
    "segmentation": [(32, 32), (33, 47), (64, 97), (97, 32)],
}
SEGMENTATION = zoo.list_models(task="segmentation")


def image(*size: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(size, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def halo_model(model_name: str, tiny_model: zoo.ZooModel) -> zoo.ZooModel:
    """Every model whose results can be made in tiles."""
    if get_model(model_name).task != "super-resolution":
        pytest.skip("sees the whole image")
    return tiny_model


def test_any_size_in_its_size_out(model_name: str, tiny_model: zoo.ZooModel) -> None:
    scale = getattr(tiny_model, "scale", 1)
    channels = getattr(tiny_model, "classes", 3)
    for height, width in SIZES[get_model(model_name).task]:
        with torch.no_grad():
            result = tiny_model(image(2, 3, height, width))
        assert result.shape == (2, channels, height * scale, width * scale)
        assert result.isfinite().all()


@pytest.mark.parametrize(("classes", "in_chans"), [(4, 1), (1, 5), (4, 3)])
@pytest.mark.parametrize("name", SEGMENTATION)
def test_classes_and_channels(name: str, classes: int, in_chans: int) -> None:
    options = {**TINY_OPTIONS.get(name, {}), "classes": classes, "in_chans": in_chans}
    model = zoo.create_model(name, **options)
    for batch in (2, 3):
        assert model(image(batch, in_chans, 32, 41)).shape == (batch, classes, 32, 41)
    assert model.eval()(image(1, in_chans, 32, 41)).shape == (1, classes, 32, 41)


@pytest.mark.parametrize(
    "x",
    [
        torch.zeros(1, 3, 40, 40, dtype=torch.uint8),
        torch.zeros(3, 40, 40),
        torch.zeros(1, 1, 40, 40),
        torch.zeros(1, 4, 40, 40),
    ],
    ids=["bytes", "no batch", "grey", "alpha"],
)
def test_what_is_no_batch_of_images_is_refused(tiny_model: zoo.ZooModel, x: torch.Tensor) -> None:
    with pytest.raises(InputError, match=r"takes float images \[N, 3, H, W\] in \[0, 1\], not "):
        tiny_model(x)


def test_a_batch_is_its_images(tiny_model: zoo.ZooModel) -> None:
    batch = image(3, 3, 33, 40)
    with torch.no_grad():
        together = tiny_model(batch)
        alone = torch.cat([tiny_model(x[None]) for x in batch])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)


def test_gradients_reach_every_parameter(tiny_model: zoo.ZooModel) -> None:
    tiny_model.train()
    with torch.no_grad():
        for parameter in tiny_model.parameters():
            if not parameter.any():  # some branches start switched off, by a gain of zero
                parameter.fill_(0.1)
    tiny_model(image(2, 3, 33, 40)).square().mean().backward()
    unreached = [n for n, p in tiny_model.named_parameters() if p.grad is None or not p.grad.any()]
    assert unreached == []


def test_saved_and_loaded_it_is_the_same(tiny_model: zoo.ZooModel, tmp_path: Path) -> None:
    zoo.save_model(tiny_model, tmp_path)
    x = image(1, 3, 33, 40)
    with torch.no_grad():
        assert torch.equal(zoo.load_model(tmp_path)(x), tiny_model(x))


def test_a_copy_is_equal_and_independent(tiny_model: zoo.ZooModel) -> None:
    x = image(1, 3, 33, 40)
    with torch.no_grad():
        before = tiny_model(x)
        other = copy.deepcopy(tiny_model)
        assert torch.equal(other(x), before)
        for parameter in other.parameters():
            parameter.zero_()
        assert torch.equal(tiny_model(x), before)
        assert not torch.equal(other(x), before)


def test_two_threads_share_it(tiny_model: zoo.ZooModel) -> None:
    images = [image(1, 3, 33 + i, 40, seed=i) for i in range(6)]
    with torch.no_grad():
        expected = [tiny_model(x) for x in images]
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(torch.no_grad()(tiny_model), images))
    assert all(torch.equal(a, b) for a, b in zip(results, expected, strict=True))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_runs_in_data_parallel(tiny_model: zoo.ZooModel) -> None:
    model = tiny_model.cuda()
    x = image(4, 3, 33, 40).cuda()
    parallel = nn.DataParallel(model, device_ids=[0, 0])  # two replicas, on one GPU if need be
    with torch.no_grad():
        torch.testing.assert_close(parallel(x), model(x), atol=1e-3, rtol=1e-3)


def test_bf16_stays_near_fp32(tiny_model: zoo.ZooModel) -> None:
    """Near by the measure of what the weights make of the image, not of the image itself."""
    x, silent = image(1, 3, 33, 40), copy.deepcopy(tiny_model)
    with torch.no_grad():
        for parameter in silent.parameters():
            parameter.zero_()
        exact, skip = tiny_model(x), silent(x)
        with torch.autocast("cpu", torch.bfloat16):
            half = tiny_model(x)
    error, made = (half.float() - exact).abs().mean(), exact - skip
    assert error < 0.01 * made.abs().max()
    assert made.std((2, 3)).mean() > 5 * error  # more than a constant


def test_its_halo_is_all_that_a_pixel_sees(halo_model: zoo.ZooModel) -> None:
    """The gradient of one output pixel is zero beyond the halo: tiles with it are exact."""
    halo, scale = halo_model.halo, halo_model.scale
    size = 2 * halo + 5
    x = image(1, 3, size, size).double().requires_grad_()
    row = (halo + 2) * scale  # first of the output pixels in the middle
    halo_model.double()(x)[0, :, row, row].sum().backward()
    seen = x.grad.abs().sum((0, 1)).nonzero() - (halo + 2)
    assert seen.abs().max() <= halo


@pytest.mark.slow
def test_compiles_whole(tiny_model: zoo.ZooModel) -> None:
    x = image(1, 3, 33, 40)
    with torch.no_grad():
        compiled = torch.compile(tiny_model, fullgraph=True)(x)
        torch.testing.assert_close(compiled, tiny_model(x), atol=1e-5, rtol=1e-4)

"""What every registered model must do; a new model gets these tests by being registered."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch

import zoo


def image(*size: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(size, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 12), (33, 20)])
def test_any_size_in_scaled_size_out(tiny_model: zoo.ZooModel, size: tuple[int, int]) -> None:
    with torch.no_grad():
        result = tiny_model(image(2, 3, *size))
    assert result.shape == (2, 3, size[0] * tiny_model.scale, size[1] * tiny_model.scale)
    assert result.isfinite().all()


def test_a_batch_is_its_images(tiny_model: zoo.ZooModel) -> None:
    batch = image(3, 3, 11, 8)
    with torch.no_grad():
        together = tiny_model(batch)
        alone = torch.cat([tiny_model(x[None]) for x in batch])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)


def test_gradients_reach_every_parameter(tiny_model: zoo.ZooModel) -> None:
    tiny_model.train()
    tiny_model(image(2, 3, 9, 10)).square().mean().backward()
    unreached = [n for n, p in tiny_model.named_parameters() if p.grad is None or not p.grad.any()]
    assert unreached == []


def test_saved_and_loaded_it_is_the_same(tiny_model: zoo.ZooModel, tmp_path: Path) -> None:
    zoo.save_model(tiny_model, tmp_path)
    x = image(1, 3, 9, 10)
    with torch.no_grad():
        assert torch.equal(zoo.load_model(tmp_path)(x), tiny_model(x))


def test_a_copy_is_equal_and_independent(tiny_model: zoo.ZooModel) -> None:
    x = image(1, 3, 9, 10)
    with torch.no_grad():
        before = tiny_model(x)
        other = copy.deepcopy(tiny_model)
        for parameter in other.parameters():
            parameter.zero_()
        assert torch.equal(tiny_model(x), before)
        assert not torch.equal(other(x), before)


def test_bf16_stays_near_fp32(tiny_model: zoo.ZooModel) -> None:
    x = image(1, 3, 24, 24)
    with torch.no_grad():
        exact = tiny_model(x)
        with torch.autocast("cpu", torch.bfloat16):
            half = tiny_model(x)
    assert (half.float() - exact).abs().mean() < 0.02 * exact.abs().max()


def test_its_halo_is_all_that_a_pixel_sees(tiny_model: zoo.ZooModel) -> None:
    """The gradient of one output pixel is zero beyond the halo: tiles with it are exact."""
    halo, scale = tiny_model.halo, tiny_model.scale
    size = 2 * halo + 5
    x = image(1, 3, size, size).double().requires_grad_()
    row = (halo + 2) * scale  # first of the output pixels in the middle
    tiny_model.double()(x)[0, :, row, row].sum().backward()
    seen = x.grad.abs().sum((0, 1)).nonzero() - (halo + 2)
    assert seen.abs().max() <= halo


def test_exports(tiny_model: zoo.ZooModel) -> None:
    """torch.export with free height, width and batch gives the same figures at another size."""
    dim = torch.export.Dim.DYNAMIC
    exported = torch.export.export(
        tiny_model, (image(2, 3, 16, 18),), dynamic_shapes=({0: dim, 2: dim, 3: dim},)
    )
    x = image(3, 3, 13, 21)
    with torch.no_grad():
        torch.testing.assert_close(exported.module()(x), tiny_model(x), atol=1e-5, rtol=1e-4)


@pytest.mark.slow
def test_compiles_whole(tiny_model: zoo.ZooModel) -> None:
    x = image(1, 3, 12, 15)
    with torch.no_grad():
        compiled = torch.compile(tiny_model, fullgraph=True)(x)
        torch.testing.assert_close(compiled, tiny_model(x), atol=1e-5, rtol=1e-4)

"""Half precision that overflows and memory that runs out cost time, not the result."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pictures import smooth_pixels
from torch import Tensor, nn

import zoo
from zoo.errors import InputError
from zoo.inference.segmenter import Segmenter
from zoo.inference.upscaler import Upscaler

PIXELS = smooth_pixels(70, 90)


class Identity(nn.Module):
    """Gives the image back by way of values that float16 can't hold."""

    halo = 1
    peak_floats = 6

    def __init__(self, factor: float = 1e6) -> None:
        super().__init__()
        self.up, self.down = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 1)
        for conv, weight in ((self.up, factor), (self.down, 1 / factor)):
            nn.init.zeros_(conv.weight)
            nn.init.zeros_(conv.bias)
            middle = conv.kernel_size[0] // 2
            with torch.no_grad():
                conv.weight[range(3), range(3), middle, middle] = weight

    def forward(self, x: Tensor) -> Tensor:
        return self.down(self.up(x))


class Enlarger(Identity):
    scale = 1


class Greedy(Enlarger):
    """Asks for more memory than any machine has if an image has more than `most` pixels."""

    def __init__(self, most: int) -> None:
        super().__init__(factor=1.0)
        self.most = most
        self.seen: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x.shape[-1] * x.shape[-2])
        if self.seen[-1] > self.most:
            torch.empty(2**60, dtype=torch.uint8)
        return super().forward(x)


def test_an_overflow_is_told_once_and_computed_in_fp32(caplog: pytest.LogCaptureFixture) -> None:
    upscaler = Upscaler(Enlarger(), tile=32)
    upscaler.dtype = torch.float16  # which no CPU picks; autocast computes in it all the same
    for _ in range(2):
        np.testing.assert_array_equal(upscaler.array(PIXELS), PIXELS)
    assert [record.message for record in caplog.records] == [
        "The model's results in float16 are no numbers: it goes on in float32, slower."
    ]


def test_segmentation_goes_on_in_fp32_too(caplog: pytest.LogCaptureFixture) -> None:
    segmenter = Segmenter(Identity(), size=64, precision="fp32")
    expected = segmenter.logits(PIXELS)
    segmenter.dtype = torch.float16
    for _ in range(2):
        torch.testing.assert_close(segmenter.logits(PIXELS), expected)
    assert len(caplog.records) == 1


@pytest.mark.parametrize("task", ["upscale", "segment"])
def test_weights_that_are_no_numbers_are_refused(task: str) -> None:
    model = zoo.create_model({"upscale": "srresnet_x2", "segment": "simple_up34"}[task])
    with torch.no_grad():
        next(model.parameters()).fill_(torch.nan)
    with pytest.raises(InputError, match="are no numbers: its weights are damaged"):
        getattr(zoo, task)(PIXELS, model=model)


@pytest.mark.parametrize("tile", ["auto", 64, None])
def test_tiles_are_halved_until_they_fit(
    tile: int | str | None, caplog: pytest.LogCaptureFixture
) -> None:
    model = Greedy(most=1500).eval()
    upscaler = Upscaler(model, tile=tile, precision="fp32")
    np.testing.assert_array_equal(upscaler.array(PIXELS), PIXELS)
    assert caplog.records
    assert all("exceed the memory of cpu" in record.message for record in caplog.records)
    count, failures = len(caplog.records), sum(seen > model.most for seen in model.seen)
    assert failures == count
    np.testing.assert_array_equal(upscaler.array(PIXELS), PIXELS)
    assert sum(seen > model.most for seen in model.seen) == failures  # it has learnt


def test_a_device_too_small_for_any_tile_is_one_sentence() -> None:
    with pytest.raises(InputError, match=r"The memory of cpu does not suffice for tiles of 32 pix"):
        zoo.upscale(PIXELS, model=Greedy(most=100))


def test_without_tiles_it_is_one_sentence() -> None:
    class Whole(nn.Module):
        scale = 1

        def forward(self, x: Tensor) -> Tensor:
            raise torch.OutOfMemoryError("CUDA out of memory.")

    with pytest.raises(InputError, match="does not suffice for the picture at once"):
        zoo.upscale(PIXELS, model=Whole())


def test_a_square_too_large_names_the_way_out() -> None:
    class Hungry(Identity):
        def forward(self, x: Tensor) -> Tensor:
            raise torch.OutOfMemoryError("CUDA out of memory.")

    with pytest.raises(InputError, match=r"a square of 96 pixels; size= \(--size\) makes"):
        zoo.segment(PIXELS, model=Hungry(), size=96)


@pytest.mark.parametrize("task", ["upscale", "segment"])
def test_other_errors_of_torch_stay_what_they_are(task: str) -> None:
    class Wrong(Enlarger if task == "upscale" else Identity):
        def forward(self, x: Tensor) -> Tensor:
            return x @ torch.ones(1, 1)

    with pytest.raises(RuntimeError, match="Expected size"):
        getattr(zoo, task)(PIXELS, model=Wrong())

"""A picture of predicted masks: images side by side with the real and the predicted outlines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from zoo.pictures.comparison import lay_out
from zoo.seg.measure.metrics import boundary

REAL, PREDICTED, BOTH = (0, 220, 90), (255, 30, 60), (255, 210, 0)  # RGB


class Prediction(NamedTuple):
    """An image `[H, W, 3]` uint8 with its real and its predicted mask `[H, W]`, 0 = background."""

    image: NDArray[np.uint8]
    real: NDArray[Any]
    predicted: NDArray[Any]
    caption: str


def draw(predictions: Sequence[Prediction]) -> Image.Image:
    """Lay the images out in a row, with a caption under each; RGB."""
    return lay_out(
        [[Image.fromarray(outlined(prediction)) for prediction in predictions]],
        captions=[[prediction.caption for prediction in predictions]],
        note="outlines: real in green, predicted in red, both in yellow",
    )


def outlined(prediction: Prediction) -> NDArray[np.uint8]:
    """The image with the boundaries of both masks on it, one pixel wide."""
    image = np.array(prediction.image)
    real, predicted = (edges(mask) for mask in (prediction.real, prediction.predicted))
    image[real] = REAL
    image[predicted] = PREDICTED
    image[real & predicted] = BOTH
    return image


def edges(mask: NDArray[Any]) -> NDArray[np.bool_]:
    """Boundary pixels `[H, W]`, bool, of all that isn't background."""
    plane = torch.from_numpy(np.asarray(mask != 0))[None, None]
    return np.asarray(boundary(plane)[0, 0])

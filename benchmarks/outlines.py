"""A picture of predictions: images side by side, the real and the predicted outline on each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from zoo.seg.measure.metrics import boundary

REAL, PREDICTED, BOTH = (0, 220, 90), (255, 30, 60), (255, 210, 0)  # RGB
GAP, FOOT = 12, 34  # pixels


class Prediction(NamedTuple):
    """An image `[H, W, 3]` uint8 with its real and its predicted mask `[H, W]`, 0 = background."""

    image: NDArray[np.uint8]
    real: NDArray[Any]
    predicted: NDArray[Any]
    caption: str


def draw(predictions: Sequence[Prediction]) -> Image.Image:
    """The images in a row, with a caption under each and the colours explained; RGB."""
    panels = [Image.fromarray(outlined(prediction)) for prediction in predictions]
    width = sum(panel.width for panel in panels) + GAP * (len(panels) + 1)
    height = max(panel.height for panel in panels) + 2 * FOOT + GAP
    canvas = Image.new("RGB", (width, height), "white")
    pen, font = ImageDraw.Draw(canvas), ImageFont.load_default(15)
    x = GAP
    for panel, prediction in zip(panels, predictions, strict=True):
        canvas.paste(panel, (x, GAP))
        pen.text((x, GAP + panel.height + 6), prediction.caption, "black", font)
        x += panel.width + GAP
    x = GAP
    for text, colour in (("real", REAL), ("predicted", PREDICTED), ("both", BOTH)):
        pen.rectangle((x, height - 24, x + 14, height - 10), colour)
        pen.text((x + 20, height - 26), text, "black", font)
        x += 110
    return canvas


def outlined(prediction: Prediction) -> NDArray[np.uint8]:
    """The image with the boundaries of both masks on it, one pixel wide."""
    image = np.array(prediction.image)
    real, predicted = (edges(mask) for mask in (prediction.real, prediction.predicted))
    image[real] = REAL
    image[predicted] = PREDICTED
    image[real & predicted] = BOTH
    return image


def edges(mask: NDArray[Any]) -> NDArray[np.bool_]:
    """Boundary pixels `[H, W]` of what isn't background."""
    plane = torch.from_numpy(np.asarray(mask != 0))[None, None]
    return np.asarray(boundary(plane)[0, 0])

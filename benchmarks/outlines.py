"""A picture of predicted masks: images side by side with the real and the predicted outlines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from zoo.inference.segmenter import Segmenter
from zoo.pictures.comparison import lay_out
from zoo.seg.data.folders import Pair
from zoo.seg.data.pairs import Reading
from zoo.seg.measure.evaluate import load_at
from zoo.seg.measure.metrics import boundary

REAL, PREDICTED, BOTH = (0, 220, 90), (255, 30, 60), (255, 210, 0)  # RGB


class Prediction(NamedTuple):
    """An image `[H, W, 3]` uint8 with its real and its predicted mask `[H, W]`, 0 = background."""

    image: NDArray[np.uint8]
    real: NDArray[Any]
    predicted: NDArray[Any]
    caption: str


def extremes(
    segmenter: Segmenter, pairs: Sequence[Pair], figures: dict[str, Any], reading: Reading
) -> Image.Image:
    """A picture of the worst, the median and the best image by Dice.

    figures: what `evaluate` returns for the pairs.
    """
    ranked = sorted(pairs, key=lambda pair: figures["images"][pair.name]["dice"])
    chosen = {"worst": ranked[0], "median": ranked[len(ranked) // 2], "best": ranked[-1]}
    panels = []
    for title, pair in chosen.items():
        image, mask = load_at(pair, segmenter.size, reading)
        logits = segmenter.logits(image).cpu().numpy()
        found = logits.argmax(0) if reading.classes > 1 else logits[0] > 0
        real = np.where(mask == reading.void, 0, mask)
        shown = image[..., :3] if reading.channels > 2 else image[..., :1].repeat(3, axis=2)
        caption = f"{title}: {pair.name}, dice {figures['images'][pair.name]['dice']:.4f}"
        panels.append(Prediction(shown, real, found, caption))
    return draw(panels)


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

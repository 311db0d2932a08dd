"""Comparison pictures: a row per photograph, a column per method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from zoo.pictures.picture import Array

Part = tuple[int, int, int]  # top, left, side of a square, in pixels

PANEL, GAP, MARGIN = 288, 12, 28  # pixels
_WHITE, _INK, _GREY = "#ffffff", "#1c1e21", "#6b7078"


@dataclass(frozen=True)
class Row:
    """A photograph and one part of it, enlarged in several ways.

    photograph: uint8 RGB `[H, W, 3]`, shown whole, with the part marked.
    part: in pixels of the photograph.
    versions: column title -> the part, uint8 RGB `[S, S, 3]`; the same titles in all rows. A
        version smaller than the largest is drawn with square pixels.
    captions: column title -> one short line.
    """

    photograph: Array
    part: Part
    versions: dict[str, Array]
    captions: dict[str, str] = field(default_factory=dict)


def draw(rows: list[Row]) -> Image.Image:
    """Draw a comparison with a row for each photograph, as an RGB image."""
    panels, captions = [], []
    for row in rows:
        finest = max(map(len, row.versions.values()))
        zoomed = [_zoom(part, smooth=len(part) == finest) for part in row.versions.values()]
        panels.append([_whole(row), *zoomed])
        captions.append(["", *(row.captions.get(title, "") for title in row.versions)])
    return lay_out(panels, titles=["", *rows[0].versions], captions=captions)


def lay_out(
    panels: Sequence[Sequence[Image.Image]],
    *,
    titles: Sequence[str] = (),
    captions: Sequence[Sequence[str]],
    note: str = "",
) -> Image.Image:
    """Draw a grid of images, each centred in a cell of the largest size, as an RGB image.

    panels: rows of images.
    titles: one above each column, or none.
    captions: one below each image, of any number of lines.
    note: a line at the bottom.
    """
    side_x = max(panel.width for row in panels for panel in row)
    side_y = max(panel.height for row in panels for panel in row)
    lines = max(caption.count("\n") + 1 for row in captions for caption in row)
    head, foot = (40 if titles else 0), 14 + 20 * lines
    width = 2 * MARGIN + max(map(len, panels)) * (side_x + GAP) - GAP
    height = 2 * MARGIN - GAP + head + len(panels) * (side_y + foot) + (30 if note else 0)
    canvas = Image.new("RGB", (width, height), _WHITE)
    pen = ImageDraw.Draw(canvas)
    title_font, caption_font = ImageFont.load_default(19), ImageFont.load_default(15)
    for column, title in enumerate(titles):
        middle = MARGIN + column * (side_x + GAP) + side_x / 2
        pen.text((middle, MARGIN), title, _INK, title_font, anchor="ma")
    for index, row in enumerate(panels):
        y = MARGIN + head + index * (side_y + foot)
        for column, panel in enumerate(row):
            x = MARGIN + column * (side_x + GAP)
            place = x + (side_x - panel.width) // 2, y + (side_y - panel.height) // 2
            canvas.paste(panel, place)
            caption = captions[index][column]
            below = x + side_x / 2, y + side_y + 5
            pen.text(below, caption, _GREY, caption_font, anchor="ma", align="center")
    pen.text((MARGIN, height - MARGIN - 12), note, _GREY, caption_font)
    return canvas


def busiest(photograph: Array, side: int) -> Part:
    """Return the square of at most `side` pixels with the strongest edges: methods differ there.

    photograph: `[H, W, C]`.
    """
    height, width = photograph.shape[:2]
    side = min(side, height, width)
    grey = photograph.mean(axis=2)
    steps = np.zeros((height + 1, width + 1))
    steps[2:, 1:] += np.abs(np.diff(grey, axis=0))
    steps[1:, 2:] += np.abs(np.diff(grey, axis=1))
    total = steps.cumsum(0).cumsum(1)
    sums = total[side:, side:] - total[:-side, side:] - total[side:, :-side] + total[:-side, :-side]
    top, left = np.unravel_index(sums.argmax(), sums.shape)
    return int(top), int(left), side


def _whole(row: Row) -> Image.Image:
    top, left, side = row.part
    image = Image.fromarray(row.photograph)
    factor = PANEL / max(image.size)
    size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    image = image.resize(size, Image.Resampling.LANCZOS)
    corners = [edge * factor for edge in (left, top, left + side - 1, top + side - 1)]
    for colour, thickness in (("black", 4), ("white", 2)):  # visible on any background
        ImageDraw.Draw(image).rectangle(corners, None, colour, thickness)
    return image


def _zoom(version: Array, *, smooth: bool) -> Image.Image:
    smooth = smooth and PANEL % len(version) != 0  # a whole factor needs no filter
    method = Image.Resampling.LANCZOS if smooth else Image.Resampling.NEAREST
    return Image.fromarray(version).resize((PANEL, PANEL), method)

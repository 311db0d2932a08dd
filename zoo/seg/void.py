"""Void pixels: they have no class and count neither in the loss nor in the metrics."""

from __future__ import annotations

VOID = 255  # in Pascal VOC, Cityscapes, ADE20K and others


def void_label(classes: int, ignore_index: int | None = None) -> int | None:
    """The number that marks void pixels in a mask; None if no number does.

    This is `ignore_index` or, where that is None, 255 for 2 to 255 classes. With one class 255
    usually is the object; with more than 255 classes it is one of them.
    """
    if ignore_index is not None:
        return ignore_index
    return VOID if 1 < classes <= VOID else None

"""Masks whose values are no classes: what they hold, and which option would take them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from zoo.errors import DataError
from zoo.seg.void import VOID


class MaskValuesError(DataError):
    """A mask with values that are no classes.

    Args:
        file: the mask.
        levels: its values, ascending.
        classes: of the network.

    `fact` is the message without the cure, `levels` has at most 256 values.
    """

    def __init__(self, file: Path, levels: Sequence[float], classes: int) -> None:
        self.levels = [*levels[:255], *levels[255:][-1:]]
        named = ", ".join(f"{value:g}" for value in levels[:8])
        more = f" and {len(levels) - 8} more" if len(levels) > 8 else ""
        accepted = "0 and 1, or 0 and 255" if classes == 1 else f"the classes 0 to {classes - 1}"
        self.fact = f"{file} holds the values {named}{more}; a mask here holds {accepted}."
        super().__init__(" ".join(filter(None, [self.fact, cure(self.levels, classes)])))


def cure(levels: Collection[float], classes: int) -> str:
    """A sentence on the option that takes masks with these values, "" if none does."""
    numbers = {level for level in levels if level != VOID}
    low, high = min(numbers, default=0), max(numbers, default=0)
    if classes == 1 and numbers <= {0, 1}:
        return "If 255 marks void pixels, set ignore_index: 255 (--ignore-index 255)."
    whole = low >= 0 and all(float(number).is_integer() for number in numbers)
    dense = high < 32 or 2 * len(numbers) > high  # class numbers leave few gaps
    soft = VOID in levels and 150 < high < VOID  # edges between black and white
    if whole and dense and not (classes == 1 and soft):
        count = int(high) + 1
        return f"For class numbers up to {count - 1}, set classes: {count} (--classes {count})."
    if classes == 1:
        middle = int(min(levels) + max(levels)) // 2
        return (
            f"To take all brighter than {middle} for the object, set mask_threshold: {middle} "
            f"(--mask-threshold {middle})."
        )
    return ""

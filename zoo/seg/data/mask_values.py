"""Masks whose values are no classes: what they hold, and which option would take them."""

from __future__ import annotations

import math
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
    if not all(map(math.isfinite, levels)):
        return ""
    numbers = {level for level in levels if level != VOID}
    low, high = min(numbers, default=0), max(numbers, default=0)
    if classes == 1 and VOID in levels and low == 0 and len(numbers) == 2 and not 1 < high < 32:
        void = int(VOID if high == 1 else high)  # 0, 1, 255 or, for example, 0, 128, 255
        return f"If {void} marks void pixels, set ignore_index: {void} (--ignore-index {void})."
    whole = low >= 0 and all(float(number).is_integer() for number in numbers)
    few_gaps = high < 32 or (len(numbers) > 2 and (high < 64 or 2 * len(numbers) > high))
    soft = classes == 1 and high > 150 and max(levels) in (VOID, 65535)  # edges fade to white
    if whole and few_gaps and not soft:
        count = int(high) + 1
        return f"For class numbers up to {count - 1}, set classes: {count} (--classes {count})."
    if classes == 1:
        middle = int(min(levels) + max(levels)) // 2
        return (
            f"To take all brighter than {middle} for the object, set mask_threshold: {middle} "
            f"(--mask-threshold {middle})."
        )
    return ""

"""Splits into training, held-out and validation pairs, always by whole groups (cars)."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zoo.errors import DataError, InputError
from zoo.seg.data.folders import Pair, groups_of


@dataclass(frozen=True)
class Split:
    """Row numbers in the list of pairs.

    train: to learn from. held_out: to choose checkpoints. validation: for the final measurement.
    """

    train: list[int]
    held_out: list[int]
    validation: list[int]


@dataclass(frozen=True)
class SplitRule:
    """How the groups of a folder are split; saved with the weights that were trained so.

    The first `validation` groups by name validate or, with `folds`, fold number `fold` of them.
    `held_out` others choose the checkpoints. The defaults are the lesson's split.

    groups: `fingerprint` of the folder that was split; None if unknown.
    """

    validation: int = 63
    folds: int | None = None
    fold: int = 0
    held_out: int = 20
    groups: str | None = None

    @staticmethod
    def parse(saved: Mapping[str, Any] | None) -> SplitRule:
        """The rule that was saved with weights; the lesson's if none was.

        Raises:
            DataError: an entry is unknown or no number.
        """
        try:
            rule = SplitRule(**(saved or {}))
            numbers = (rule.validation, rule.folds or 0, rule.fold, rule.held_out)
            if any(not isinstance(number, int) or number < 0 for number in numbers):
                raise TypeError
        except TypeError as error:
            raise DataError(
                f"The weights' split is not one that training saves: {saved}."
            ) from error
        return rule

    def split(self, pairs: Sequence[Pair]) -> Split:
        """The split of a folder; raises what `lesson_split` and `k_fold` raise."""
        if self.folds is None:
            return lesson_split(pairs, validation=self.validation, held_out=self.held_out)
        return k_fold(pairs, folds=self.folds, fold=self.fold, held_out=self.held_out)


def fingerprint(pairs: Sequence[Pair]) -> str:
    """A hash of the names of all groups: another folder, or one more car, has another."""
    return hashlib.sha256("\n".join(groups_of(pairs)).encode()).hexdigest()[:16]


def lesson_split(pairs: Sequence[Pair], *, validation: int = 63, held_out: int = 20) -> Split:
    """The lesson's split: the first groups by name validate, 63 cars (1,008 photographs).

    Of the others, the last `held_out` are set aside for choosing checkpoints.

    Raises:
        DataError: no group is left to train on.
    """
    return by_groups(pairs, groups_of(pairs)[:validation], held_out=held_out)


def k_fold(pairs: Sequence[Pair], *, folds: int, fold: int, held_out: int = 20) -> Split:
    """Fold number `fold` (from 0) of `folds`: a contiguous part of the sorted groups validates.

    Of the others, the last `held_out` are set aside for choosing checkpoints.

    Raises:
        InputError: the fold does not exist.
        DataError: there are fewer groups than folds, or no group is left to train on.
    """
    if not 0 <= fold < folds:
        raise InputError(f"Of {folds} folds there are numbers 0 to {folds - 1}, not {fold}.")
    groups = groups_of(pairs)
    if len(groups) < folds:
        raise DataError(
            f"{len(groups)} groups of images can't be split into {folds} folds:"
            f" set split.folds to {max(2, len(groups) // 4)}, and split.held_out to 1."
        )
    start, end = fold * len(groups) // folds, (fold + 1) * len(groups) // folds
    return by_groups(pairs, groups[start:end], held_out=held_out)


def by_groups(pairs: Sequence[Pair], validation: Collection[str], *, held_out: int) -> Split:
    """The split with these validation groups; raises DataError if none is left to train on."""
    others = [group for group in groups_of(pairs) if group not in validation]
    if len(others) <= held_out:
        count = len(others) + len(validation)
        few = max(1, count // 5)
        advice = (
            f"set split.validation (--validation) and split.held_out (--held-out) to {few}"
            if count > 2
            else "it takes 3 groups at least"
        )
        raise DataError(
            f"{count} groups of images are too few to set {len(validation)} aside for validation"
            f" and {held_out} for choosing checkpoints: {advice}."
        )
    train = set(others[: len(others) - held_out])

    def rows(side: Collection[str]) -> list[int]:
        return [row for row, pair in enumerate(pairs) if pair.group in side]

    return Split(rows(train), rows(set(others) - train), rows(set(validation)))

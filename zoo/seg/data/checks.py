"""Checking of a folder before training: a sentence for each fault."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from tqdm import tqdm

from zoo.errors import ZooError
from zoo.seg.data.folders import Pair, match
from zoo.seg.data.mask_values import MaskValuesError, cure
from zoo.seg.data.pairs import ONE_OBJECT, Reading, load_pair


def find_problems(folder: Path, reading: Reading = ONE_OBJECT) -> list[str]:
    """Reads every file of a folder; returns a sentence for each missing, unreadable or misfit one.

    Masks that one option would make readable share a sentence.

    Raises:
        DataError: the layout is not one that `list_pairs` knows.
    """
    pairs, problems = match(folder)
    with ThreadPoolExecutor() as pool:
        found = pool.map(partial(fault_of, reading=reading), pairs)
        faults = [fault for fault in tqdm(found, "Checking", len(pairs), disable=None) if fault]
    values = [fault for fault in faults if isinstance(fault, MaskValuesError)]
    levels = {level for fault in values for level in fault.levels}
    remedy = cure(levels, reading.classes) if values else ""
    if not remedy:
        return problems + [str(fault) for fault in faults]
    others = [str(fault) for fault in faults if fault not in values]
    return [*problems, *others, shared(values, remedy)]


def fault_of(pair: Pair, reading: Reading) -> ZooError | None:
    """What keeps a pair from being read."""
    try:
        load_pair(pair, reading)
    except ZooError as error:
        return error
    return None


def shared(faults: Sequence[MaskValuesError], remedy: str) -> str:
    """One sentence for all masks that a remedy cures."""
    more = len(faults) - 1
    like = {0: "", 1: " 1 more mask is like it."}.get(more, f" {more} more masks are like it.")
    return f"{faults[0].fact}{like} {remedy}"

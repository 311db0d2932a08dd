"""Timing in turns, so that other load on the machine affects all alike; ratios come first."""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

Work = Callable[[], object]


@dataclass(frozen=True)
class Timing:
    """One way of doing a job beside ours: how many times faster ours is.

    case: the job ("×2, 480×320").
    ours, other: what was timed.
    ratio: median over the turns of the other's time by ours; lowest and highest are its spread.
    seconds_ours, seconds_other: medians.
    peak_share: multiply-adds of ours by its time and by the machine's measured peak, if known.
    """

    case: str
    ours: str
    other: str
    ratio: float
    lowest: float
    highest: float
    seconds_ours: float
    seconds_other: float
    peak_share: float | None = None


def in_turns(works: Mapping[str, Work], *, repeats: int) -> dict[str, list[float]]:
    """Seconds of each job, `repeats` times, in turns. A first turn warms up and is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(repeats + 1):
        for name, work in works.items():
            start = time.perf_counter()
            work()
            if turn > 0:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def beside(
    case: str,
    ours: Sequence[str],
    seconds: Mapping[str, Sequence[float]],
    *,
    multiply_adds: float | None = None,
    peak: float | None = None,
) -> list[dict[str, Any]]:
    """A row, ready for JSON, for each of `ours` beside each other job.

    seconds: of `in_turns`. multiply_adds: of one of our jobs. peak: floating-point operations per
        second, two for each multiply-add.
    """
    rows = []
    for name in ours:
        own = statistics.median(seconds[name])
        share = 2 * multiply_adds / own / peak if multiply_adds and peak else None
        for other in seconds:
            if other not in ours:
                turns = zip(seconds[other], seconds[name], strict=True)
                ratios = [theirs / mine for theirs, mine in turns]
                row = Timing(
                    case=case,
                    ours=name,
                    other=other,
                    ratio=statistics.median(ratios),
                    lowest=min(ratios),
                    highest=max(ratios),
                    seconds_ours=own,
                    seconds_other=statistics.median(seconds[other]),
                    peak_share=share,
                )
                rows.append(asdict(row))
    return rows


def matmul_peak(dtype: torch.dtype, *, side: int = 3072, repeats: int = 7) -> float:
    """The machine's measured peak: operations per second of its best matrix product."""
    a, b = (torch.randn(side, side).to(dtype) for _ in range(2))
    seconds = in_turns({"product": lambda: a @ b}, repeats=repeats)["product"]
    return 2 * side**3 / min(seconds)


def plain(net: nn.Module, x: Tensor) -> Work:
    """A network as its package makes it."""

    def work() -> Tensor:
        with torch.no_grad():
            result: Tensor = net(x)
            return result

    return work


def tuned(net: nn.Module, x: Tensor, dtype: torch.dtype) -> Work:
    """A network with channels_last and a precision, as one sets them by hand."""
    x = x.to(memory_format=torch.channels_last)
    net = copy.deepcopy(net).eval().to(memory_format=torch.channels_last)

    def work() -> Tensor:
        with torch.inference_mode(), torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            result: Tensor = net(x)
            return result

    return work

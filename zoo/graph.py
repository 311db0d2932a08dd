"""A model as torch.export's graph, and the image sizes that the graph takes.

A graph holds for some sizes only: tracing turns each decision about a size into a guard, such as
"more than one window" or "at most 256 pixels". The graph then refuses all other images.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.fx import GraphModule

_META = torch.device("meta")
_LARGEST = 2**14  # pixels a side that are tried


class Sides(NamedTuple):
    """The heights, or the widths, that a graph takes, in pixels; `most` is None without a bound."""

    least: int
    most: int | None

    def __str__(self) -> str:
        return f"from {self.least} pixels" if self.most is None else f"{self.least} to {self.most}"

    @classmethod
    def parse(cls, text: str) -> Sides:
        """Return the sides whose text this is; raise ValueError for any other text."""
        found = re.fullmatch(r"from ([0-9]{1,6}) pixels|([0-9]{1,6}) to ([0-9]{1,6})", text)
        if not found:
            raise ValueError("its sizes are neither 'from A pixels' nor 'A to B'")
        least, most = int(found[1] or found[2]), int(found[3]) if found[3] else None
        if least < 1 or (most is not None and most < least):
            raise ValueError("its sizes are no range")
        return cls(least, most)

    def nearest(self, side: int) -> int:
        """Return the side within the bounds that is nearest to `side`."""
        return max(self.least, side if self.most is None else min(side, self.most))


def trace(model: nn.Module, image: Tensor) -> ExportedProgram:
    """Return the graph of a model for images `[N, C, H, W]` whose N, H and W are free.

    image: an example with N > 1, and sides of more than one of the units to which the model pads:
        torch.export takes an example's single unit for a constant.
    """
    shapes = ({0: Dim.DYNAMIC, 2: Dim.DYNAMIC, 3: Dim.DYNAMIC},)
    with torch.no_grad():
        program = torch.export.export(model, (image,), dynamic_shapes=shapes)
    # Each node remembers the files and lines that it comes from: where a user keeps the code is
    # nobody's business, and two machines would write two files.
    for part in program.graph_module.modules():
        for node in part.graph.nodes if isinstance(part, torch.fx.GraphModule) else ():
            node.meta.pop("stack_trace", None)
    return program


def sizes_of(program: ExportedProgram, image: Tensor, *, least: int) -> tuple[Sides, Sides]:
    """Return the heights and the widths that a graph takes.

    image: one that it was traced with. least: side from which the model takes images.
    Runs the graph on tensors that have a shape and no values, which costs no arithmetic. Raises
    ValueError for a graph that refuses sizes between others that it takes.
    """
    module = _on_meta(program)
    batch, channels, height, width = image.shape

    def takes(*size: int) -> bool:
        try:
            module(torch.empty(batch, channels, *size, device=_META))
        except Exception:  # guards and operators raise errors of many types
            return False
        return True

    if not takes(height, width):
        raise ValueError("the sizes that its graph takes can't be found out")
    heights = _bounds(lambda side: takes(side, width), least, height)
    widths = _bounds(lambda side: takes(height, side), least, width)
    for side in (1, *(2**n for n in range(5, 15))):
        size = heights.nearest(side), widths.nearest(side + 1)
        if not takes(*size):
            raise ValueError(f"its graph refuses images of {size[0]} × {size[1]} pixels")
    return heights, widths


def _bounds(takes: Callable[[int], bool], least: int, inside: int) -> Sides:
    low = least if takes(least) else _edge(takes, inside, least)
    good = inside
    while good < _LARGEST:
        side = min(4 * good + 1, _LARGEST)
        if not takes(side):
            return Sides(low, _edge(takes, good, side))
        good = side
    return Sides(low, None)


def _edge(takes: Callable[[int], bool], good: int, bad: int) -> int:
    """Return the last side that is taken on the way from `good` to `bad`, by bisection."""
    while abs(bad - good) > 1:
        middle = (good + bad) // 2
        good, bad = (middle, bad) if takes(middle) else (good, middle)
    return good


def _on_meta(program: ExportedProgram) -> nn.Module:
    """Return the graph, with its guards, on the device of tensors without values."""
    module = program.module().to(_META)
    for part in module.modules():
        if not isinstance(part, GraphModule):
            continue
        for node in part.graph.nodes:
            node.args = tuple(_moved(value) for value in node.args)
            node.kwargs = {key: _moved(value) for key, value in node.kwargs.items()}
        part.recompile()
    return module


def _moved(value: object) -> object:
    return _META if isinstance(value, torch.device) else value

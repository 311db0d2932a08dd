"""Run a super-resolution network on a tile: all at once, or in two steps where it has two."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, TypeGuard, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.inference.placement import layout
from zoo.inference.rescue import finite
from zoo.inference.tiling import grown, moved, scaled


class TwoSteps(Protocol):
    """A network whose forward is `enlarge(trunk(x), x)`.

    trunk: from images `[N, 3, H, W]` to features `[N, C, H, W]`.
    enlarge: from features and images to the result; its receptive field has the radius
        `enlarge_halo`.
    trunk_floats, peak_floats: alive per input pixel at the peak of the trunk, and of all.
    """

    enlarge_halo: int
    trunk_floats: int
    peak_floats: int

    def trunk(self, x: Tensor) -> Tensor: ...
    def enlarge(self, features: Tensor, x: Tensor) -> Tensor: ...


def has_two_steps(model: nn.Module) -> TypeGuard[TwoSteps]:
    """Whether calling the two steps is calling the model.

    A wrapper, of torch.compile say, has a forward alone; a subclass may have one of its own.
    """
    parts = ("trunk", "enlarge", "enlarge_halo", "trunk_floats", "peak_floats")
    if not all(hasattr(model, part) for part in parts):
        return False
    homes = [
        next((home for home in type(model).__mro__ if name in vars(home)), None)
        for name in ("forward", "trunk", "enlarge")
    ]
    return homes[0] is homes[1] is homes[2]


class Begun(NamedTuple):
    """What is left of a tile for the second step.

    planes: the tile, `[1 | 3, h, w]`, on the device.
    image: the tile as the network takes it, `[1, 3, h, w]`.
    features: `[1, C, h, w]` of the trunk, or the whole result `[1, 3, scale·h, scale·w]`.
    """

    planes: Tensor
    image: Tensor
    features: Tensor


class Enlarging:
    """`begin` and `finish` of `zoo.inference.tiling.run_tiled` for planes `[1 | 3, h, w]`.

    Grey planes run as RGB; the result is the mean of the three channels.

    model: in eval mode, on `device`.
    dtype: of its convolutions.
    tta: average over the eight flips and rotations.
    within: clamp the result to the minimum and maximum of the 3 × 3 input neighbourhood.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        scale: int,
        device: torch.device,
        dtype: torch.dtype,
        tta: bool = False,
        within: bool = False,
    ) -> None:
        self.model, self.scale, self.device = model, scale, device
        self.tta, self.within = tta, within
        self.autocast = torch.autocast(device.type, dtype, enabled=dtype != torch.float32)

    def begin(self, planes: Tensor) -> Begun:
        """Run the network, or its trunk."""
        planes = planes.to(self.device)
        image = planes.expand(3, -1, -1)[None].contiguous(memory_format=layout(self.device))
        with self.autocast:
            if self.tta:
                features = _mean_of_eight(self._net, image)
            elif has_two_steps(self.model):
                features = self.model.trunk(image)
            else:
                features = self._net(image)
        return Begun(planes, image, features)

    def finish(self, begun: Begun, rows: slice, columns: slice) -> Tensor:
        """Return the result for rows and columns of the tile, `[1 | 3, scale·h, scale·w]`.

        Raises NotFiniteError if the network's values are no numbers.
        """
        if has_two_steps(self.model) and not self.tta:
            large = self._enlarged(self.model, begun, rows, columns)
        else:
            large = begun.features[0, :, scaled(rows, self.scale), scaled(columns, self.scale)]
        large = finite(large)
        if len(begun.planes) == 1:
            large = large.mean(0, keepdim=True)
        if self.within:
            low, high = _bounds(begun.planes, rows, columns, self.scale)
            large = large.clamp(low, high)
        return large

    def _enlarged(self, model: TwoSteps, begun: Begun, rows: slice, columns: slice) -> Tensor:
        height, width = begun.image.shape[2:]
        y = grown(rows, model.enlarge_halo, height)
        x = grown(columns, model.enlarge_halo, width)
        with self.autocast:
            large = model.enlarge(begun.features[..., y, x], begun.image[..., y, x]).float()
        rows, columns = moved(rows, -y.start), moved(columns, -x.start)
        return large[0, :, scaled(rows, self.scale), scaled(columns, self.scale)]

    def _net(self, image: Tensor) -> Tensor:
        return cast(Tensor, self.model(image)).float()


def _mean_of_eight(net: Callable[[Tensor], Tensor], image: Tensor) -> Tensor:
    """Return the mean result over the eight flips and rotations, each undone after the network."""
    total: Any = 0
    for turns in range(4):
        turned = image.rot90(turns, (2, 3))
        total = total + net(turned).rot90(-turns, (2, 3))
        total = total + net(turned.flip(3)).flip(3).rot90(-turns, (2, 3))
    return cast(Tensor, total / 8)


def _bounds(planes: Tensor, rows: slice, columns: slice, scale: int) -> tuple[Tensor, Tensor]:
    """Minimum and maximum around each pixel of `[1, h, w]`, enlarged without interpolation."""
    height, width = planes.shape[1:]
    y, x = grown(rows, 1, height), grown(columns, 1, width)
    near = planes[:, y, x]
    rows, columns = moved(rows, -y.start), moved(columns, -x.start)
    low, high = (
        F.interpolate(bound[None, :, rows, columns], scale_factor=scale, mode="nearest")[0]
        for bound in (-F.max_pool2d(-near, 3, 1, 1), F.max_pool2d(near, 3, 1, 1))
    )
    return low, high

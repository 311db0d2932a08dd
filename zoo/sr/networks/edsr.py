"""EDSR as BasicSR trains it, for weights from there.

Lim et al., "Enhanced deep residual networks for single image super-resolution" (arXiv:1707.02921).
"""

from __future__ import annotations

from zoo.registry import register_model
from zoo.sr.networks.srresnet import SRResNet

DIV2K_MEAN = (0.4488, 0.4371, 0.4040)  # RGB of the training photographs
LEVELS = 255  # its layers work on values to 255


@register_model(task="super-resolution")
def edsr(*, scale: int = 4, width: int = 64, depth: int = 16, res_scale: float = 1.0) -> SRResNet:
    """EDSR, by default the baseline; 1.52 million parameters. `zoo convert` brings weights.

    It is `SRResNet` with ReLU, whose output is no residual to the enlarged input. Values are
    measured from the mean of DIV2K, in levels of 255. The large EDSR has a width of 256, a depth of
    32 and a res_scale of 0.1.
    """
    net = SRResNet(
        scale,
        width=width,
        depth=depth,
        res_scale=res_scale,
        negative_slope=0.0,
        residual=False,
    )
    net.mean.copy_(net.mean.new_tensor(DIV2K_MEAN).view(3, 1, 1))
    net.std.fill_(1 / LEVELS)
    return net

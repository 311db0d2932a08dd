"""The base class of the segmentation networks: encoder and decoder, for images of any size."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.errors import InputError
from zoo.model import InputSpec, ZooModel, as_floats, check_images
from zoo.seg.encoders.encoder import Encoder

SMALLEST = 32  # pixels a side


class SegmentationModel(ZooModel):
    """Maps images to logits. Images are padded by replication to a multiple of `encoder.multiple`,
    and the logits are cropped back.

    Args:
        encoder: images → feature maps.
        decoder: feature maps → `[N, classes, H, W]` at the size of the padded images.
        classes: number of maps of logits.

    Shape: float `[N, in_chans, H, W]` in [0, 1], any H and W from 32 → logits `[N, classes, H, W]`.

    Raises:
        InputError: the tensor has another shape or dtype or smaller images; in training, batch
            norm gets only one value per channel.
    """

    classifier = "decoder.head"

    def __init__(self, encoder: Encoder, decoder: nn.Module, *, classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.classes = classes
        self.in_chans = encoder.in_chans

    @property
    def input_spec(self) -> InputSpec:
        mean, std = as_floats(self.encoder.mean), as_floats(self.encoder.std)
        return InputSpec(self.in_chans, SMALLEST, mean, std, image_size=self.image_size)

    def forward(self, x: Tensor) -> Tensor:
        self._check(x)
        height, width = x.shape[-2:]
        multiple = self.encoder.multiple
        rows, columns = (height + multiple - 1) // multiple, (width + multiple - 1) // multiple
        padding = (0, columns * multiple - width, 0, rows * multiple - height)
        try:
            logits: Tensor = self.decoder(self.encoder(F.pad(x, padding, mode="replicate")))
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            raise InputError(
                f"Batch norm can't learn from {len(x)} image of {height} × {width} pixels, which"
                " leaves it one value per channel: use a larger batch or larger images."
            ) from error
        return _crop(logits, height, width)

    def layer_groups(self) -> dict[str, dict[str, nn.Parameter]]:
        """Return the parameters by name in three groups, "early", "late" and "decoder", for
        learning rates that grow towards the output. The encoder decides the boundary between the
        first two.
        """
        early = {f"encoder.{name}" for name in self.encoder.early_parameters()}
        groups: dict[str, dict[str, nn.Parameter]] = {"early": {}, "late": {}, "decoder": {}}
        for name, parameter in self.named_parameters():
            late = "late" if name.startswith("encoder.") else "decoder"
            groups["early" if name in early else late][name] = parameter
        return groups

    def _check(self, x: Tensor) -> None:
        check_images(x, self.in_chans)
        if x.shape[2] < SMALLEST or x.shape[3] < SMALLEST:
            raise InputError(
                f"Images must have {SMALLEST} pixels a side or more, not"
                f" {x.shape[2]} × {x.shape[3]}: enlarge them first."
            )


def _crop(x: Tensor, height: int, width: int) -> Tensor:
    """A copy of `x[..., :height, :width]`.

    A slice is contiguous only if nothing is cropped. torch.export would specialise on that and
    accept only images that need padding, or only those that need none, like its example.
    """
    rows = torch.arange(height, device=x.device)
    columns = torch.arange(width, device=x.device)
    return x.index_select(2, rows).index_select(3, columns)


def check_classes(classes: int) -> None:
    """Raise InputError unless there is at least one class."""
    if classes < 1:
        raise InputError(
            f"classes is the number of maps of logits, 1 for an object before its background,"
            f" not {classes}."
        )

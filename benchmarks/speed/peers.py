"""Networks of other packages at random weights; requirements.txt beside this file installs them."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.store.state_dict import save_weights


def torchsr_edsr(scale: int) -> nn.Module:
    from torchsr.models import edsr_baseline

    return edsr_baseline(scale=scale, pretrained=False)


def torchsr_ninasr(scale: int) -> nn.Module:
    from torchsr.models import ninasr_b0

    return ninasr_b0(scale=scale, pretrained=False)


def super_image_edsr(scale: int) -> nn.Module:
    from super_image import EdsrConfig, EdsrModel

    return EdsrModel(EdsrConfig(scale=scale))


def spandrel_compact(scale: int) -> nn.Module:
    """spandrel loading a file; it has no EDSR, so 33 plain convolutions of 64 channels stand in."""
    from spandrel import ModelLoader

    convolutions = [nn.Conv2d(3 if i == 0 else 64, 64, 3) for i in range(33)]
    layers = [layer for conv in convolutions for layer in (conv, nn.PReLU(64))]
    body = nn.Sequential(*layers, nn.Conv2d(64, 3 * scale**2, 3))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "compact.safetensors")
        save_weights({f"body.{key}": value for key, value in body.state_dict().items()}, file)
        loaded = ModelLoader().load_from_file(file)
    return loaded.model


class Block(nn.Module):
    """EDSR's residual block."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = (nn.Conv2d(64, 64, 3, padding=1) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(F.relu(self.conv1(x)))


class PlainEDSR(nn.Module):
    """EDSR-baseline (arXiv:1707.02921) as one would write it down."""

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.head = nn.Conv2d(3, 64, 3, padding=1)
        self.body = nn.Sequential(*(Block() for _ in range(16)), nn.Conv2d(64, 64, 3, padding=1))
        doublings = [
            layer
            for _ in range(scale // 2)
            for layer in (nn.Conv2d(64, 256, 3, padding=1), nn.PixelShuffle(2))
        ]
        self.tail = nn.Sequential(*doublings, nn.Conv2d(64, 3, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        features = self.head(x)
        result: Tensor = self.tail(features + self.body(features))
        return result


EDSR = {
    "torchsr edsr_baseline": torchsr_edsr,
    "super-image EdsrModel": super_image_edsr,
    "spandrel Compact": spandrel_compact,
    "plain PyTorch EDSR": PlainEDSR,
}
SMALL = {"torchsr ninasr_b0": torchsr_ninasr}


def smp_unet(encoder: str) -> nn.Module:
    import segmentation_models_pytorch as smp

    return smp.Unet(encoder, encoder_weights=None)


def fastai_unet(encoder: str) -> nn.Module:
    """fastai's DynamicUnet on a torchvision encoder, for 512×512 pixels."""
    import torchvision
    from fastai.vision.learner import create_body
    from fastai.vision.models.unet import DynamicUnet

    body = create_body(getattr(torchvision.models, encoder)(), pretrained=False)
    return DynamicUnet(body, 1, (512, 512))


def parameters(net: nn.Module) -> int:
    return sum(weight.numel() for weight in net.parameters())


@torch.no_grad()
def check(net: nn.Module, scale: int) -> None:
    """Raise unless a network enlarges by `scale`."""
    assert net(torch.rand(1, 3, 16, 20)).shape == (1, 3, 16 * scale, 20 * scale)

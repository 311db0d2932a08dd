"""Entry points of torch.hub.

    model = torch.hub.load("<owner>/<repository>", "srresnet_x4")
    large = model(image)  # image: float [N, 3, H, W] in [0, 1]

A folder with this repository, unpacked from an archive, does as well:
`torch.hub.load(folder, "srresnet_x4", source="local")`.
"""

from __future__ import annotations

import hashlib
import importlib.util
import pathlib
import sys
import typing

if typing.TYPE_CHECKING:
    import collections.abc

    import torch

dependencies = ["torch", "safetensors", "huggingface_hub"]


def _check_package() -> None:
    """Raise ImportError if `import zoo` would give another package than the one in this folder.

    An installed copy of the same code is not another package.
    """
    imported = sys.modules.get("zoo")
    spec = imported.__spec__ if imported else importlib.util.find_spec("zoo")
    origin = spec.origin if spec else getattr(imported, "__file__", None)
    ours = pathlib.Path(__file__).with_name("zoo") / "__init__.py"
    if origin and _is_same(pathlib.Path(origin), ours):
        return
    folder = next(iter(getattr(imported, "__path__", ())), "no file")
    state = "is already imported" if imported else "comes first on sys.path"
    raise ImportError(
        f"torch.hub needs the package 'zoo' of {ours.parent.parent}, but another package or version"
        f" called 'zoo' ({origin or folder}) {state}: load the model in a Python process"
        " without it, or uninstall or rename that package."
    )


def _is_same(package: pathlib.Path, ours: pathlib.Path) -> bool:
    """Return whether two packages, named by their __init__.py, have the same code."""
    if package.name != ours.name or not package.is_file():
        return False
    return package.samefile(ours) or _code(package.parent) == _code(ours.parent)


def _code(folder: pathlib.Path) -> dict[str, str]:
    """Return the sha256 of each source file of a package; line ends may differ."""
    return {
        file.relative_to(folder).as_posix(): hashlib.sha256(
            file.read_bytes().replace(b"\r\n", b"\n")
        ).hexdigest()
        for file in folder.rglob("*.py")
    }


_check_package()


def srresnet_x1(pretrained: bool = True, *, weights: str | None = None) -> torch.nn.Module:
    """SRResNet that cleans without enlarging: float RGB [N, 3, H, W] in [0, 1] to the same shape.

    It ships a recipe and no weights yet: pass pretrained=False, or your own file as `weights`.
    The model is in eval mode.
    """
    return _create("srresnet_x1", pretrained, weights)


def srresnet_x2(pretrained: bool = True, *, weights: str | None = None) -> torch.nn.Module:
    """SRResNet that enlarges by 2: float RGB [N, 3, H, W] in [0, 1] to [N, 3, 2H, 2W], unclamped.

    pretrained: load the default weights; False gives a random start.
    weights: a tag ("psnr", of least error, "perceptual", sharper, or "photo", which cleans JPEGs
        and noise while it enlarges), "hf-hub:org/repo@revision", an https URL or a *.safetensors
        file.
    The model is in eval mode. Where no weights exist the error lists those that do.
    """
    return _create("srresnet_x2", pretrained, weights)


def srresnet_x4(pretrained: bool = True, *, weights: str | None = None) -> torch.nn.Module:
    """SRResNet that enlarges by 4: float RGB [N, 3, H, W] in [0, 1] to [N, 3, 4H, 4W], unclamped.

    pretrained: load the default weights; False gives a random start.
    weights: a tag ("psnr", of least error, "perceptual", sharper, or "photo", which cleans JPEGs
        and noise while it enlarges), "hf-hub:org/repo@revision", an https URL or a *.safetensors
        file.
    The model is in eval mode. Where no weights exist the error lists those that do.
    """
    return _create("srresnet_x4", pretrained, weights)


def srresnet_lesson_x2(pretrained: bool = True, *, weights: str | None = None) -> torch.nn.Module:
    """The lesson's own net, times 2: float RGB [N, 3, H, W] in [0, 1] to [N, 3, 2H, 2W].

    It ships a recipe and no weights: pass pretrained=False, or your own file as `weights`.
    The model is in eval mode.
    """
    return _create("srresnet_lesson_x2", pretrained, weights)


def srresnet_lesson_x4(pretrained: bool = True, *, weights: str | None = None) -> torch.nn.Module:
    """The lesson's own net, times 4: float RGB [N, 3, H, W] in [0, 1] to [N, 3, 4H, 4W].

    It ships a recipe and no weights: pass pretrained=False, or your own file as `weights`.
    The model is in eval mode.
    """
    return _create("srresnet_lesson_x4", pretrained, weights)


def edsr(
    pretrained: bool = True,
    *,
    weights: str | None = None,
    scale: int | None = None,
    width: int | None = None,
    depth: int | None = None,
    res_scale: float | None = None,
) -> torch.nn.Module:
    """EDSR of BasicSR: float RGB [N, 3, H, W] in [0, 1] to [N, 3, scale·H, scale·W], unclamped.

    It ships no weights: pass pretrained=False, or as `weights` what `zoo convert` wrote.
    scale, width, depth, res_scale: of the baseline for 4 times, if left out.
    The model is in eval mode.
    """
    return _create(
        "edsr",
        pretrained,
        weights,
        scale=scale,
        width=width,
        depth=depth,
        res_scale=res_scale,
    )


def msrresnet(
    pretrained: bool = True,
    *,
    weights: str | None = None,
    scale: int | None = None,
    width: int | None = None,
    depth: int | None = None,
) -> torch.nn.Module:
    """MSRResNet of BasicSR: float RGB [N, 3, H, W] in [0, 1] to [N, 3, scale·H, scale·W],
    unclamped.

    It ships no weights: pass pretrained=False, or as `weights` what `zoo convert` wrote.
    scale: 2, 3 or 4. width, depth: 64 and 16 if left out.
    The model is in eval mode.
    """
    return _create("msrresnet", pretrained, weights, scale=scale, width=width, depth=depth)


def simple_up34(
    pretrained: bool = True,
    *,
    weights: str | None = None,
    encoder_weights: str | None = None,
    classes: int | None = None,
    in_chans: int | None = None,
) -> torch.nn.Module:
    """The lesson's ResNet34 without skips: float [N, in_chans, H, W] in [0, 1], any size from 32,
    to logits [N, classes, H, W].

    pretrained: load the default weights; False gives a random start.
    weights: a tag, "hf-hub:org/repo@revision", an https URL or a *.safetensors file.
    encoder_weights: with pretrained=False, "default" (ImageNet) or a *.safetensors file.
    classes, in_chans: those of the weights, else 1 and 3.
    The model is in eval mode. Where no weights exist the error lists those that do.
    """
    return _create(
        "simple_up34",
        pretrained,
        weights,
        encoder_weights=encoder_weights,
        classes=classes,
        in_chans=in_chans,
    )


def unet34(
    pretrained: bool = True,
    *,
    weights: str | None = None,
    encoder_weights: str | None = None,
    classes: int | None = None,
    in_chans: int | None = None,
) -> torch.nn.Module:
    """The lesson's U-Net on a ResNet34: float [N, in_chans, H, W] in [0, 1], any size from 32, to
    logits [N, classes, H, W].

    pretrained: load the default weights; False gives a random start.
    weights: a tag ("carvana"), "hf-hub:org/repo@revision", an https URL or a *.safetensors file.
    encoder_weights: with pretrained=False, "default" (ImageNet) or a *.safetensors file.
    classes, in_chans: those of the weights, else 1 and 3.
    The model is in eval mode. Where no weights exist the error lists those that do.
    """
    return _create(
        "unet34",
        pretrained,
        weights,
        encoder_weights=encoder_weights,
        classes=classes,
        in_chans=in_chans,
    )


def dynamic_unet(
    pretrained: bool = True,
    *,
    weights: str | None = None,
    encoder: str | torch.nn.Module | None = None,
    encoder_weights: str | None = None,
    cut: int | None = None,
    decoder_channels: collections.abc.Sequence[int] | None = None,
    upsampler: str | None = None,
    classes: int | None = None,
    in_chans: int | None = None,
) -> torch.nn.Module:
    """A U-Net on any encoder: float [N, in_chans, H, W] in [0, 1], any size from 32, to logits
    [N, classes, H, W].

    pretrained: load the default weights; False gives a random start.
    weights: a tag, "hf-hub:org/repo@revision", an https URL or a *.safetensors file.
    encoder: a name of timm's ("resnet34" if left out), "torchvision:NAME", an nn.Sequential, of
        which the first `cut` children are used, or a module that returns a list of feature maps.
    encoder_weights: with pretrained=False, "default" (ImageNet) or a *.safetensors file.
    decoder_channels: one width for each doubling, from deep to shallow.
    upsampler: "pixelshuffle", "transposed", "nearest" or "plain".
    classes, in_chans: those of the weights, else 1 and 3.
    Weights fix all of these. The model is in eval mode.
    """
    return _create(
        "dynamic_unet",
        pretrained,
        weights,
        encoder=encoder,
        encoder_weights=encoder_weights,
        cut=cut,
        decoder_channels=decoder_channels,
        upsampler=upsampler,
        classes=classes,
        in_chans=in_chans,
    )


def fpn(
    pretrained: bool = True,
    *,
    weights: str | None = None,
    encoder: str | torch.nn.Module | None = None,
    encoder_weights: str | None = None,
    cut: int | None = None,
    classes: int | None = None,
    in_chans: int | None = None,
) -> torch.nn.Module:
    """A feature pyramid network on any encoder: float [N, in_chans, H, W] in [0, 1], any size from
    32, to logits [N, classes, H, W].

    The options are those of dynamic_unet that the signature has. Weights fix all of them. The model
    is in eval mode.
    """
    return _create(
        "fpn",
        pretrained,
        weights,
        encoder=encoder,
        encoder_weights=encoder_weights,
        cut=cut,
        classes=classes,
        in_chans=in_chans,
    )


def _create(
    name: str, pretrained: bool, weights: str | None, **options: typing.Any
) -> torch.nn.Module:
    """Create a model in eval mode; an option that is None is left to the weights, or to zoo."""
    from zoo.create import create_model
    from zoo.errors import OptionError

    if weights is not None and not pretrained:
        raise OptionError(f"pretrained=False and weights={weights!r} contradict each other.")
    if weights is None and pretrained:
        weights = "default"
    given = {option: value for option, value in options.items() if value is not None}
    return create_model(name, weights=weights, **given).eval()

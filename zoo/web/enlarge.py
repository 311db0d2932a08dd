"""The tab "Enlarge": a visitor's photograph through a super-resolution model."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from zoo.errors import InputError
from zoo.inference.automatic import AutoUpscaler, make_upscaler
from zoo.pictures.comparison import Part, busiest
from zoo.pictures.files import check_output, write_image
from zoo.pictures.picture import Picture
from zoo.registry import list_models, list_weights
from zoo.web.limits import Clock, Limits
from zoo.web.uploads import read_upload, without_folder
from zoo.web.views import save, screen_size, view

DEFAULT = "auto"
_AUTO = {"auto": "srresnet_x4", "srresnet_x2.auto": "srresnet_x2"}
_WORDS = {
    "fast": "in a hurry",
    "perceptual": "sharper",
    "photo": "cleaned",
    "psnr": "with the least error",
}  # by the tag of the weights
_DETAIL = 96  # pixels of the photograph, a side of the part that is shown large
_DETAIL_SHOWN = 768  # pixels on the screen, at least


@dataclass(frozen=True)
class Enlarged:
    """The result of one job, in files.

    file: the PNG in full quality, with the pixels of `zoo.upscale`.
    views: the photograph enlarged by bicubic interpolation and the result, of one size.
    details: their part with the strongest edges, likewise.
    told: one sentence.
    """

    file: Path
    views: tuple[Path, Path]
    details: tuple[Path, Path]
    told: str


def choices() -> dict[str, str]:
    """The models that a visitor may choose, by the text that describes each."""
    names = [
        name
        for model in list_models(task="super-resolution", pretrained=True)
        for name in list_weights(model)
    ]
    scaled = sorted(names, key=lambda name: (-_scale(name), name))
    automatic = {
        f"{_times(model)}, cleaned if needed ({name})": name for name, model in _AUTO.items()
    }
    return automatic | {f"{_describe(name)} ({name})": name for name in scaled}


def enlarge(
    path: str | None,
    model: str,
    folder: Path,
    limits: Limits,
    *,
    device: str = "auto",
    progress: Callable[[float], object],
) -> Enlarged:
    """Enlarge a photograph; all files of the result go to `folder`.

    progress: called with the share that is done.
    Raises InputError without a file and for a model that is not among the choices, ImageError for
    a photograph that is refused, and for one that takes too long.
    """
    if model not in choices().values():  # a name could also be a folder or an address
        raise InputError("This model is not among those of the page; choose one of the list.")
    upscaler = make_upscaler(
        model, tile="auto", precision="auto", tta=False, device=device, strength=None
    )
    scale, start = upscaler.scale, time.monotonic()
    picture = replace(read_upload(path, limits, scale=scale), format="PNG")
    target = folder / f"{Path(str(path)).stem}_x{scale}.png"
    with without_folder(target):
        check_output(picture, target, scale=scale)  # before the long work
        large = upscaler.picture(picture, Clock(limits, progress))
        write_image(large, target)
    chosen = upscaler.made[-1] if isinstance(upscaler, AutoUpscaler) else None
    by = f"{chosen.model}, chosen because it is {chosen.reason}" if chosen else model
    told = f"{_size(picture)} became {_size(large)} in {time.monotonic() - start:.1f} s by {by}."
    views, details = _views(picture, large, folder), _details(picture, large, scale, folder)
    return Enlarged(target, views, details, told)


def _views(small: Picture, large: Picture, folder: Path) -> tuple[Path, Path]:
    size = screen_size(large)
    return (
        save(view(small, size), folder / "before.webp"),
        save(view(large, size), folder / "after.webp"),
    )


def _details(small: Picture, large: Picture, scale: int, folder: Path) -> tuple[Path, Path]:
    """Write the part with the strongest edges, before and after, without loss."""
    part = top, left, side = busiest(small.pixels, _DETAIL)
    shown = max(_DETAIL_SHOWN, side * scale)
    enlarged: Part = (top * scale, left * scale, side * scale)
    pairs = (small, part, "detail_before.png"), (large, enlarged, "detail_after.png")
    before, after = (
        save(replace(view(picture, (shown, shown), box), format="PNG"), folder / name)
        for picture, box, name in pairs
    )
    return before, after


def _scale(name: str) -> int:
    """The scale in the name of a model or its weights, such as srresnet_x4."""
    return int(name.partition(".")[0].rpartition("_x")[2])


def _times(name: str) -> str:
    scale = _scale(name)
    return "Its own size" if scale == 1 else f"{scale} times"


def _describe(name: str) -> str:
    word = _WORDS.get(name.partition(".")[2])
    return ", ".join(filter(None, (_times(name), word)))


def _size(picture: Picture) -> str:
    height, width = picture.pixels.shape[:2]
    return f"{width:,} × {height:,}"

"""The tab "Cut out": what a segmentation model says of a photograph, at any threshold."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.inference.segmenter import Segmenter
from zoo.jobs.segmenting import is_unsure
from zoo.pictures.cutouts import Kind, check_kind
from zoo.pictures.files import write_image
from zoo.pictures.picture import Picture
from zoo.web.limits import Limits
from zoo.web.uploads import read_upload, without_folder
from zoo.web.views import save, screen_size, view

MODEL = "dynamic_unet"
_SCREEN = 1024  # pixels of the longer side: a new threshold is to be seen at once
_UNSURE = (
    " The network is unsure: it knows photographs of one whole car alone, and other things only by"
    " chance."
)


@dataclass(frozen=True)
class Found:
    """A photograph and the logits of the network, from which every threshold is answered.

    source: its file.
    folder: of the results; the logits `[1, H, W]`, float32, lie there, too.
    small, small_logits: photograph and logits at the size of a screen, in memory.
    told: one sentence.
    """

    source: Path
    folder: Path
    small: Picture
    small_logits: Tensor
    told: str

    @property
    def logits_file(self) -> Path:
        return self.folder / "logits.npy"


def find(path: str | None, folder: Path, limits: Limits, *, device: str = "auto") -> Found:
    """Run the network on a photograph, once; its logits go to `folder`.

    Raises InputError without a file, ImageError for a photograph that is refused.
    """
    start = time.monotonic()
    picture = read_upload(path, limits)
    logits = Segmenter(MODEL, device=device).picture_logits(picture).cpu()
    size = screen_size(picture, _SCREEN)
    small_logits = F.interpolate(logits[None], size[::-1], mode="bilinear", antialias=True)[0]
    told = f"Done in {time.monotonic() - start:.1f} s. Move the threshold, and the picture follows."
    told += _UNSURE if is_unsure(logits) else ""
    found = Found(Path(str(path)), folder, view(picture, size), small_logits, told)
    np.save(found.logits_file, logits.numpy())
    return found


def show(found: Found, kind: str, threshold: float) -> Path:
    """Write what the screen shows of the mask, overlay or cutout at a threshold; return its file.

    The network doesn't run. Raises InputError for another kind and a threshold outside (0, 1).
    """
    wanted = check_kind(kind)
    result = _render(found.small, found.small_logits, wanted, threshold)
    name = f"{wanted}_{round(threshold * 1000):03}"  # another name, lest the browser show the last
    if wanted == "mask":
        return save(replace(result, format="PNG"), found.folder / f"{name}.png")
    return save(result, found.folder / f"{name}.webp")


def write(found: Found, kind: str, threshold: float, limits: Limits) -> Path:
    """Write the mask, overlay or cutout as a PNG of the photograph's own size; return its file.

    Its pixels are those of `zoo.Segmenter` with this threshold. The network doesn't run.
    Raises InputError as `show` does, ImageError if the photograph is gone.
    """
    wanted = check_kind(kind)
    picture = replace(read_upload(str(found.source), limits), format="PNG")
    logits = torch.from_numpy(np.load(found.logits_file))
    target = found.folder / f"{found.source.stem}_{wanted}.png"
    with without_folder(target):
        write_image(_render(picture, logits, wanted, threshold), target, overwrite=True)
    return target


def _render(picture: Picture, logits: Tensor, kind: Kind, threshold: float) -> Picture:
    return Segmenter(MODEL, threshold=threshold, device="cpu").render(picture, logits, kind)

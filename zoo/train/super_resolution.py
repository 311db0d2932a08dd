"""Super-resolution for the training loop: recipe, batches and validation."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from zoo.errors import DataError, RecipeError
from zoo.pictures.files import list_images
from zoo.pictures.picture import to_pixels, to_tensor
from zoo.sr.data.degraded import DegradedPatches
from zoo.sr.data.imresize import bicubic_downscale
from zoo.sr.data.pairs import Degradation, Pair, PairedPatches, load_pair
from zoo.sr.losses.pixel import PIXEL_LOSSES, Loss
from zoo.sr.measure.metrics import psnr_rgb, psnr_y
from zoo.train.sr_recipe import SRRecipe, SRStage
from zoo.train.teacher import blend, folder_for, make_targets, with_teacher


def split_held_out(files: Sequence[Path], count: int) -> tuple[list[Path], list[Path]]:
    """Splits photographs into (training, held out); the held-out ones are evenly spaced.

    Raises:
        DataError: nothing is left to train on.
    """
    if len(files) <= count:
        raise DataError(
            f"{len(files)} photographs are too few to set {count} aside:"
            f" {few_held_out(len(files), 'photographs')}."
        )
    picked = {i * len(files) // count for i in range(count)}
    held_out = [file for i, file in enumerate(files) if i in picked]
    return [file for i, file in enumerate(files) if i not in picked], held_out


def few_held_out(count: int, what: str) -> str:
    """Advice for a data set that is too small for `held_out`."""
    if count < 2:
        return f"it takes 2 {what} at least, one of them to choose the weights"
    return f"set held_out (--held-out) to {max(1, count // 5)}"


def centre(pair: Pair, scale: int, side: int) -> Pair:
    """The centre of a pair, at most `side` target pixels wide and high."""
    size = side // scale
    top, left = (max(0, (length - size) // 2) for length in pair.input.shape[:2])
    target = pair.target[top * scale : (top + size) * scale, left * scale : (left + size) * scale]
    return Pair(pair.name, target, pair.input[top : top + size, left : left + size])


def storage(pairs: Sequence[Pair], device: torch.device | str) -> torch.device:
    """Where the pixels go: the training device if they fit in half of its free memory, else CPU."""
    device = torch.device(device)
    needed = sum(pair.target.nbytes + pair.input.nbytes for pair in pairs)
    if device.type == "cuda" and needed > torch.cuda.mem_get_info(device)[0] // 2:
        return torch.device("cpu")
    return device


_ENOUGH = 50.0  # dB; nobody sees a difference


class SuperResolution:
    """The super-resolution task: batches from a folder of photographs, a loss, held-out PSNR.

    Args:
        recipe: loss, stages and the number of photographs held out.
        folder: photographs.
        scale: the network's factor of enlargement.
        device: where the network trains.
        degrade: makes a photograph's input; by default the protocol's bicubic `imresize`.
        inputs: folder of ready-made inputs under the photographs' names, instead of `degrade`.
        cache: folder for the results of the recipe's teacher.

    Raises:
        DataError: a file can't be used, photographs are too few, or one is smaller than a patch.
        RecipeError: `shrunk` or a teacher comes with `inputs`, the recipe's degradations with
            `inputs` or `degrade`, a teacher lacks `cache`, or the feature loss lacks its file.
    """

    def __init__(
        self,
        recipe: SRRecipe,
        folder: Path,
        *,
        scale: int,
        device: torch.device | str,
        degrade: Degradation = bicubic_downscale,
        inputs: Path | None = None,
        cache: Path | None = None,
    ) -> None:
        self.scale, self.device = scale, device
        self.measure_by(recipe)  # first, for its network may be missing
        if recipe.shrunk and inputs is not None:
            raise RecipeError("shrunk copies have no ready-made inputs: leave out one of the two.")
        degradations = recipe.degradations
        if degradations and (inputs is not None or degrade is not bicubic_downscale):
            raise RecipeError(
                "The recipe's degradations make the inputs: leave out one of the two."
            )
        train, held_out = split_held_out(list_images(folder, recursive=False), recipe.held_out)
        shares = (1.0, *recipe.shrunk)
        taught = None
        if recipe.teacher is not None:
            if inputs is not None or cache is None:
                raise RecipeError("A teacher needs a cache folder, and makes its inputs itself.")
            taught = make_targets(
                recipe.teacher, train, scale=scale, shares=shares, degrade=degrade, cache=cache
            )
        pairs: list[Pair] = []
        self.held_out: list[Pair] = []
        with ThreadPoolExecutor() as pool:
            for share in shares:
                load = partial(load_pair, scale=scale, degrade=degrade, inputs=inputs, share=share)
                loaded = pool.map(load, train)
                if taught is not None:
                    loaded = map(partial(with_teacher, folder=folder_for(taught, share)), loaded)
                pairs += loaded
                self.held_out += (centre(pair, scale, 256) for pair in pool.map(load, held_out))
        place = storage(pairs, device)
        self.patches = PairedPatches(pairs, scale=scale, device=place)
        if degradations is not None:
            self.patches = DegradedPatches(
                pairs, scale=scale, degrade=degradations.apply, device=place
            )
            self.held_out = [
                pair._replace(
                    input=degradations.apply(pair.target, scale, np.random.default_rng(number))
                )
                for number, pair in enumerate(self.held_out)
            ]
        self.patches.check_patch(max(stage.patch for stage in recipe.stages))

    def measure_by(self, recipe: SRRecipe) -> None:
        """Switch to a recipe's loss and keep the photographs, so that a study reads them once."""
        self.measure: Loss
        self.teacher_share = recipe.teacher.share if recipe.teacher else 0.0
        self.psnr = "psnr_y" if self.scale > 1 else "psnr_rgb"  # luma is blind to colouring
        if recipe.loss == "feature":
            self.measure = recipe.feature.build(self.scale).to(self.device)
            self.score = "minus_feature_loss"
        else:
            self.measure, self.score = PIXEL_LOSSES[recipe.loss], self.psnr

    def batch(self, stage: SRStage, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        return self.patches.batch(stage.batch, stage.patch, generator, candidates=stage.candidates)

    def loss(self, prediction: Tensor, target: Tensor) -> Tensor:
        if self.teacher_share:
            return blend(self.measure, prediction, target, self.teacher_share)
        return self.measure(prediction, target)

    @torch.inference_mode()
    def validate(self, model: nn.Module) -> dict[str, float]:
        """Mean PSNR in dB over the centres (256×256) of the held-out photographs and their shrunk
        copies, on luma or, at scale 1, on RGB; with the feature loss, also its negative.

        A picture counts for at most 50 dB. At scale 1 some inputs are clean, and one of 90 dB would
        outweigh the gains on all others.
        """
        scores: dict[str, list[float]] = {self.psnr: []}
        for pair in self.held_out:
            x = to_tensor(pair.input)[None].to(self.device)
            y = model(x).clamp(0, 1)
            pixels = to_pixels(y[0])
            psnr = (
                psnr_y(pixels, pair.target, crop=self.scale)
                if self.scale > 1
                else psnr_rgb(pixels, pair.target)
            )
            scores[self.psnr].append(min(psnr, _ENOUGH))
            if self.score != self.psnr:
                loss = self.measure(y, to_tensor(pair.target)[None].to(self.device))
                scores.setdefault(self.score, []).append(-loss.item())
        return {name: float(np.mean(values)) for name, values in scores.items()}

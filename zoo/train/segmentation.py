"""Segmentation for the training loop: recipe, batches and validation."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import torch
from accelerate import Accelerator
from pydantic import Field, model_validator
from torch import Tensor, nn

from zoo.errors import RecipeError
from zoo.seg.data.augment import Augmentation
from zoo.seg.data.batches import MaskedImages
from zoo.seg.data.folders import Pair, list_pairs
from zoo.seg.data.pairs import Reading
from zoo.seg.data.resized_copies import resized_copies
from zoo.seg.data.splits import Split, SplitRule, fingerprint
from zoo.seg.losses import segmentation_loss
from zoo.seg.measure.metrics import Counts, accuracy, count, dice_pooled
from zoo.seg.networks.base import SMALLEST
from zoo.sources import resolve
from zoo.train.precision import autocast_for
from zoo.train.recipe import Recipe, Section, Stage


class SegStage(Stage):
    """A stage on squares of `size` pixels a side; its length is in steps or in epochs."""

    size: int = Field(ge=SMALLEST)
    steps: int = Field(default=0, ge=0)
    epochs: float = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _one_length(self) -> SegStage:
        if (self.steps > 0) == (self.epochs > 0):
            raise ValueError("a stage has either steps or epochs")
        return self


class AugmentationSection(Section):
    """See `zoo.seg.data.augment.Augmentation`."""

    rotation: float = Field(default=4.0, ge=0, le=180)
    flip: bool = True
    lighting: float = Field(default=0.05, ge=0, le=1)


class SplitSection(Section):
    """Which groups validate: the first `validation` by name, or fold number `fold` of `folds`.

    A group is a car, a subfolder or a single image. `held_out` others choose the checkpoints.
    """

    validation: int = Field(default=63, ge=0)
    folds: int | None = Field(default=None, ge=2)
    fold: int = Field(default=0, ge=0)
    held_out: int = Field(default=20, gt=0)


class SegRecipe(Recipe):
    """A recipe for segmentation.

    The loss is (binary) cross-entropy plus `dice_weight` times the soft Dice loss. `allow_empty`
    accepts masks without an object. `ignore_index` is the masks' number for void pixels, and above
    the level `mask_threshold` a pixel is foreground; see `zoo.seg.data.masks.read_mask`.
    """

    stages: tuple[SegStage, ...] = Field(min_length=1)
    split: SplitSection = SplitSection()
    augmentation: AugmentationSection = AugmentationSection()
    dice_weight: float = Field(default=0.0, ge=0)
    allow_empty: bool = False
    ignore_index: int | None = Field(default=None, ge=0)
    mask_threshold: float | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _frozen_if_pretrained(self) -> SegRecipe:
        pretrained = self.model.start or self.model.options.get("encoder_weights")
        first = self.stages[0]
        if (first.trainable or first.frozen_statistics) and not pretrained:
            raise ValueError(
                "the first stage freezes what knows nothing yet: set model.start or "
                "model.options.encoder_weights, or let everything learn"
            )
        return self


def smoke(recipe: SegRecipe) -> SegRecipe:
    """The recipe with two steps per stage, small squares and random weights, for a smoke test."""
    stages = tuple(
        stage.model_copy(
            update={
                "steps": 2,
                "epochs": 0,
                "batch": 2,
                "size": max(SMALLEST, stage.size // 8),
                "warmup": 0,
            }
        )
        for stage in recipe.stages
    )
    options = {k: v for k, v in recipe.model.options.items() if k != "encoder_weights"}
    changes = {
        "stages": stages,
        "compile": False,
        "ignore_index": None,
        "mask_threshold": None,
        "split": SplitSection(validation=1, held_out=1),
        "log_every": 1,
        "validate_every": 2,
        "checkpoint_every": 2,
        "model": recipe.model.model_copy(update={"start": None, "options": options}),
    }
    return recipe.model_copy(update=changes)


def split_of(recipe: SegRecipe, pairs: list[Pair]) -> Split:
    """The recipe's split of a folder.

    Raises:
        DataError: there are too few groups.
        InputError: the fold does not exist.
    """
    return SplitRule(**recipe.split.model_dump()).split(pairs)


def with_steps(recipe: SegRecipe, images: int, *, processes: int = 1) -> SegRecipe:
    """The recipe with epochs converted to steps, for this number of training images.

    An epoch is one pass over the images by all processes together: each draws a batch per step.
    """

    def counted(stage: SegStage) -> SegStage:
        if not stage.epochs:
            return stage
        steps = round(stage.epochs * images / (stage.batch * processes))
        return stage.model_copy(update={"steps": max(1, steps), "epochs": 0})

    stages = map(counted, recipe.stages)
    return recipe.model_copy(update={"stages": tuple(stages)})


class Segmentation:
    """The segmentation task: batches from a folder of images and masks, Dice on held-out groups.

    Squares of a stage's size are loaded when the stage draws its first batch. The held-out images
    are measured at that size too, so `score` is "dice_pooled@128" in a stage of 128 pixels.

    Args:
        recipe: `self.recipe` is its copy with epochs converted to steps, to train by.
        folder: see `zoo.seg.data.folders.list_pairs`.
        classes: number of the network's classes.
        channels: number of the channels that it takes.
        cache: where resized copies are kept, see `resized_copies`.
        batches: of a step, see `zoo.train.sharing`; by default one for each process.

    Raises:
        DataError: the folder can't be used or is too small for the split.
        InputError: the recipe has a mask threshold for several classes.
    """

    score: str

    def __init__(
        self,
        recipe: SegRecipe,
        folder: Path,
        *,
        classes: int = 1,
        channels: int = 3,
        cache: Path | None = None,
        batches: int | None = None,
    ) -> None:
        self.folder, self.cache = folder, cache
        self.reading = Reading(
            classes, channels, recipe.allow_empty, recipe.ignore_index, recipe.mask_threshold
        )
        self.pairs = list_pairs(folder)
        self.split = split_of(recipe, self.pairs)
        rule = SplitRule(**recipe.split.model_dump(), groups=fingerprint(self.pairs))
        self.saved_split = asdict(rule)
        batches = batches or Accelerator(mixed_precision="no").num_processes  # as in Trainer
        self.recipe = with_steps(recipe, len(self.split.train), processes=batches)
        self.augmentation = Augmentation(**recipe.augmentation.model_dump())
        self.size = 0

    def check_start(self, start: str) -> None:
        """Raises RecipeError if the weights to start from learned from this folder's validation
        images; ZooError if they are unknown.
        """
        architecture, source = resolve(start)
        source = source or resolve(architecture, "default")[1]
        if source is None or source.split is None or source.split.get("groups") is None:
            return
        earlier = SplitRule.parse(source.split)
        if earlier.groups != self.saved_split["groups"]:
            return
        if not set(self.split.validation) <= set(earlier.split(self.pairs).validation):
            raise RecipeError(
                f"{start} was trained on images that this recipe's split sets aside for validation:"
                f" take its split, {dict(source.split)}."
            )

    def batch(self, stage: SegStage, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Images `[N, C, S, S]` and class numbers `[N, S, S]`, augmented."""
        if stage.size != self.size:
            self._load(stage.size, generator.device)
        return self.train.batch(stage.batch, generator, augmentation=self.augmentation)

    def loss(self, prediction: Tensor, target: Tensor) -> Tensor:
        return segmentation_loss(
            prediction,
            target,
            dice_weight=self.recipe.dice_weight,
            ignore_index=self.reading.void,
        )

    @torch.inference_mode()
    def validate(self, model: nn.Module) -> dict[str, float]:
        """Pooled Dice and accuracy over the held-out images at the stage's size."""
        model.image_size = self.size  # type: ignore[assignment]  # both saved with the weights
        model.split = self.saved_split  # type: ignore[assignment]
        device = self.held_out.device
        half = autocast_for(self.recipe.precision, device)
        parts = []
        for images, masks in self.held_out.in_order(8):
            with half:
                logits = model(images)
            parts.append(count(logits.float(), masks, ignore_index=self.reading.void))
        counts = Counts.join(parts)
        return {self.score: dice_pooled(counts), f"accuracy@{self.size}": accuracy(counts)}

    def _load(self, size: int, device: torch.device) -> None:
        copies = resized_copies(self.folder, self.pairs, size, self.reading, cache=self.cache)
        self.train = MaskedImages(*copies, rows=self.split.train, device=device)
        self.held_out = MaskedImages(*copies, rows=self.split.held_out, device=device)
        self.size, self.score = size, f"dice_pooled@{size}"

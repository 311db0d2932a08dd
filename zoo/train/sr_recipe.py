"""The recipe for super-resolution."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from zoo.errors import RecipeError
from zoo.layers.imagenet import IMAGENET_MEAN, IMAGENET_STD
from zoo.sr.losses.feature_loss import FeatureLoss
from zoo.sr.losses.feature_nets import lesson_net, normalised_vgg19
from zoo.train.degradations import DegradationsSection
from zoo.train.recipe import Recipe, Section, Stage
from zoo.train.teacher import TeacherSection


class SRStage(Stage):
    """A stage on input patches of `patch` pixels a side, each chosen among `candidates` random
    places, see `zoo.sr.data.pairs.PairedPatches.batch`.
    """

    patch: int = Field(gt=0)
    candidates: int = Field(default=1, gt=0)


class FeatureSection(Section):
    """The feature loss, see `zoo.sr.losses.feature_loss.FeatureLoss`.

    `weights` is "default" (torchvision's, for vgg16_bn alone), a *.safetensors file, or null for a
    random network.
    """

    net: Literal["vgg16_bn", "vgg19_normalised"] = "vgg16_bn"
    weights: str | None = Field(default="default", exclude=True)  # a path is no part of a recipe
    layers: dict[str, Annotated[float, Field(gt=0)]] = Field(default={})
    pixel: float = Field(default=0.01, ge=0)
    style: float = Field(default=0.0, ge=0)
    grid: float = Field(default=0.0, ge=0)
    excess: float = Field(default=0.0, ge=0)

    def build(self, scale: int) -> FeatureLoss:
        """The loss for enlarging by `scale`; raises WeightsError if its network can't be had."""
        own = self.net == "vgg19_normalised"  # normalises its input itself
        if own and self.weights == "default":
            raise RecipeError("vgg19_normalised needs a file: --feature-weights FILE.")
        return FeatureLoss(
            normalised_vgg19(self.weights) if own else lesson_net(self.weights),
            self.layers or None,
            pixel=self.pixel,
            style=self.style,
            grid=self.grid,
            excess=self.excess,
            period=scale,
            mean=(0, 0, 0) if own else IMAGENET_MEAN,
            std=(1, 1, 1) if own else IMAGENET_STD,
        )


class SRRecipe(Recipe):
    """A recipe for super-resolution.

    Every `len(photographs) / held_out`-th photograph is held out. The best weights have the highest
    PSNR on these, or with the loss "feature" the lowest loss. `shrunk` adds copies of all
    photographs with their sides scaled by each factor: more detail per patch, fewer JPEG artefacts.
    `degradations` makes the input of each patch anew; the held-out photographs get theirs once.
    """

    stages: tuple[SRStage, ...] = Field(min_length=1)
    loss: Literal["l1", "mse", "charbonnier", "feature"] = "l1"
    feature: FeatureSection = FeatureSection()
    held_out: int = Field(default=24, gt=0)
    shrunk: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = ()
    teacher: TeacherSection | None = None
    degradations: DegradationsSection | None = None


def smoke(recipe: SRRecipe) -> SRRecipe:
    """The recipe with two steps per stage, small patches and random weights, for a smoke test."""
    stages = tuple(
        stage.model_copy(update={"steps": 2, "batch": 2, "patch": 24, "warmup": 0})
        for stage in recipe.stages
    )
    changes = {
        "stages": stages,
        "compile": False,
        "held_out": 2,
        "log_every": 1,
        "validate_every": 2,
        "checkpoint_every": 1,
        "model": recipe.model.model_copy(update={"start": None}),
        "teacher": None,
        "feature": recipe.feature.model_copy(update={"weights": None}),
    }
    return recipe.model_copy(update=changes)

"""Recipes: YAML files with a typed schema; an unknown key is an error."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from zoo.errors import RecipeError, did_you_mean
from zoo.train.precision import Precision


class Section(BaseModel):
    """Part of a recipe: immutable; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelSection(Section):
    """The network and its start.

    `start` names weights to begin from, of this or of another network: registered ones
    ("srresnet_x2.psnr"), hf-hub:…, a folder that a run wrote, or another recipe ("NAME.yaml", from
    this one's folder), whose result is meant, see `zoo.train.chain`. At least the share
    `min_copied` of the parameters must be copied from there.
    """

    name: str
    options: dict[str, Any] = {}
    start: str | None = None
    min_copied: float = Field(default=0.5, ge=0, le=1)


class OptimizerSection(Section):
    """An optimizer by name.

    Muon orthogonalises the updates of weight matrices; all other parameters, and the modules in
    `adam_modules`, use Adam at `adam_ratio` times the learning rate. `weight_decay` acts on all
    parameters but norms and biases.
    """

    name: Literal["adam", "adamw", "muon"] = "adam"
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = Field(default=0.0, ge=0)
    adam_modules: tuple[str, ...] = ()
    adam_ratio: float = Field(default=1.0, gt=0)


class Stage(Section):
    """A stretch of training with its own optimizer and learning-rate schedule.

    `batch` counts images per step and process. They are computed in `accumulate` parts, one after
    the other, so that memory holds one of them; only batch norm sees the difference. `trainable`
    names the modules that learn (all if empty). Batch-norm statistics stay fixed in all other
    modules, and in those of `frozen_statistics`, whose parameters learn. `lr_ratios` gives layer
    groups of the model (its `layer_groups()`) a share of `lr`; the others have 1.
    """

    steps: int = Field(gt=0)
    batch: int = Field(gt=0)
    accumulate: int = Field(default=1, gt=0)
    lr: float = Field(gt=0)
    schedule: Literal["cosine", "onecycle", "constant", "exponential"] = "cosine"
    warmup: int = Field(default=0, ge=0)
    trainable: tuple[str, ...] = ()
    frozen_statistics: tuple[str, ...] = ()
    lr_ratios: dict[str, Annotated[float, Field(gt=0)]] = {}

    @model_validator(mode="after")
    def _one_way_to_begin(self) -> Stage:
        if self.warmup and self.schedule == "onecycle":
            raise ValueError("onecycle warms up by itself: leave warmup out")
        return self

    @model_validator(mode="after")
    def _equal_parts(self) -> Stage:
        if self.batch % self.accumulate:
            raise ValueError(f"accumulate must divide the batch, which is {self.batch}")
        return self


class Recipe(Section):
    """The keys of every recipe; each task adds its data, loss and stages.

    `ema` is the decay of the averaged weights (it rises to this value, see `zoo.train.averaging`),
    `clip` the largest gradient norm; the intervals `*_every` are in steps. For `precision` see
    `zoo.train.precision`.
    """

    model: ModelSection
    optimizer: OptimizerSection = OptimizerSection()
    stages: tuple[Stage, ...] = Field(min_length=1)
    seed: int = 0
    ema: float = Field(default=0.999, ge=0, lt=1)
    clip: float | None = Field(default=None, gt=0)
    precision: Precision = "auto"
    compile: bool = False
    log_every: int = Field(default=50, gt=0)
    validate_every: int = Field(default=1000, gt=0)
    checkpoint_every: int = Field(default=500, gt=0)

    @model_validator(mode="after")
    def _logged_when_saved(self) -> Recipe:
        if self.validate_every % self.log_every or self.checkpoint_every % self.log_every:
            fitting = math.gcd(self.validate_every, self.checkpoint_every)
            raise ValueError(
                "validate_every and checkpoint_every must be multiples of log_every, which is"
                f" {self.log_every}: set log_every to {fitting}"
            )
        return self


R = TypeVar("R", bound=Recipe)


def load_recipe(file: Path, schema: type[R]) -> R:
    """Reads a recipe file.

    Raises:
        RecipeError: the file is missing or no YAML, or an entry does not fit; the message names
            the first such entry and the nearest known key.
    """
    try:
        return schema.model_validate(read_recipe(file))
    except ValidationError as error:
        raise RecipeError(f"The recipe {file}: {describe(error, schema)}") from error


def read_recipe(file: Path) -> Any:
    """The content of a recipe file, not held against a schema; raises RecipeError if it is none."""
    try:
        return yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"The recipe {file} can't be read: {error.strerror}.") from error
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        raise RecipeError(
            f"The recipe {file} is no valid YAML: {' '.join(str(error).split())}."
        ) from error


def describe(error: ValidationError, schema: type[BaseModel]) -> str:
    """The first validation error as one sentence."""
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    if first["type"] != "extra_forbidden":
        return f"{where or 'the top level'}: {first['msg']}."
    keys = known_keys(schema, first["loc"][:-1])
    nearest = did_you_mean(str(first["loc"][-1]), keys)
    return f"unknown key {where!r}; known are {', '.join(keys)}.{nearest}"


def known_keys(schema: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    """Keys of the section at `path`, in which indices into sequences are ignored."""
    for part in path:
        if isinstance(part, str):
            kind: Any = schema.model_fields[part].annotation
            schema = next(a for a in (kind, *getattr(kind, "__args__", ())) if isinstance(a, type))
    return list(schema.model_fields)

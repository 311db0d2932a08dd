"""The recipe by which an earlier run goes on: its own, perhaps with stages added."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from zoo.errors import TrainingError
from zoo.train.recipe import Recipe, Stage

R = TypeVar("R", bound=Recipe)


def continued(recipe: R, run: Mapping[str, Any], *, added: int, steps_more: int, folder: Path) -> R:
    """The recipe of a run to go on by.

    Args:
        recipe: must be the run's, but for the stages that were added to the run.
        run: the recipe in the run's checkpoint, as JSON.
        added: number of stages, the run's last, that were added to it.
        steps_more: length of one more stage, or 0; see `stage_after`.
        folder: the run's, for messages.

    Raises:
        TrainingError: the run has another recipe.
    """
    earlier = dict(run)
    with suppress(ValidationError):  # adds keys that are newer than the run
        earlier = type(recipe).model_validate(earlier).model_dump(mode="json")
    stages = earlier["stages"]
    earlier["stages"] = stages[: len(stages) - added]
    found = difference(earlier, recipe.model_dump(mode="json"))
    if found:
        raise TrainingError(
            f"{folder} holds a run of another recipe: {found}. To train on from its weights, set"
            f" model.start to {folder / 'best'} and choose another --out."
        )
    kind = type(recipe.stages[0])
    more = [kind.model_validate(stage) for stage in stages[len(stages) - added :]]
    if steps_more:
        more.append(stage_after((*recipe.stages, *more)[-1], steps_more))
    return recipe.model_copy(update={"stages": (*recipe.stages, *more)})


def stage_after(last: Stage, steps: int) -> Stage:
    """A stage like the last one, with a warm-up and an annealing of its own.

    After a constant rate a cosine follows; without a warm-up, a tenth of the steps is one.
    """
    changes: dict[str, Any] = {"steps": steps}
    if last.schedule != "onecycle":
        warmup = min(last.warmup or steps // 10, steps // 2)
        changes |= {"schedule": "cosine", "warmup": warmup}
    return last.model_copy(update=changes)


def difference(earlier: Any, now: Any, path: str = "") -> str | None:
    """The first entry that differs, such as "stages.1.lr was 0.1 and is 0.2"."""
    if isinstance(earlier, dict) and isinstance(now, dict):
        pairs = [(key, earlier.get(key), now.get(key)) for key in {**earlier, **now}]
    elif isinstance(earlier, list) and isinstance(now, list) and len(earlier) == len(now):
        pairs = [(str(i), *pair) for i, pair in enumerate(zip(earlier, now, strict=True))]
    elif earlier == now:
        return None
    elif isinstance(earlier, list) and isinstance(now, list) and path == "stages":
        return f"it had {len(earlier)} stages and has {len(now)}"
    else:
        return f"{path} was {earlier} and is {now}"
    found = (difference(a, b, f"{path}.{key}".lstrip(".")) for key, a, b in pairs)
    return next(filter(None, found), None)

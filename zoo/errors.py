"""The exceptions of zoo. Each message says what was wrong and what is accepted."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class ZooError(Exception):
    """Base of every error that zoo raises on purpose."""


class UnknownNameError(ZooError):
    """A model, weight or other name that is not registered."""


class OptionError(ZooError, TypeError):
    """An option that a builder does not take, or that contradicts the weights asked for."""


class WeightsError(ZooError):
    """A weight file that is missing, damaged, refused or made for another model."""


class ImageError(ZooError):
    """A picture that cannot be read, is not supported, or is refused."""


class InputError(ZooError, ValueError):
    """A tensor or an argument outside of what is accepted."""


class RecipeError(ZooError):
    """A recipe file with an unknown key, a wrong type or a missing entry."""


class DataError(ZooError):
    """A data set that is missing, incomplete or inconsistent."""


class TrainingError(ZooError):
    """A training run that cannot go on."""


class ExportError(ZooError):
    """A model that cannot be written as a graph for other programs."""


class ClusterError(ZooError):
    """A Ray cluster that cannot be reached, has not what is asked for, or went away."""


class MissingDependencyError(ZooError, ImportError):
    """An optional package that is needed and not installed."""


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """Return `" Did you mean 'x'?"` for the choice nearest to `name`, or `""` if none is near."""
    nearest = get_close_matches(name, list(choices), n=1)
    return f" Did you mean {nearest[0]!r}?" if nearest else ""

"""Sample photographs, those of scikit-image, for demonstrations."""

from __future__ import annotations

from zoo.errors import ImageError, MissingDependencyError
from zoo.pictures.picture import Array

SAMPLES = ("astronaut", "chelsea", "coffee")


def sample(name: str) -> Array:
    """Return a photograph of SAMPLES, uint8 `[H, W, 3]`.

    Raises MissingDependencyError without scikit-image, ImageError if it lacks the photograph.
    """
    try:
        import skimage.data
    except ImportError as error:
        raise MissingDependencyError(
            "The sample photographs come with scikit-image: pip install 'zoo-models[samples]', "
            "or name pictures of your own."
        ) from error
    try:
        pixels: Array = getattr(skimage.data, name)()
    except Exception as error:  # some releases download the photographs
        raise ImageError(f"scikit-image has no photograph {name!r} ({error}).") from error
    return pixels

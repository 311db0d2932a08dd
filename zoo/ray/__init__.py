"""Inference over millions of photographs with Ray Data. Needs the extra `ray`.

report = zoo.ray.upscale("s3://photos/2024", "s3://photos/large")  # a Dataset with a row for each
"""

from zoo.errors import MissingDependencyError

try:
    import ray.data  # noqa: F401
except ImportError as error:
    raise MissingDependencyError(
        f"Ray Data is needed, and {error.name} is missing: pip install 'zoo-models[ray]'."
    ) from error

from zoo.ray.datasets import segment as segment
from zoo.ray.datasets import upscale as upscale

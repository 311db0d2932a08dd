"""Speed, start and memory, side by side with other packages. Run by `python benchmarks/speed`."""

from typing import Literal

Part = Literal[
    "super-resolution",
    "fast",
    "tiles",
    "segmentation",
    "runtimes",
    "training",
    "start",
    "folder",
    "memory",
]

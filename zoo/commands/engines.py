"""The engine of a command: this process, or Ray on many processes and machines."""

from __future__ import annotations

from dataclasses import dataclass

from zoo.errors import InputError, did_you_mean

_ENGINES = ("local", "ray")


@dataclass(frozen=True)
class Engine:
    """Who goes through the photographs, as the options tell.

    name: "local" or "ray". The other options are those of "ray".
    address: of a Ray cluster; None for one that is started for this command.
    workers: processes with one model each; None for as many as the cluster has room for.
    gpus: share of a GPU for each worker; None for a whole one where there are GPUs.
    report: a file *.csv or *.parquet; None for OUT/report.csv.

    Raises InputError for another name, and for options of Ray without it.
    """

    name: str = "local"
    address: str | None = None
    workers: int | None = None
    gpus: float | None = None
    report: str | None = None

    def __post_init__(self) -> None:
        if self.name not in _ENGINES:
            hint = did_you_mean(self.name, _ENGINES)
            raise InputError(f"--engine {self.name} is none of {', '.join(_ENGINES)}.{hint}")
        for option in ("address", "workers", "gpus", "report"):
            if not self.is_ray and getattr(self, option) is not None:
                raise InputError(f"--{option} needs --engine ray.")

    @property
    def is_ray(self) -> bool:
        return self.name == "ray"

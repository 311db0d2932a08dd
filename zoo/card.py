"""The model card of a Hugging Face repository: README.md with its YAML head.

Facts and figures come from the registered weights that a model holds. Of other weights nothing is
known but what their owner says.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import zoo
from zoo.errors import InputError
from zoo.facts import origin, shapes
from zoo.model import ZooModel
from zoo.registry import Model, Weights, get_model
from zoo.store.atomic import replacing
from zoo.store.folder import config_of

if TYPE_CHECKING:
    from huggingface_hub import EvalResult, ModelCardData

CARD_FILE = "README.md"
LIBRARY = "zoo-models"  # what pip installs
PIPELINE_TAGS = {"super-resolution": "image-to-image", "segmentation": "image-segmentation"}
_MARK = "<!-- zoo wrote this page, and writes it anew unless this line is gone. -->"


def write_card(text: str, folder: Path) -> None:
    """Write README.md into a folder, unless one is there that zoo did not write."""
    file = folder / CARD_FILE
    if file.exists() and _MARK not in file.read_text(encoding="utf-8", errors="replace"):
        return
    with replacing(file) as part:
        part.write_text(text, encoding="utf-8")


def card(
    model: ZooModel,
    *,
    repo: str | None = None,
    license: str | None = None,
    datasets: Sequence[str] = (),
) -> str:
    """Return the model card as text.

    repo: "org/repo" for the example in it. license, datasets: see `ZooModel.save_pretrained`.
    Raises InputError where these are given for weights whose own are known, and for a model that
    zoo did not build.
    """
    registered = get_model(config_of(model)["architecture"])
    if isinstance(datasets, str):
        raise InputError(f"datasets takes a list of names, not the text {datasets!r}.")
    weights = origin(model)
    if weights is not None and (license is not None or datasets):
        raise InputError(
            f"The weights are those of {weights.name}, whose licence and data are known:"
            f" license= and datasets= must go. Their licence: {weights.meta.license}"
        )
    if weights is None:
        data = _metadata(registered, license=license, datasets=list(datasets) or None)
    else:
        data = _metadata(registered, **_terms(weights), **_results(registered, weights))
    parts = [f"---\n{data.to_yaml()}\n---", _MARK, *_body(model, registered, weights, repo)]
    return "\n\n".join(parts) + "\n"


def _metadata(model: Model, **facts: Any) -> ModelCardData:
    from huggingface_hub import ModelCardData

    return ModelCardData(
        library_name=LIBRARY,
        pipeline_tag=PIPELINE_TAGS[model.task],
        tags=[model.task, model.name, "pytorch"],
        **facts,
    )


def _terms(weights: Weights) -> dict[str, Any]:
    """Licence and data in the hub's words; a licence that it does not know is "other"."""
    meta = weights.meta
    terms: dict[str, Any] = {"license": meta.license_id}
    if meta.license_link:
        terms = {
            "license": "other",
            "license_name": meta.license_id,
            "license_link": meta.license_link,
        }
    return terms | ({"datasets": list(meta.datasets)} if meta.datasets else {})


def _results(model: Model, weights: Weights) -> dict[str, Any]:
    """The measured figures as the hub's `model-index`; empty if there are none."""
    from huggingface_hub import EvalResult

    protocol = weights.metrics.get("protocol", "")
    results: list[EvalResult] = []
    for name, metric, value in _figures(weights):
        held_out = name.startswith("validation")  # a part of the training data set
        data_set = weights.meta.datasets[0] if held_out and weights.meta.datasets else name
        results.append(
            EvalResult(
                task_type=PIPELINE_TAGS[model.task],
                task_name=model.task,
                dataset_type=data_set,
                dataset_name=data_set,
                dataset_split=name if held_out else None,
                metric_type=metric,
                metric_value=value,
                metric_args={"protocol": protocol} if protocol else None,
            )
        )
    return {"model_name": weights.name, "eval_results": results} if results else {}


def _figures(weights: Weights) -> Iterator[tuple[str, str, float]]:
    """Yield image set, metric and value of all that was measured."""
    for name, metrics in weights.metrics.items():
        if isinstance(metrics, dict):
            yield from ((name, metric, value) for metric, value in metrics.items())


def _body(
    model: ZooModel, registered: Model, weights: Weights | None, repo: str | None
) -> Iterator[str]:
    place = repo or "org/repo"
    command = "upscale" if registered.task == "super-resolution" else "segment"
    yield f"# {weights.name if weights else registered.name}"
    what = registered.summary.partition(";")[0]  # the number of parameters follows the options
    count = sum(parameter.numel() for parameter in model.parameters())
    yield f"{what}. {count:,} parameters. A model of {LIBRARY} {zoo.__version__} for PyTorch."
    yield f"""```python
import zoo

model = zoo.ZooModel.from_pretrained("{place}")  # or a folder with these files
```"""
    if getattr(model, "in_chans", 3) == 3:
        yield f"```bash\nzoo {command} photo.jpg -o results/ --model hf-hub:{place}\n```"
    yield "\n".join(f"- {key}: {text}" for key, text in shapes(model).items())
    if weights is None:
        yield "Nothing is recorded of the training data: they decide the licence and the limits."
        return
    meta = weights.meta
    told = {
        "Intended use": meta.use,
        "Limits": meta.limits,
        "Licence of the weights": meta.license,
        "Training data": meta.training_data,
        "Terms of the data": meta.training_data_terms,
        "Recipe": f"`{meta.recipe}`, version {meta.version}",
    }
    yield "\n".join(f"- **{key}**: {text}" for key, text in told.items() if text)
    if rows := [f"| {name} | {metric} | {value:g} |" for name, metric, value in _figures(weights)]:
        yield "\n".join(["| images | metric | measured |", "|---|---|---|", *rows])
        yield f"Protocol: {weights.metrics.get('protocol', 'not recorded')}."

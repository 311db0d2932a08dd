"""Models in folders, Hugging Face's way: model.safetensors beside config.json, local or on the hub.

huggingface_hub's PyTorchModelHubMixin writes the same folder, but must be imported before a model
class is defined, loads with strict=False and opens pickles; hence the few lines here.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from torch import nn

from zoo.atomic import replacing
from zoo.download import reason_of
from zoo.errors import InputError, WeightsError
from zoo.model import ZooModel
from zoo.registry import build_with
from zoo.sources import CONFIG_FILE, WEIGHTS_FILE, folder_source
from zoo.statedict import save_weights, unwrap


def save_model(model: nn.Module, folder: str | Path) -> Path:
    """Write `model.safetensors` and `config.json` into a folder, which is made if need be.

    `model` is one that zoo built, also inside of torch.compile, DataParallel or
    DistributedDataParallel, in any memory format, on any device. Its dtypes are kept.
    Raises InputError for another module, for options that JSON cannot hold, or for a folder that
    cannot be made.
    """
    model = unwrap(model)
    config = getattr(model, "config", None)
    if not isinstance(config, dict):
        raise InputError(
            f"save_model takes a model that create_model built, not a {type(model).__name__};"
            " safetensors.torch.save_model writes any other module."
        )
    try:
        text = json.dumps(config, indent=2) + "\n"
    except TypeError as error:
        raise InputError(
            f"{config['architecture']} was built with an option that config.json cannot hold"
            f" ({error}); build it with names and numbers, or save its state dict."
        ) from error
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: the folder can't be made ({error.strerror}).") from error
    save_weights(model.state_dict(), folder / WEIGHTS_FILE)
    with replacing(folder / CONFIG_FILE) as part:
        part.write_text(text)
    return folder


def load_model(place: str | Path) -> ZooModel:
    """Return the model of a folder, or of "hf-hub:org/repo@revision", in eval mode.

    fp16 files load as fp32. Raises WeightsError for a folder that is incomplete, damaged or made
    for another model, UnknownNameError for an architecture that this version does not have.
    """
    return build_with(folder_source(place), {}).eval()


def push_to_hub(
    model: nn.Module,
    repo: str,
    *,
    private: bool | None = None,
    token: str | None = None,
    commit_message: str = "Upload model",
) -> str:
    """Upload a model's folder to the Hugging Face repository "org/name"; return the URL."""
    from huggingface_hub import HfApi

    with tempfile.TemporaryDirectory() as folder:
        save_model(model, folder)
        api = HfApi(token=token)
        try:
            api.create_repo(repo, private=private, exist_ok=True)
            commit = api.upload_folder(
                repo_id=repo, folder_path=folder, commit_message=commit_message
            )
        except Exception as error:  # the client's own errors and those of its HTTP library
            raise WeightsError(f"{repo} could not be uploaded: {reason_of(error)}.") from error
    return str(commit.commit_url)

"""Folders for the Hugging Face hub, file by file, and their upload to one on this machine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from fake_hub import TOKEN
from huggingface_hub import ModelCard
from toys import same_state

import zoo
from zoo.errors import InputError, WeightsError
from zoo.registry import get_weights, index
from zoo.store.state_dict import read_weights

RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"
FILES = ["README.md", "config.json", "model.safetensors"]
SHIPPED = sorted(index())


def tiny(**options) -> zoo.ZooModel:
    return zoo.create_model("srresnet_x2", **{"depth": 1, "width": 8, **options})


def card_of(folder: Path) -> ModelCard:
    return ModelCard.load(folder / "README.md")


def test_every_model_goes_to_the_hub_and_comes_back(tiny_model, hub, tmp_path):
    url = tiny_model.push_to_hub("me/toy", token=TOKEN)
    assert url == f"{hub.url}/me/toy/commit/{hub.repo().refs['main']}"
    again = type(tiny_model).from_pretrained("me/toy")
    image = torch.rand(1, 3, 35, 32)
    assert torch.equal(again(image), tiny_model(image))
    assert again.config == tiny_model.config

    assert sorted(hub.repo().files) == FILES
    for name, content in hub.repo().files.items():
        (tmp_path / name).write_bytes(content)
    written = json.loads((tmp_path / "config.json").read_text())
    assert written["architecture"] == tiny_model.config["architecture"]
    assert read_weights(tmp_path / "model.safetensors").keys() == tiny_model.state_dict().keys()
    head = card_of(tmp_path).data.to_dict()
    assert head["library_name"] == "zoo-models"
    task = {"super-resolution": "image-to-image", "segmentation": "image-segmentation"}
    assert head["pipeline_tag"] == task[head["tags"][0]]
    assert not head.keys() & {"license", "datasets", "model-index"}  # nobody knows them


def test_what_is_pushed_is_what_is_saved(hub, tmp_path):
    options = {"license": "mit", "datasets": ["me/photographs"]}
    model = tiny()
    folder = model.save_pretrained(tmp_path / "new" / "folder", **options)
    model.push_to_hub("me/repo", token=TOKEN, **options)
    for name, content in hub.repo("me/repo").files.items():
        saved = (folder / name).read_bytes()
        assert content.replace(b"me/repo", b"org/repo") == saved
    assert sorted(path.name for path in folder.iterdir()) == FILES
    assert same_state(zoo.ZooModel.from_pretrained(folder), model)


@pytest.mark.parametrize("name", SHIPPED)
def test_the_card_of_shipped_weights_has_the_measured_figures(name, tmp_path):
    folder = zoo.load_model(name).save_pretrained(tmp_path)
    card, meta = card_of(folder), get_weights(name).meta
    measured = json.loads((RESULTS / f"{name}.json").read_text())
    told = {
        (result.dataset_split or result.dataset_type, result.metric_type): result.metric_value
        for result in card.data.eval_results
    }
    assert card.data.model_name == name
    assert len(told) == len(card.data.eval_results) > 5
    for (images, metric), value in told.items():
        assert value == pytest.approx(measured["sets"][images][metric], abs=6e-6)
    protocol = measured["protocol"]
    assert all(result.metric_args["protocol"] == protocol for result in card.data.eval_results)
    assert f"Protocol: {protocol}." in card.text
    assert card.data.datasets == list(meta.datasets)
    assert meta.license in card.text
    known_to_the_hub = card.data.license == "cc-by-nc-sa-4.0" and "CC BY-NC-SA 4.0" in meta.license
    named = card.data.license == "other" and card.data.license_name and card.data.license_link
    assert known_to_the_hub or named


def test_weights_are_known_by_their_tensors(hub):
    """Also after a detour; a single other value, and nothing is claimed of them any more."""
    zoo.load_model("srresnet_x2.fast").push_to_hub("me/toy", token=TOKEN)
    net = zoo.ZooModel.from_pretrained("me/toy")
    net.push_to_hub("me/copy", token=TOKEN)
    cards = [hub.repo(name).files["README.md"].decode() for name in ("me/toy", "me/copy")]
    assert cards[1] == cards[0].replace("me/toy", "me/copy")
    assert "model-index" in cards[0]
    with torch.no_grad():
        next(net.parameters())[0] += 0.01
    net.push_to_hub("me/copy", token=TOKEN)
    card = hub.repo("me/copy").files["README.md"].decode()
    assert "model-index" not in card
    assert "license" not in ModelCard(card).data.to_dict()


def test_the_package_alone_knows_all_that_a_card_says(tmp_path):
    """As from the installed wheel: no benchmarks, no pages."""
    others = [f"{name}.safetensors" for name in SHIPPED if name != "srresnet_x2.fast"]
    ignored = shutil.ignore_patterns("__pycache__", *others)
    shutil.copytree(Path(zoo.__file__).parent, tmp_path / "site" / "zoo", ignore=ignored)
    program = """if True:
        import zoo
        folder = zoo.load_model("srresnet_x2.fast").save_pretrained("folder")
        print(zoo.__file__, zoo.ZooModel.from_pretrained(folder).source)"""
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    result = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert result.stdout.split() == [str(tmp_path / "site" / "zoo" / "__init__.py"), "folder"]
    expected = zoo.load_model("srresnet_x2.fast").save_pretrained(tmp_path / "expected")
    for name in FILES:
        assert (tmp_path / "folder" / name).read_bytes() == (expected / name).read_bytes()


def test_the_owner_tells_licence_and_data_of_own_weights_alone(tmp_path):
    folder = tiny().save_pretrained(tmp_path / "own", license="mit", datasets=["me/photographs"])
    assert card_of(folder).data.license == "mit"
    assert card_of(folder).data.datasets == ["me/photographs"]
    with pytest.raises(InputError, match="those of srresnet_x2.fast.*license= and datasets= must"):
        zoo.load_model("srresnet_x2.fast").save_pretrained(tmp_path / "no", license="mit")
    with pytest.raises(InputError, match="a list of names, not the text 'photographs'"):
        tiny().save_pretrained(tmp_path / "no", datasets="photographs")
    with pytest.raises(InputError, match="a model that create_model built"):
        type(tiny())(2).save_pretrained(tmp_path / "no")
    assert not (tmp_path / "no").exists()


def test_a_card_by_hand_is_kept_and_an_old_one_of_ours_replaced(tmp_path):
    zoo.load_model("srresnet_x2.fast").save_pretrained(tmp_path)
    tiny().save_pretrained(tmp_path)
    assert "model-index" not in (tmp_path / "README.md").read_text()
    (tmp_path / "README.md").write_text("# Mine\n")
    tiny().save_pretrained(tmp_path)
    assert (tmp_path / "README.md").read_text() == "# Mine\n"


def test_a_branch_is_pushed_to_and_the_same_model_makes_no_second_commit(hub):
    model, other = tiny(), tiny()
    model.push_to_hub("me/toy", private=True, token=TOKEN)
    assert hub.repo().private
    url = other.push_to_hub("me/toy", revision="wide", token=TOKEN, commit_message="Other")
    assert url.endswith(hub.repo().refs["wide"])
    assert same_state(zoo.ZooModel.from_pretrained("me/toy", token=TOKEN), model)
    again = zoo.ZooModel.from_pretrained("me/toy", revision="wide", token=TOKEN)
    assert same_state(again, other)
    commits = len(hub.repo().commits)
    assert other.push_to_hub("me/toy", revision="wide", token=TOKEN) == url
    assert len(hub.repo().commits) == commits


def test_a_file_is_sent_once(hub):
    model = tiny()
    model.push_to_hub("me/toy", token=TOKEN)
    model.push_to_hub("me/copy", token=TOKEN)
    assert len(hub.asked("PUT /store/")) == 1


@pytest.mark.parametrize(
    ("repo", "token", "said"),
    [
        ("them/toy", TOKEN, r"them/toy could not be uploaded: .*does not allow it \(403\)"),
        ("me/toy", None, r"me/toy could not be uploaded: .*valid token \(401\): log in"),
        ("toy", TOKEN, "toy is neither a folder nor a repository, 'org/repo'"),
        ("me/a toy", TOKEN, "not of the form hf-hub:org/repo"),
    ],
)
def test_a_refused_push_is_told(hub, repo, token, said):
    with pytest.raises(WeightsError, match=said):
        tiny().push_to_hub(repo, token=token)
    assert hub.repos == {}


def test_a_push_without_a_network_is_told(hub, monkeypatch):
    from conftest import point_to

    point_to("http://127.0.0.1:1", monkeypatch)
    with pytest.raises(WeightsError, match="me/toy could not be uploaded: .*refused"):
        tiny().push_to_hub("me/toy", token=TOKEN)


def test_misspelt_options_fail():
    for call in (tiny().push_to_hub, tiny().save_pretrained, zoo.ZooModel.from_pretrained):
        with pytest.raises(TypeError, match="unexpected keyword argument 'licence'"):
            call("me/toy", licence="mit")

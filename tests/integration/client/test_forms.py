"""What models that creation functions make take over from those that are there: files, order and layer graph."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import mgit
from mgit.creating.rebuilds import RebuildOutcome
from mgit.errors import NotFoundError
from mgit.frameworks.torch import trace_layers
from mgit_core.layers.graph import LayerGraph, LayerGraphSource

pytestmark = [pytest.mark.neo4j, pytest.mark.slow]

MODULE = """
import numpy as np

def grow(parents, *, by=1.0):
    return {name: array + np.float32(by) for name, array in sorted(parents[-1].load(progress=None).items())}

def prune(parents):
    from mgit.frameworks.torch.creation import prune
    return prune(parents[0].load("torch", progress=None), 0.5)

def mean(parents):
    states = [parent.load(progress=None) for parent in parents]
    return {name: sum(state[name] for state in states) / len(states) for name in states[0]}

def widen(parents):
    arrays = dict(parents[0].load(progress=None))
    return {**arrays, "1.weight": np.zeros((5, 4), np.float32), "1.bias": np.zeros(5, np.float32)}

def module(parents):
    import torch
    return torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 5))

def remove_meanwhile(parents, *, address, ref):
    import mgit
    with mgit.connect(address) as repo:
        repo.remove(ref)
    return grow(parents)

def never(parents):
    raise RuntimeError("this was run")

def tie(parents):
    array = parents[0].load(progress=None)["embedding.weight"] + np.float32(1)
    return {"embedding.weight": array, "head.weight": array}

def language_model(parents):
    import torch
    module = torch.nn.ModuleDict({"embedding": torch.nn.Embedding(6, 4), "head": torch.nn.Linear(4, 6, bias=False)})
    module.head.weight = module.embedding.weight
    with torch.no_grad():
        module.embedding.weight.copy_(parents[0].load("torch", progress=None)["embedding.weight"] + 1)
    return module

def grow_together(members):
    return {name: grow(parents) for name, parents in members.items()}
"""
CONFIG = {"num_labels": 2}
TOKENS = "[CLS] [SEP]\n"


@pytest.fixture(autouse=True)
def forms_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The module with the creation functions, in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "forms_here.py").write_text(MODULE)
    yield
    sys.modules.pop("forms_here", None)


@pytest.fixture(scope="module")
def layers() -> LayerGraph:
    return trace_layers(_module(2))


@pytest.fixture(scope="module")
def encoder(
    repo: mgit.Repository, layers: LayerGraph, tmp_path_factory: pytest.TempPathFactory
) -> mgit.Model:
    """A folder as transformers write it, with a layer graph."""
    folder = _folder(tmp_path_factory.mktemp("encoder"), 2)
    return repo.add("forms/encoder", folder, layer_graph=layers, progress=None)


def _module(width: int) -> torch.nn.Module:
    torch.manual_seed(3)
    return torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, width))


def _folder(folder: Path, width: int) -> Path:
    save_file(_module(width).state_dict(), folder / "model.safetensors", {"format": "pt"})
    (folder / "config.json").write_text(json.dumps({**CONFIG, "num_labels": width}))
    (folder / "vocab.txt").write_text(TOKENS)
    return folder


def _notes(model: mgit.Model) -> str:
    assert model.addition is not None
    return " ".join(model.addition.notes)


@pytest.mark.parametrize("relation", ["finetuned", "pruned"])
def test_a_model_with_the_parameters_of_its_parent_comes_back_as_a_folder_like_it(
    repo: mgit.Repository, encoder: mgit.Model, layers: LayerGraph, tmp_path: Path, relation: str
) -> None:
    function, name = "prune" if relation == "pruned" else "grow", f"forms/{relation}"
    parent = getattr(mgit, relation)(encoder)
    made = repo.create(f"forms_here:{function}", name=name, parents=[parent], progress=None)

    assert made.layers() == layers
    assert _notes(made) == (
        "It has the same parameters as forms/encoder@1 and takes over its files and layer graph."
    )
    back = made.save(tmp_path / "back", progress=None)
    assert sorted(path.name for path in back.iterdir()) == ["config.json", "model.safetensors", "vocab.txt"]
    assert json.loads((back / "config.json").read_text()) == CONFIG
    again = repo.add(f"{name}-again", back, progress=None)
    assert (again.digest, again.files_digest) == (made.digest, made.files_digest)
    assert made.digest != encoder.digest
    assert repo.rebuild(made).outcome is RebuildOutcome.IDENTICAL


def test_the_average_of_workers_has_the_form_of_the_first(
    repo: mgit.Repository, encoder: mgit.Model, layers: LayerGraph
) -> None:
    plain = repo.add("forms/worker", encoder.load(progress=None), progress=None)
    parents = [mgit.aggregated(encoder, 0.5), mgit.aggregated(plain, 0.5)]
    made = repo.create("forms_here:mean", name="forms/round", parents=parents, progress=None)
    assert (made.files_digest, made.layers()) == (encoder.files_digest, layers)
    turned = repo.create("forms_here:mean", name="forms/turned", parents=parents[::-1], progress=None)
    assert turned.layers().source is LayerGraphSource.NAMES


def test_another_head_has_no_files_that_could_tell_of_the_old_one(
    repo: mgit.Repository, encoder: mgit.Model, tmp_path: Path
) -> None:
    made = repo.create(
        "forms_here:widen", name="forms/wide", parents=[mgit.finetuned(encoder)], progress=None
    )
    assert _notes(made) == (
        "It has no files of forms/encoder@1, which might not fit: it has in another type or shape "
        "1.bias (float32 [2] became float32 [5]), 1.weight (float32 [2, 4] became float32 [5, 4])."
    )
    assert made.save(tmp_path / "back", progress=None).is_file()
    assert made.layers().source is LayerGraphSource.NAMES


def test_layers_of_a_module_are_traced_where_nothing_fits(repo: mgit.Repository, encoder: mgit.Model) -> None:
    made = repo.create("forms_here:module", name="forms/module", parents=[encoder], progress=None)
    found = made.layers()
    assert (found.source, [layer.path for layer in found.layers]) == (LayerGraphSource.FX, ["0", "1"])
    assert found.edges == ((0, 1),)


@pytest.fixture(scope="module")
def language(repo: mgit.Repository, tmp_path_factory: pytest.TempPathFactory) -> mgit.Model:
    """As transformers write a language model: the embedding, and not the head that is tied to it."""
    folder = tmp_path_factory.mktemp("language")
    save_file({"embedding.weight": torch.zeros(6, 4)}, folder / "model.safetensors")
    (folder / "config.json").write_text("{}")
    return repo.add("forms/language", folder, progress=None)


def test_names_that_share_one_memory_are_those_of_the_files(
    repo: mgit.Repository, language: mgit.Model
) -> None:
    name = "forms/language-child"
    made = repo.create("forms_here:tie", name=name, parents=[language], progress=None)
    assert (made.files_digest, list(made.tensors)) == (language.files_digest, ["embedding.weight"])
    assert repo.rebuild(made).outcome is RebuildOutcome.IDENTICAL
    newer = repo.add("forms/language", {"embedding.weight": np.ones((6, 4), np.float32)}, progress=None)
    repo.update(language, newer, progress=None)
    assert repo.get(f"{name}@2").files_digest == language.files_digest


def test_layers_of_a_module_are_those_of_the_names_that_are_kept(
    repo: mgit.Repository, language: mgit.Model
) -> None:
    made = repo.create(
        "forms_here:language_model", name="forms/language-model", parents=[language], progress=None
    )
    assert made.files_digest == language.files_digest
    owned = made.layers().owners()
    assert (list(owned), made.layer_graph_digest is not None) == (["embedding.weight"], True)


def test_the_version_before_goes_before_parents(
    repo: mgit.Repository, encoder: mgit.Model, tmp_path: Path
) -> None:
    """A version with a wider head fits what came before it under its name, not the encoder."""
    folder = tmp_path / "task"
    folder.mkdir()
    first = repo.add("forms/task", _folder(folder, 5), parents=[mgit.finetuned(encoder)], progress=None)
    second = repo.create(
        "forms_here:widen", name="forms/task", parents=[mgit.finetuned(encoder)], progress=None
    )
    assert (second.version, second.files_digest) == (2, first.files_digest)
    alone = repo.create(
        "forms_here:widen",
        name="forms/task",
        parents=[mgit.finetuned(encoder)],
        no_previous=True,
        progress=None,
    )
    assert alone.files_digest != first.files_digest
    named = repo.create(
        "forms_here:grow", name="forms/other-task", parents=[encoder, first], previous=first, progress=None
    )
    assert named.files_digest == first.files_digest


def test_no_files_are_taken_over_if_none_are_wanted(
    repo: mgit.Repository, encoder: mgit.Model, layers: LayerGraph, tmp_path: Path
) -> None:
    made = repo.create(
        "forms_here:grow",
        name="forms/bare",
        parents=[mgit.finetuned(encoder)],
        no_files=True,
        progress=None,
    )
    assert made.save(tmp_path / "back", progress=None).is_file()
    assert made.layers() == layers
    together = repo.create_together(
        "forms_here:grow_together",
        {"forms/one": [encoder], "forms/two": ["forms/bare"]},
        progress=None,
    )
    assert together["forms/one"].files_digest == encoder.files_digest
    assert together["forms/two"].files_digest == made.files_digest


def test_a_version_before_that_is_removed_meanwhile_gives_no_form(
    repo: mgit.Repository, encoder: mgit.Model, tmp_path: Path
) -> None:
    folder = tmp_path / "short-lived"
    folder.mkdir()
    first = repo.add("forms/short-lived", _folder(folder, 2), progress=None)
    made = repo.create(
        "forms_here:remove_meanwhile",
        name="forms/short-lived",
        parents=[encoder],
        arguments={"address": repo.address, "ref": first.ref},
        progress=None,
    )
    assert "forms/encoder@1" in _notes(made)


def test_a_version_before_that_does_not_exist_is_told_before_anything_runs(repo: mgit.Repository) -> None:
    with pytest.raises(NotFoundError, match="forms/nothing"):
        repo.create("forms_here:never", name="forms/x", previous="forms/nothing", progress=None)


def test_an_update_to_a_wider_model_takes_the_files_of_the_parent_that_fits(
    repo: mgit.Repository, tmp_path: Path
) -> None:
    for width in (2, 3):
        (tmp_path / str(width)).mkdir()
        repo.add("forms/base", _folder(tmp_path / str(width), width), progress=None)
    first = repo.create(
        "forms_here:grow", name="forms/child", parents=[mgit.finetuned("forms/base@1")], progress=None
    )
    assert first.files_digest == repo.get("forms/base@1").files_digest

    repo.update("forms/base@1", "forms/base@2", progress=None)

    found = repo.get("forms/child@2")
    assert found.files_digest == repo.get("forms/base@2").files_digest
    back = found.save(tmp_path / "back", progress=None)
    assert json.loads((back / "config.json").read_text()) == {"num_labels": 3}

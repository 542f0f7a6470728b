"""Two repositories on two services, each with a remote that is the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from tests.neo4j_server import TestServer, empty_graph
from tests.running_service import RunningService, run_service
from tests.second_stack import Mortal, Proxy, proxy_to

import mgit

Tensors = dict[str, np.ndarray]


@dataclass(frozen=True)
class Pair:
    """Two places, and a name that no other test uses.

    Attributes:
        here: Repository whose remote ``origin`` is the other.
        there: The other.
        name: Begins the names of all models of the test.
    """

    here: mgit.Repository
    there: mgit.Repository
    name: str

    def called(self, suffix: str) -> str:
        return f"{self.name}-{suffix}"

    def tensors(self, seed: int, count: int = 3, rows: int = 128) -> Tensors:
        """Matrices of random numbers that no other test has."""
        random = np.random.default_rng([seed, *self.name.encode()])
        return {f"layer.{at}.weight": random.standard_normal((rows, rows), np.float32) for at in range(count)}

    def family(self, repo: mgit.Repository) -> tuple[Tensors, Tensors]:
        """A base and a fine-tune of it in one of the two; their tensors."""
        base = self.tensors(0)
        tuned = changed(base, 1)
        added = repo.add(self.called("base"), base, progress=None)
        parents = [mgit.finetuned(added)]
        repo.add(self.called("tuned"), tuned, parents=parents, metadata={"epochs": 3}, progress=None)
        return base, tuned


@pytest.fixture(scope="package")
def service(neo4j_server: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """One for all modules, since starting two for each would take longer than their tests."""
    empty_graph(neo4j_server)
    with run_service(neo4j_server, tmp_path_factory.mktemp("here") / "store") as running:
        yield running
    empty_graph(neo4j_server)


@pytest.fixture(scope="package")
def mortal(other_neo4j_server: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mortal]:
    """The service of the other place."""
    mortal = Mortal.begin(other_neo4j_server, tmp_path_factory.mktemp("there") / "store")
    yield mortal
    mortal.service.stop()


@pytest.fixture(scope="package")
def here(service: RunningService) -> Iterator[mgit.Repository]:
    with mgit.connect(service.address) as opened:
        yield opened


@pytest.fixture(scope="package")
def there(mortal: Mortal) -> Iterator[mgit.Repository]:
    with mgit.connect(mortal.address) as opened:
        yield opened


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without remotes."""
    monkeypatch.setenv("MGIT_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def pair(here: mgit.Repository, there: mgit.Repository, home: Path, request: pytest.FixtureRequest) -> Pair:
    del home  # For its effect.
    here.remotes.add("origin", there.address)
    return Pair(here, there, request.node.name.removeprefix("test_")[:80].replace("[", "-").rstrip("]-"))


@pytest.fixture
def proxy(pair: Pair) -> Iterator[Proxy]:
    """Stands between the client and ``there``: the remote ``proxy``."""
    with proxy_to(pair.there.address) as opened:
        pair.here.remotes.add("proxy", opened.address)
        yield opened


def changed(original: Tensors, seed: int, size: float = 1e-5) -> Tensors:
    """The same as after a short training."""
    random = np.random.default_rng(seed)
    return {
        name: values + np.float32(size) * random.standard_normal(values.shape, np.float32)
        for name, values in original.items()
    }


def equal(model: mgit.Model, wanted: Tensors) -> bool:
    """Whether a model reads back bit for bit."""
    found = model.load(progress=None)
    return list(found) == list(wanted) and all(
        found[name].tobytes() == values.tobytes() for name, values in wanted.items()
    )


def refs(repo: mgit.Repository, prefix: str) -> set[str]:
    """All models whose names begin so."""
    return {model.ref for model in repo.models(prefix)}

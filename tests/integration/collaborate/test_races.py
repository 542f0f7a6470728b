"""Somebody takes a name at the destination between the look at the names and the arrival of the models."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from tests.integration.collaborate.conftest import Pair, equal, refs
from tests.second_stack import EXCHANGE, Proxy, proxy_to

import mgit
from mgit.errors import AlreadyExistsError, ConflictError, ErrorReason

pytestmark = [pytest.mark.neo4j, pytest.mark.slow]

# The first answer is that of the look whether the service knows the calls of an exchange.
COMPARE = EXCHANGE + "CompareModels"


def take_name(repo: mgit.Repository, name: str, seed: int = 9) -> Callable[[], object]:
    """Adds a model of other parameters under a name."""
    tensors = {"w": np.random.default_rng(seed).standard_normal(8).astype(np.float32)}
    return lambda: repo.add(name, tensors, progress=None)


@contextmanager
def behind(pair: Pair) -> Iterator[tuple[mgit.Repository, Proxy]]:
    """``here``, asked through a proxy: the destination of a pull."""
    with proxy_to(pair.here.address) as opened, mgit.connect(opened.address) as repo:
        yield repo, opened


def test_a_push_that_lost_a_name_is_refused_with_the_list(pair: Pair, proxy: Proxy) -> None:
    pair.family(pair.here)
    # The names were looked at, and what was found has not come back yet.
    lost = proxy.after(COMPARE, 1, take_name(pair.there, pair.called("tuned")))
    with pytest.raises(ConflictError, match="what came before stays there") as caught:
        pair.here.push(pair.called("tuned"), remote="proxy", progress=None)
    assert lost.is_set()
    assert caught.value.reason is ErrorReason.PUSH_REFUSED
    assert caught.value.details["models"] == f"{pair.name}-tuned@1"
    assert refs(pair.there, pair.name) == {f"{pair.name}-tuned@1"}
    assert pair.there.fsck(progress=None).ok


def test_a_push_that_lost_a_name_finds_another_one_behind_its_prefix(pair: Pair, proxy: Proxy) -> None:
    _, tuned = pair.family(pair.here)
    proxy.after(COMPARE, 1, take_name(pair.there, pair.called("tuned")))
    done = pair.here.push(pair.called("tuned"), remote="proxy", prefix="ann", progress=None)
    assert [each.ref for each in done.models] == [f"{pair.name}-base@1", f"ann/{pair.name}-tuned@1"]
    assert equal(pair.there.get(f"ann/{pair.name}-tuned"), tuned)
    assert pair.there.get(f"ann/{pair.name}-tuned").parents[0].parent_ref == f"{pair.name}-base@1"


def test_a_pull_that_lost_a_name_finds_another_one(pair: Pair) -> None:
    _, tuned = pair.family(pair.there)
    with behind(pair) as (repo, proxy):
        proxy.after(COMPARE, 1, take_name(pair.here, pair.called("tuned")))
        done = repo.pull(pair.called("tuned"), progress=None)
    assert [each.ref for each in done.models] == [f"{pair.name}-base@1", f"origin/{pair.name}-tuned@1"]
    assert equal(pair.here.get(f"origin/{pair.name}-tuned"), tuned)


def test_a_pull_that_lost_a_name_and_may_not_rename_is_refused(pair: Pair) -> None:
    pair.family(pair.there)
    with behind(pair) as (repo, proxy):
        proxy.after(COMPARE, 1, take_name(pair.here, pair.called("tuned")))
        with pytest.raises(AlreadyExistsError, match="what came before stays there") as caught:
            repo.pull(pair.called("tuned"), rename=False, progress=None)
    assert caught.value.reason is ErrorReason.NAME_TAKEN
    assert refs(pair.here, pair.name) == {f"{pair.name}-tuned@1"}

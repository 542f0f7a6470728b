from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from mgit.local.process import ProcessRecord, _start_time
from mgit.local.state import HomeLayout, StackState, find_address
from mgit_core.errors import CorruptError, ErrorReason


def own_process() -> ProcessRecord:
    return ProcessRecord(pid=os.getpid(), started=_start_time(os.getpid()) or "")


def make_state(service: ProcessRecord | None) -> StackState:
    return StackState(
        address="127.0.0.1:50123",
        neo4j_uri="bolt://127.0.0.1:7690",
        browser_url="http://127.0.0.1:7475/browser/",
        username="neo4j",
        store="/somewhere/store",
        service=service,
        is_managed=True,
        neo4j_version="5.26.31",
    )


def saved(home: Path, state: StackState) -> HomeLayout:
    layout = HomeLayout(home)
    layout.make()
    state.save(layout)
    return layout


def test_a_state_comes_back_as_it_was(tmp_path: Path) -> None:
    state = make_state(own_process())

    assert StackState.load(saved(tmp_path, state)) == state


def test_the_home_is_open_to_its_owner_only(tmp_path: Path) -> None:
    layout = saved(tmp_path / "home", make_state(None))

    assert stat.S_IMODE(layout.home.stat().st_mode) == 0o700
    assert stat.S_IMODE(layout.state_file.stat().st_mode) == 0o600


def test_a_home_where_nothing_was_started_has_no_state(tmp_path: Path) -> None:
    assert StackState.load(HomeLayout(tmp_path / "nowhere")) is None


@pytest.mark.parametrize("content", ["", "{}", "[]", "null", '{"service": {"pid": 1}}'])
def test_a_state_that_cannot_be_read_is_told(content: str, tmp_path: Path) -> None:
    layout = saved(tmp_path, make_state(None))
    layout.state_file.write_text(content, encoding="utf-8")

    with pytest.raises(CorruptError, match="delete the file") as caught:
        StackState.load(layout)

    assert caught.value.reason is ErrorReason.UNKNOWN_FORMAT_VERSION


def test_a_state_of_a_later_version_is_told(tmp_path: Path) -> None:
    layout = saved(tmp_path, make_state(None))
    content = json.loads(layout.state_file.read_text(encoding="utf-8"))
    layout.state_file.write_text(json.dumps({**content, "format": 2}), encoding="utf-8")

    with pytest.raises(CorruptError):
        StackState.load(layout)


def test_the_address_is_found_while_the_service_runs(tmp_path: Path) -> None:
    saved(tmp_path, make_state(own_process()))

    assert find_address(tmp_path) == "127.0.0.1:50123"


@pytest.mark.parametrize("service", [None, ProcessRecord(pid=1, started="of an earlier boot")])
def test_no_address_is_found_where_no_service_runs(service: ProcessRecord | None, tmp_path: Path) -> None:
    saved(tmp_path, make_state(service))

    assert find_address(tmp_path) is None

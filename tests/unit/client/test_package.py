from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import pytest

import mgit


def run(code: str) -> str:
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return found.stdout.strip()


@pytest.mark.slow
def test_importing_the_package_imports_nothing_slow() -> None:
    code = (
        "import sys, mgit; "
        "print({'grpc', 'numpy', 'torch', 'zarr', 'google', 'blake3', 'neo4j'} & set(sys.modules))"
    )
    assert run(code) == "set()"


@pytest.mark.slow
def test_the_catalog_does_without_numpy() -> None:
    code = (
        "import sys, mgit; mgit.Repository, mgit.Model; print({'numpy', 'torch', 'zarr'} & set(sys.modules))"
    )
    assert run(code) == "set()"


@pytest.mark.slow
def test_local_stays_a_function_whatever_is_imported() -> None:
    code = (
        "import mgit; import mgit.local.stack; from mgit.local.state import find_address; "
        "import mgit.repository; print(callable(mgit.local))"
    )
    assert run(code) == "True"


def test_every_exported_name_is_there() -> None:
    for name in mgit.__all__:
        assert getattr(mgit, name) is not None
    assert set(mgit.__all__) <= set(dir(mgit))


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = mgit.nothing  # type: ignore[attr-defined]


def test_the_version_is_that_of_the_distribution() -> None:
    assert mgit.__version__ == version("mgit-lineage")

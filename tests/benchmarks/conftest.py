"""Make the programs in the folder of benchmarks importable, as they import each other."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module", autouse=True)
def benchmarks_folder() -> Iterator[None]:
    path, modules = [*sys.path], {*sys.modules}
    sys.path.insert(0, str(FOLDER))
    yield
    sys.path[:] = path
    for name in {*sys.modules} - modules:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(FOLDER)):
            del sys.modules[name]

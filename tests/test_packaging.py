"""The wheel and the editable install: files, metadata, dependencies and manifest."""

from __future__ import annotations

import ast
import functools
import json
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Mapping
from importlib.metadata import distribution, entry_points, packages_distributions
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "napari_diner"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
QT_BINDINGS = {"pyqt5", "pyqt6", "pyside2", "pyside6"}
OPTIONAL = ("cluster", "codecs", "compiled", "xarray", "zarr")

CONTRIBUTIONS = """
import json
from importlib.metadata import entry_points
from npe2 import PluginManifest
(entry,) = entry_points(group="napari.manifest", name="napari-diner")
manifest = PluginManifest.from_distribution("napari-diner")
contributions = manifest.contributions.model_dump(mode="json", exclude_none=True)
print(json.dumps({"entry": entry.value, "contributions": contributions}, sort_keys=True))
"""


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def required(requirements: list[str]) -> set[str]:
    names = (re.match(r"[A-Za-z0-9._-]+", line) for line in requirements)
    return {normal(name.group()) for name in names if name}


def contributions(paths: list[Path]) -> dict[str, object]:
    """Return what napari finds, from a fresh interpreter outside the source tree."""
    code = f"import sys; sys.path[:0] = {[str(path) for path in paths]!r}\n{CONTRIBUTIONS}"
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT.parent)
    assert finished.returncode == 0, finished.stderr
    found = json.loads(finished.stdout)
    assert isinstance(found, dict)
    return found


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    (path,) = folder.glob("*.whl")
    return path


def test_the_wheel_is_complete(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    sources = {
        f"napari_diner/{path.relative_to(SOURCE).as_posix()}"
        for path in SOURCE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert sources <= names
    assert {"napari_diner/napari.yaml", "napari_diner/py.typed"} <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_wheel_and_installed_package_expose_the_same_contributions(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path)
    unpacked, installed = contributions([tmp_path]), contributions([])
    assert unpacked == installed
    manifest = yaml.safe_load((SOURCE / "napari.yaml").read_text(encoding="utf-8"))["contributions"]
    assert set(manifest) <= set(installed["contributions"])  # type: ignore[call-overload]


def test_npe2_finds_the_manifest_valid() -> None:
    command = [sys.executable, "-m", "npe2", "validate", "napari-diner"]
    finished = subprocess.run(command, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stdout + finished.stderr


def test_the_manifest_at_the_top_is_the_one_in_the_package() -> None:
    assert (ROOT / "napari.yaml").resolve() == SOURCE / "napari.yaml"


def test_entry_points() -> None:
    (script,) = entry_points(group="console_scripts", name="napari-diner")
    assert callable(script.load())


def test_base_dependencies_are_light() -> None:
    names = required(PROJECT["dependencies"])
    assert not names & QT_BINDINGS
    assert not any("napari[" in line for line in PROJECT["dependencies"])
    assert not any(line.startswith("torch") and not line.startswith("torch>=") for line in PROJECT["dependencies"])
    assert distribution("napari-diner").version == PROJECT["version"]


def imports(tree: ast.Module, *, top_level: bool = False) -> set[str]:
    """Return the top-level names of the third-party packages that a module imports, but for type checking."""
    nodes: list[ast.AST] = [
        node for node in tree.body if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    ]
    if not top_level:
        nodes = [inner for node in nodes for inner in ast.walk(node)]
    modules: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            modules.add(node.module or "")
    return {module.partition(".")[0] for module in modules} - sys.stdlib_module_names - {"napari_diner"}


@functools.cache
def trees() -> dict[str, ast.Module]:
    return {
        path.relative_to(SOURCE).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted(SOURCE.rglob("*.py"))
    }


@functools.cache
def owners() -> Mapping[str, list[str]]:
    return packages_distributions()


# wheels of torch for NVIDIA cards require the version of Triton that they need; others have no use for it
BROUGHT_ALONG = {"triton": "torch", "llvmlite": "numba"}
# modules that only functions, or each other, import, so that they need not import lazily themselves
IMPORTED_LATE = tuple(f"representations/{name}.py" for name in ("compiled_corners", "compiled_step", "lanes"))


def distributions_of(package: str) -> set[str]:
    package = BROUGHT_ALONG.get(package, package)
    return {normal(owner) for owner in owners().get(package, [package])}


def test_every_import_is_declared() -> None:
    declared = required(PROJECT["dependencies"]) | required(optional_requirements())
    undeclared = [
        f"{file}: {package}"
        for file, tree in trees().items()
        for package in imports(tree)
        if not distributions_of(package) & declared
    ]
    assert not undeclared


def test_every_dependency_is_imported() -> None:
    packages = {package for tree in trees().values() for package in imports(tree)}
    imported = set().union(*(distributions_of(package) for package in packages))
    assert not required(PROJECT["dependencies"]) - imported


def test_optional_packages_are_imported_lazily() -> None:
    eager = [
        f"{file}: {package}"
        for file, tree in trees().items()
        for package in imports(tree, top_level=True)
        if distributions_of(package) & required(optional_requirements()) and file not in IMPORTED_LATE
    ]
    assert not eager


def test_modules_that_need_optional_packages_are_imported_lazily() -> None:
    late = {"napari_diner." + file.removesuffix(".py").replace("/", ".") for file in IMPORTED_LATE}
    eager = [
        f"{file}: {node.module}"
        for file, tree in trees().items()
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module in late and file not in IMPORTED_LATE
    ]
    assert not eager


def optional_requirements() -> list[str]:
    return [line for extra in OPTIONAL for line in PROJECT["optional-dependencies"][extra]]


def test_every_dependency_is_pinned() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {normal(line.partition("==")[0]) for line in lines if "==" in line}
    everything = PROJECT["dependencies"] + [
        line for extra in PROJECT["optional-dependencies"].values() for line in extra
    ]
    assert required(everything) - {"napari-diner"} <= pinned
    assert "torch==2.13.0" in lines


def test_the_workflow_tests_every_declared_python_version() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8"))
    matrix = workflow["jobs"]["tests"]["strategy"]["matrix"]
    prefix = "Programming Language :: Python :: "
    versions = [name.removeprefix(prefix) for name in PROJECT["classifiers"] if re.fullmatch(rf"{prefix}3\.\d+", name)]
    assert matrix["python"] == versions
    assert {name.partition("-")[0] for name in matrix["os"]} == {"ubuntu", "windows", "macos"}


@pytest.mark.parametrize("path", sorted((ROOT / ".github").rglob("*.yml")), ids=lambda path: path.name)
def test_the_github_files_are_valid_yaml(path: Path) -> None:
    assert isinstance(yaml.safe_load(path.read_text(encoding="utf-8")), dict)


@pytest.mark.parametrize(
    ("file", "pattern"), [("CITATION.cff", r"^version: (\S+)$"), ("CHANGELOG.md", r"^## \[(\d\S*)\]")]
)
def test_the_version_is_the_same_everywhere(file: str, pattern: str) -> None:
    found = re.search(pattern, (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None
    assert found.group(1) == PROJECT["version"]

"""Errors that `npe2 validate` misses: unknown keys, missing commands, menus that do not exist, clashing names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from npe2 import PluginManifest
from npe2.manifest.contributions import (
    CommandContribution,
    ContributionPoints,
    ReaderContribution,
    SampleDataGenerator,
    WidgetContribution,
    WriterContribution,
)
from npe2.manifest.contributions._menus import MenuCommand

from napari_diner.tasks.idt.regions import PRIOR_CHANGE, UNCERTAINTY

MANIFEST = yaml.safe_load((Path(__file__).parents[1] / "napari.yaml").read_text(encoding="utf-8"))
CONTRIBUTIONS = MANIFEST["contributions"]
COMMANDS = {command["id"]: command for command in CONTRIBUTIONS["commands"]}
MODELS = {
    "commands": CommandContribution,
    "widgets": WidgetContribution,
    "sample_data": SampleDataGenerator,
    "readers": ReaderContribution,
    "writers": WriterContribution,
}


def items() -> Iterator[tuple[str, Any, dict[str, Any]]]:
    for kind, model in MODELS.items():
        for item in CONTRIBUTIONS.get(kind, []):
            yield kind, model, item
    for menu, entries in CONTRIBUTIONS.get("menus", {}).items():
        for item in entries:
            yield menu, MenuCommand, item


def test_no_key_is_unknown() -> None:
    assert set(MANIFEST) <= set(PluginManifest.model_fields)
    assert set(CONTRIBUTIONS) <= set(ContributionPoints.model_fields)
    assert set(CONTRIBUTIONS) <= {*MODELS, "menus", "configurations"}, "add the new kind of contribution to this test"
    for kind, model, item in items():
        assert set(item) <= set(model.model_fields), kind


def test_preferences_have_titles_and_defaults() -> None:
    for configuration in CONTRIBUTIONS["configurations"].values():
        assert set(configuration) == {"title", "properties"}
        for preference in configuration["properties"].values():
            assert set(preference) == {"type", "default", "title", "description"}


def test_the_schema_is_current() -> None:
    assert MANIFEST["schema_version"] == "0.3.0"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_can_be_imported(command: str) -> None:
    assert command.startswith("napari-diner.")
    module, _, name = COMMANDS[command]["python_name"].partition(":")
    assert callable(getattr(import_module(module), name))


def test_every_contribution_names_a_command_and_every_command_is_used() -> None:
    used = {item["command"] for kind, _, item in items() if kind != "commands"}
    assert used == set(COMMANDS)


def test_every_menu_exists() -> None:
    from napari._app_model.constants import MenuId

    known = {menu.value for menu in MenuId if MenuId.contributables() and menu in MenuId.contributables()}
    assert set(CONTRIBUTIONS.get("menus", {})) <= known


def test_no_sample_has_the_name_of_a_command() -> None:
    # napari registers a sample as an action of its own, named plugin.key, and fails to start if that name is taken
    for sample in CONTRIBUTIONS["sample_data"]:
        assert f"napari-diner.{sample['key']}" not in COMMANDS


def test_the_contributions_are_complete() -> None:
    assert [widget["display_name"] for widget in CONTRIBUTIONS["widgets"]] == [
        "Lensless phase retrieval",
        "Lensless focus",
        "IDT refractive index",
        "DINER fit",
        "Batch",
        "Measure regions",
    ]
    assert [sample["key"] for sample in CONTRIBUTIONS["sample_data"]] == [
        "lensless_stack",
        "cell_recording",
        "colour_image",
        "volume_16_bit",
        "short_video",
    ]
    # of TIFF files, only those with the names of results: all others belong to napari's own reader
    patterns = [pattern for reader in CONTRIBUTIONS["readers"] for pattern in reader["filename_patterns"]]
    assert not any("*" in pattern and ".tif" in pattern for pattern in patterns)
    assert {"*.safetensors", "report.json", "phase.tif", "n_re.tif"} <= set(patterns)


def test_every_saved_image_of_a_result_has_a_pattern() -> None:
    folder = Path(import_module("napari_diner.tasks").__path__[0])
    sources = [path.read_text(encoding="utf-8") for path in folder.glob("*/*.py")]
    names = {name for text in sources for name in re.findall(r'NamedArray\(\s*"(\w+)"', text)}
    assert {"phase", "thickness_um", "n_re", "reconstruction", "refocused"} <= names
    names |= {UNCERTAINTY, PRIOR_CHANGE}
    # these are shown, or saved under a name of the user's, but no part of a result
    expected = {f"{name}.tif" for name in names - {"prepared", "rendering", "spectra", "stack"}}
    patterns = {pattern for reader in CONTRIBUTIONS["readers"] for pattern in reader["filename_patterns"]}
    assert {pattern for pattern in patterns if pattern.endswith(".tif")} == expected

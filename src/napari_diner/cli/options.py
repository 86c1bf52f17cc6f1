"""Options of a command, generated from the fields of a recipe, so that a new field is a new option."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

from cyclopts import Group, Parameter
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from napari_diner.errors import InputError, RecipeError, quoted
from napari_diner.io.given_table import names_file, read_given_table
from napari_diner.io.places import expanded
from napari_diner.io.texts import parse_yaml
from napari_diner.settings import Values, choices, sections, without_none
from napari_diner.tasks.recipe import absolute_paths, is_file, merge, read_yaml
from napari_diner.tasks.task import Shortcut

Command = TypeVar("Command", bound=Callable[..., object])

"""Endings of names of tables; those of spreadsheets are refused on reading."""
SEQUENCE_HELP = "Numbers separated by commas, a CSV file, or YAML."


@dataclass(frozen=True)
class Option:
    """One field of a recipe as an option."""

    keys: tuple[str, ...]
    """Keys that lead to the field, e.g. ``("gauss_newton", "cg_steps")``."""
    field: FieldInfo
    """The field itself."""
    group: Group
    """Heading in the help."""

    @property
    def parameter(self) -> str:
        """Name of the Python parameter that carries the value."""
        return "__".join(self.keys)

    @property
    def flag(self) -> str:
        """Name on the command line, e.g. ``--gauss-newton.cg-steps``."""
        return option_name(".".join(self.keys))

    @property
    def is_sequence(self) -> bool:
        """Whether the value is a list of numbers."""
        return get_origin(without_none(self.field.annotation)) in (tuple, list)

    @property
    def is_nested(self) -> bool:
        """Whether the value is a list of lists of numbers."""
        return self.is_sequence and get_args(without_none(self.field.annotation))[0] not in (int, float)

    @property
    def annotation(self) -> object:
        """Type of the parameter for cyclopts; its default, None, means that the option is not set."""
        kind: Any = without_none(self.field.annotation)
        if get_origin(kind) is not Literal and kind not in (bool, int, float):
            kind = str
        # the recipe validates, so that files and options follow the same rules and messages are the same
        described = Parameter(
            name=self.flag, help=self._help(), group=self.group, show_default=False, allow_leading_hyphen=kind is str
        )
        return Annotated[kind | None, described]

    def value(self, entry: object) -> object:
        """Convert a value from the command line into one for the recipe."""
        if self.is_sequence and isinstance(entry, str) and not is_file(self.field, entry):
            return parse_sequence(self, entry)
        return entry

    def _help(self) -> str:
        text = self.field.description or ""
        names = choices(self.field)
        if names and get_origin(without_none(self.field.annotation)) is not Literal:
            text = f"{text} [choices: {', '.join(names)}]"
        if self.is_sequence:
            text = f"{text} {SEQUENCE_HELP}"
        default = self.field.default
        if default in (None, ()) or self.field.is_required() or self.field.default_factory is not None:
            return text
        return f"{text} [default: {str(default).lower() if isinstance(default, bool) else default}]"


def options_of(model: type[BaseModel], skip: Collection[str] = ()) -> Iterator[Option]:
    """Yield an option for each field of a model and of its sections, but not for the keys in `skip`."""
    yield from _options(model, (), Group("Settings", sort_key=1), skip)


def _options(model: type[BaseModel], keys: tuple[str, ...], group: Group, skip: Collection[str]) -> Iterator[Option]:
    parts = sections(model)
    for name, field in model.model_fields.items():
        path = (*keys, name)
        if ".".join(path) in skip or get_origin(field.annotation) is dict:
            continue
        if name in parts:
            yield from _options(parts[name], path, Group(field.title or name, sort_key=2), skip)
        else:
            yield Option(path, field, group)


class Options:
    """The options of a recipe, for a command that takes them as ``**options``.

    The signature is generated here rather than by cyclopts' support of pydantic models, which (in version 5.4)
    does not group options by section, does not read ``1,2,3`` or a table file as a list, and validates the options
    before ``--set`` is applied.

    Parameters
    ----------
    model
        The recipe, or any other settings.
    skip
        Keys that are not options, e.g. because they are positional arguments.
    shortcuts
        Further options, each for a change of the recipe; options of fields override them.
    """

    def __init__(
        self, model: type[BaseModel], skip: Collection[str] = (), shortcuts: Collection[Shortcut] = ()
    ) -> None:
        self._fields = {option.parameter: option for option in options_of(model, skip)}
        self._shortcuts = {shortcut.name: shortcut for shortcut in shortcuts}

    def added_to(self, command: Command) -> Command:
        """Return a command with these options in its signature."""
        signature = inspect.signature(command, eval_str=True)
        own = [one for one in signature.parameters.values() if one.kind is not inspect.Parameter.VAR_KEYWORD]
        annotations = {name: option.annotation for name, option in self._fields.items()}
        annotations |= {name: _annotation(shortcut) for name, shortcut in self._shortcuts.items()}
        made = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
            for name, annotation in annotations.items()
        ]
        command.__signature__ = signature.replace(parameters=own + made)  # type: ignore[attr-defined]
        command.__annotations__ = {parameter.name: parameter.annotation for parameter in own + made}
        return command

    def values(self, options: Mapping[str, object]) -> Values:
        """Return the values of the options that are set, nested as in a recipe."""
        settings: Values = {}
        for name in self._shortcuts.keys() & options.keys():
            if options[name] is not None and options[name] is not False:
                settings = merge(settings, self._shortcuts[name].changes(options[name]))
        for name in self._fields.keys() & options.keys():
            if options[name] is not None:
                field = self._fields[name]
                settings = merge(settings, nested(field.keys, field.value(options[name])))
        return settings


def _annotation(shortcut: Shortcut) -> object:
    described = Parameter(name=option_name(shortcut.name), help=shortcut.summary, show_default=False)
    flag = Parameter(negative=())
    return Annotated[bool | None, described, flag] if shortcut.kind is bool else Annotated[str | None, described]


def option_name(key: str) -> str:
    """Return the name on the command line of a setting, e.g. ``--gauss-newton.cg-steps``."""
    return "--" + key.replace("_", "-")


def nested(keys: Sequence[str], value: object) -> Values:
    """Return ``{"a": {"b": value}}`` for the keys ``("a", "b")``."""
    first, *rest = keys
    return {first: nested(rest, value) if rest else value}


def collect(
    model: type[BaseModel], file: Path | None, assignments: Iterable[str], options: Mapping[str, object]
) -> Values:
    """Combine the values of a recipe: options override ``--set``, which overrides the file.

    Paths in the file are relative to the file's folder, others to the current one; all become absolute, so that the
    recipe stored with a result works from anywhere.

    Raises
    ------
    RecipeError
        If the file or an assignment cannot be read.
    """
    values: Values = {}
    if file is not None:
        values = absolute_paths(model, read_yaml(file), expanded(file).absolute().parent)
    assigned: Values = {}
    for text in assignments:
        assigned = merge(assigned, assignment(text))
    return merge(values, absolute_paths(model, merge(assigned, options), Path.cwd()))


def assignment(text: str) -> Values:
    """Turn ``"a.b=value"`` into ``{"a": {"b": value}}``; the value is read as YAML.

    Raises
    ------
    RecipeError
        If there is no ``=`` or the value is not valid YAML.
    """
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise RecipeError(f"--set {quoted(text)} is not understood; write it as --set key=value")
    try:
        return nested(key.strip().split("."), parse_yaml(value))
    except ValueError:
        raise RecipeError(f"--set {quoted(text)}: the value cannot be read; quote it as in YAML") from None


def parse_sequence(option: Option, text: str) -> object:
    """Read a list of numbers, or of pairs of them, from an option's value: ``1,2``, a CSV file, or YAML.

    Raises
    ------
    RecipeError
        If the text or the file cannot be read as such.
    """
    text = text.strip()
    if text.startswith("["):
        try:
            return parse_yaml(text)
        except ValueError:
            raise RecipeError(f"{option.flag} {quoted(text)} is not a list; write it as [1, 2, 3]") from None
    name = option.keys[-1]
    unit = "um" if name.endswith("_um") else None
    try:
        table = read_given_table(text, option.flag).in_order(2 if option.is_nested else 1)
        return table.pairs(unit) if option.is_nested else table.column(name, unit=unit)
    except InputError as error:
        raise RecipeError(f"{option.flag}: {error}" if names_file(text) else str(error)) from None

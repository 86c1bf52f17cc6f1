"""Options of a command, made from the fields of a recipe: a new field is a new option."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import yaml
from cyclopts import Group, Parameter
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from napari_diner.errors import InputError, RecipeError
from napari_diner.io.tables import read_table
from napari_diner.tasks.recipe import merge, sections

Exit = TypeVar("Exit")

SEQUENCE_HELP = "Numbers with commas between them, a CSV file, or YAML."


@dataclass(frozen=True)
class Option:
    """One field of a recipe as an option.

    Parameters
    ----------
    keys
        Where the field stands, e.g. ``("gauss_newton", "cg_steps")``.
    field
        The field itself.
    group
        Heading in the help.
    """

    keys: tuple[str, ...]
    field: FieldInfo
    group: Group

    @property
    def parameter(self) -> str:
        """Name of the Python parameter that carries the value."""
        return "__".join(self.keys)

    @property
    def flag(self) -> str:
        """Name on the command line, e.g. ``--gauss-newton.cg-steps``."""
        return "--" + ".".join(self.keys).replace("_", "-")

    @property
    def is_sequence(self) -> bool:
        """Whether the value is a list of numbers."""
        return get_origin(without_none(self.field.annotation)) in (tuple, list)

    @property
    def is_nested(self) -> bool:
        """Whether the value is a list of lists of numbers."""
        return self.is_sequence and get_args(without_none(self.field.annotation))[0] not in (int, float)

    @property
    def annotation(self) -> Any:
        """Type of the parameter for cyclopts; None, its default, says that the option was not given."""
        kind = without_none(self.field.annotation)
        if not (kind in (bool, int, float, str) or get_origin(kind) is Literal):
            kind = str
        # validation is left to the recipe, so that files and options are judged by the same rules and words
        described = Parameter(
            name=self.flag, help=self._help(), group=self.group, show_default=False, allow_leading_hyphen=kind is str
        )
        return Annotated[kind | None, described]

    def value(self, given: Any) -> Any:
        """Turn what was given on the command line into a value for the recipe."""
        if self.is_sequence and not self.is_file(given):
            return parse_sequence(self, given)
        return given

    def is_file(self, value: Any) -> bool:
        """Whether a value of this field is the name of a file.

        Every text is, where it may be left out (``str | None``), and where the field is marked with ``words``: the
        texts that are none. A list of numbers that is so marked is read from its file by the recipe.
        """
        if not isinstance(value, str):
            return False
        marks = self.field.json_schema_extra
        words = marks.get("words") if isinstance(marks, dict) else None
        if self.is_sequence:
            return words is not None and Path(value).suffix.lower() in (".csv", ".json")
        return value not in words if isinstance(words, list) else self.field.annotation == str | None

    def _help(self) -> str:
        text = self.field.description or ""
        if self.is_sequence:
            text = f"{text} {SEQUENCE_HELP}"
        default = self.field.default
        if default in (None, ()) or self.field.is_required() or self.field.default_factory is not None:
            return text
        return f"{text} [default: {str(default).lower() if isinstance(default, bool) else default}]"


def without_none(annotation: Any) -> Any:
    """Return ``T`` of ``T | None``, and other types as they are."""
    if get_origin(annotation) in (Union, types.UnionType):
        kinds = [kind for kind in get_args(annotation) if kind is not type(None)]
        return kinds[0] if len(kinds) == 1 else annotation
    return annotation


def options_of(model: type[BaseModel], skip: Collection[str] = ()) -> Iterator[Option]:
    """Yield an option for each field of a model and of its sections, but not for the keys in `skip`."""
    yield from _options(model, (), Group("Settings", sort_key=1), skip)


def _options(model: type[BaseModel], keys: tuple[str, ...], group: Group, skip: Collection[str]) -> Iterator[Option]:
    nested = sections(model)
    for name, field in model.model_fields.items():
        path = (*keys, name)
        if ".".join(path) in skip:
            continue
        if name in nested:
            yield from _options(nested[name], path, Group(field.title or name, sort_key=2), skip)
        else:
            yield Option(path, field, group)


def with_options(
    model: type[BaseModel], skip: Collection[str] = ()
) -> Callable[[Callable[..., Exit]], Callable[..., Exit]]:
    """Give a command the options of a recipe.

    The command has a parameter ``settings``; it receives the values of the options that were given, nested as in a
    recipe.

    Parameters
    ----------
    model
        The recipe, or any other settings.
    skip
        Keys that are no options, e.g. because they are positional arguments.
    """

    def decorate(command: Callable[..., Exit]) -> Callable[..., Exit]:
        options = {option.parameter: option for option in options_of(model, skip)}

        @functools.wraps(command)
        def wrapper(*args: Any, **given: Any) -> Exit:
            settings: dict[str, Any] = {}
            for name in options.keys() & given.keys():
                value = given.pop(name)
                if value is not None:
                    nested: Any = options[name].value(value)
                    for key in reversed(options[name].keys):
                        nested = {key: nested}
                    settings = merge(settings, nested)
            return command(*args, **given, settings=settings)

        signature = inspect.signature(command, eval_str=True)
        own = [parameter for parameter in signature.parameters.values() if parameter.name != "settings"]
        made = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=option.annotation)
            for name, option in options.items()
        ]
        wrapper.__signature__ = signature.replace(parameters=own + made)  # type: ignore[attr-defined]
        wrapper.__annotations__ = {parameter.name: parameter.annotation for parameter in own + made}
        return wrapper

    return decorate


def parse_sequence(option: Option, text: str) -> Any:
    """Read a list of numbers, or of pairs of them, from an option's value: ``1,2``, a CSV file, or YAML.

    Raises
    ------
    RecipeError
        If the text or the file cannot be read as such.
    """
    text = text.strip()
    if text.startswith("["):
        try:
            return yaml.safe_load(text)
        except yaml.YAMLError:
            raise RecipeError(f"{option.flag} {text} is no list; write it as [1, 2, 3]") from None
    is_file = text.lower().endswith((".csv", ".txt", ".tsv"))
    name = option.keys[-1]
    unit = "um" if name.endswith("_um") else None
    try:
        table = read_table(Path(text)) if is_file else read_table(text, option.flag)
        return table.pairs(unit) if option.is_nested else table.column(name, unit=unit)
    except InputError as error:
        raise RecipeError(f"{option.flag}: {error}" if is_file else str(error)) from None

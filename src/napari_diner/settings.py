"""Base of recipes and of their sections. Does not import torch, so that a form can be shown without it."""

from __future__ import annotations

import difflib
import re
import types
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, ValidationError, ValidationInfo, field_validator
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, core_schema

from napari_diner.errors import RecipeError, one_line, quoted

Values = dict[str, Any]
"""Values of settings by their keys, nested in sections, as in a YAML file."""
# what a value should be, where pydantic says it in words of Python
_KINDS = (
    dict.fromkeys(("int_from_float", "int_parsing", "int_type"), "it should be a whole number")
    | dict.fromkeys(("float_parsing", "float_type"), "it should be a number")
    | dict.fromkeys(("bool_parsing", "bool_type"), "it should be true or false")
    | {
        "string_type": "it should be a text",
        "tuple_type": "it should be a list in brackets, such as [0.1, 0.2]",
        "dict_type": "it should be a list of settings, {name: {key: value}}",
    }
)
# what Python makes of bytes that are not UTF-8
_SURROGATE = re.compile("[\ud800-\udfff]")


if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass
else:
    ModelMetaclass = type(BaseModel)


class _OurErrors(ModelMetaclass):
    """Makes the constructors of settings raise `RecipeError` instead of pydantic's `ValidationError`."""

    def __call__(cls, *args: object, **values: object) -> object:  # noqa: N805  # of a metaclass
        try:
            return super().__call__(*args, **values)
        except ValidationError as error:
            raise explained(cls, error) from None


class Settings(BaseModel, metaclass=_OurErrors):
    """Base of a recipe and of its sections: unknown keys are errors, and values cannot be changed once set.

    The docstrings below the fields are the help that users read.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    noun: ClassVar[str] = "recipe"
    """Name for the document in messages, e.g. ``"recipe"``."""

    @field_validator("*", mode="before")
    @classmethod
    def _usable(cls, value: object, info: ValidationInfo) -> object:
        if isinstance(value, str) and not is_storable(value):
            raise ValueError("it is not valid UTF-8; rename the file or folder")
        kind = str(cls.model_fields[str(info.field_name)].annotation)
        if _has_truth(value) and re.search(r"\b(int|float)\b", kind) and not re.search(r"\b(bool|Any)\b", kind):
            raise ValueError("it should be a number" if isinstance(value, bool) else "each entry should be a number")
        return value


def _has_truth(value: object) -> bool:
    """Return whether a value is true or false, or a list of which an entry is."""
    return isinstance(value, bool) or (isinstance(value, list | tuple) and any(map(_has_truth, value)))


def is_storable(text: str) -> bool:
    """Return whether a text can be stored in a recipe; the name of a file may have bytes that cannot."""
    return _SURROGATE.search(text) is None


def sections(model: type[BaseModel]) -> dict[str, type[BaseModel]]:
    """Return the fields of a model that are models themselves."""
    return {
        name: field.annotation
        for name, field in model.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
    }


def all_keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Yield every key of a model; keys of sections and of models in lists as ``section.key``."""
    for name, field in model.model_fields.items():
        yield prefix + name
        for kind in (field.annotation, *get_args(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from all_keys(kind, f"{prefix}{name}.")


def explained(model: Any, error: ValidationError) -> RecipeError:
    """Return an error with one sentence about the first problem that pydantic reports, and its cure."""
    first = error.errors(include_url=False)[0]
    # integers are positions in a tuple, and entries that are not identifiers name members of a union: neither is part
    # of the key
    parts = [part for part in first["loc"] if isinstance(part, int) or part.isidentifier()]
    unknown = first["type"] == "extra_forbidden"
    if unknown and parts[-1:] != [first["loc"][-1]]:
        parts.append(first["loc"][-1])  # an unknown key can be any text
    keys = [str(part) for part in parts if isinstance(part, str)]
    valid = set(all_keys(model))
    while len(keys) > 1 and ".".join(keys) not in valid and not unknown:
        keys.pop()
    key = ".".join(keys)
    if unknown:
        return RecipeError(f"The {model.noun} has no key {quoted(key)}; did you mean {_nearest(key, valid)!r}?")
    problem = one_line(first["msg"], 400).removeprefix("Value error, ").replace("Input should be", "it should be")
    problem = _KINDS.get(first["type"], problem)
    if first["type"] == "value_error" and not key:
        return RecipeError(problem)
    if first["type"] in ("model_type", "model_attributes_type"):
        problem = "it should be a section with settings of its own"
    if first["type"] == "missing":
        return RecipeError("{field} is missing", key)
    given = first["input"]
    if isinstance(given, list):  # the command line reads the numbers of lists before it knows what they are for
        given = [int(each) if isinstance(each, float) and each.is_integer() else each for each in given]
    return RecipeError(f"{{field}} = {quoted(given)} cannot be used: {problem}", key or "recipe")


def _nearest(key: str, valid: set[str]) -> str:
    """Return the valid key that is most similar to an unknown one; the last part of the key counts most."""
    key = key[:80]
    last = difflib.get_close_matches(
        key.rsplit(".", 1)[-1], [name.rsplit(".", 1)[-1] for name in valid], n=1, cutoff=0.6
    )
    candidates = [name for name in valid if not last or name.rsplit(".", 1)[-1] == last[0]]
    return difflib.get_close_matches(key, sorted(candidates), n=1, cutoff=0.0)[0]


class OneOf:
    """Restricts a text to names that are known only at run time, such as those of a registry.

    Use it as ``Annotated[str, OneOf(names)]``.

    Parameters
    ----------
    names
        Returns the valid names.
    """

    def __init__(self, names: Callable[[], Iterable[str]]) -> None:
        self.names = names

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._checked, handler(source))

    def _checked(self, value: str) -> str:
        names = list(self.names())
        if value not in names:
            raise ValueError(f"it should be {', '.join(map(repr, names[:-1]))} or {names[-1]!r}")
        return value


def without_none(annotation: object) -> object:
    """Return ``T`` of ``T | None``, and other types as they are."""
    if get_origin(annotation) in (Union, types.UnionType):
        kinds = [kind for kind in get_args(annotation) if kind is not type(None)]
        return kinds[0] if len(kinds) == 1 else annotation
    return annotation


def choices(field: FieldInfo) -> tuple[str, ...]:
    """Return the texts that a field may hold, if they are limited: those of a ``Literal`` or of `OneOf`."""
    for mark in field.metadata:
        if isinstance(mark, OneOf):
            return tuple(mark.names())
    kinds = (field.annotation, *get_args(field.annotation))
    return next((get_args(kind) for kind in kinds if get_origin(kind) is Literal), ())

"""Conversion of solver states to plain JSON and arrays of bytes, and back, without executing anything."""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch

Bytes = npt.NDArray[np.uint8]

_SCALARS = (bool, int, float, str, type(None))
# data classes and named tuples of this package may be part of a state
_PACKAGE = "napari_diner"


def pack(value: object, arrays: dict[str, Bytes]) -> object:
    """Return a value in a form for JSON; the content of its arrays is added to `arrays`.

    Parameters
    ----------
    value
        Numbers, texts, arrays, tensors, random generators, data classes and named tuples of this package; and lists,
        tuples and mappings of those.
    arrays
        Receives bytes by name.

    Raises
    ------
    TypeError
        If a value has another type.
    """
    import torch

    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, _SCALARS):
        return value
    if isinstance(value, np.ndarray):
        return {"array": _added(value, arrays)}
    if isinstance(value, torch.Tensor):
        place = "cpu" if value.device.type == "cpu" else "device"
        return {"tensor": _added(value.detach().cpu().resolve_conj().numpy(), arrays), "on": place}
    if isinstance(value, torch.Generator):
        return {"torch generator": _added(value.get_state().numpy(), arrays)}
    if isinstance(value, np.random.Generator):
        return {"numpy generator": value.bit_generator.state}
    if isinstance(value, Mapping):
        return {"mapping": [[pack(key, arrays), pack(item, arrays)] for key, item in value.items()]}
    if isinstance(value, list):
        return [pack(item, arrays) for item in value]
    kind = type(value)
    items: list[object]
    if dataclasses.is_dataclass(value):
        items = [getattr(value, field.name) for field in dataclasses.fields(value)]
    elif isinstance(value, tuple):
        items = list(value)
    else:
        raise TypeError(f"a {kind.__name__} cannot be part of a state")
    packed = [pack(item, arrays) for item in items]
    return {"tuple": packed} if kind is tuple else {"type": f"{kind.__module__}:{kind.__qualname__}", "items": packed}


def unpack(packed: Any, arrays: Mapping[str, Bytes], device: torch.device) -> Any:
    """Return the value packed by `pack`; tensors that were not on the processor go to `device`.

    Raises
    ------
    ValueError, KeyError, TypeError, IndexError
        If it was not made by `pack`.
    """
    import torch

    if isinstance(packed, _SCALARS):
        return packed
    if isinstance(packed, list):
        return [unpack(item, arrays, device) for item in packed]
    if "array" in packed:
        return _array(packed["array"], arrays)
    if "tensor" in packed:
        return torch.from_numpy(_array(packed["tensor"], arrays)).to("cpu" if packed["on"] == "cpu" else device)
    if "torch generator" in packed:
        generator = torch.Generator()
        generator.set_state(torch.from_numpy(_array(packed["torch generator"], arrays)))
        return generator
    if "numpy generator" in packed:
        random = np.random.default_rng()
        random.bit_generator.state = packed["numpy generator"]
        return random
    if "mapping" in packed:
        return {unpack(key, arrays, device): unpack(item, arrays, device) for key, item in packed["mapping"]}
    items = [unpack(item, arrays, device) for item in packed["tuple" if "tuple" in packed else "items"]]
    return tuple(items) if "tuple" in packed else _type(packed["type"])(*items)


def _type(name: str) -> type:
    """Return a data class or named tuple of this package, whose module must have been imported."""
    module, _, qualified = name.partition(":")
    attribute: object = sys.modules.get(module) if module.split(".")[0] == _PACKAGE else None
    for part in qualified.split("."):
        attribute = getattr(attribute, part, None)
    if isinstance(attribute, type) and (dataclasses.is_dataclass(attribute) or issubclass(attribute, tuple)):
        return attribute
    raise TypeError(f"{name} cannot be part of a state")


def _added(values: npt.NDArray[Any], arrays: dict[str, Bytes]) -> list[object]:
    """Add the content of an array; return its name, type and shape."""
    name = str(len(arrays))
    arrays[name] = np.ascontiguousarray(values).reshape(-1).view(np.uint8)
    return [name, values.dtype.str, list(values.shape)]


def _array(described: tuple[str, str, list[int]], arrays: Mapping[str, Bytes]) -> npt.NDArray[Any]:
    name, text, shape = described
    dtype = np.dtype(text)
    if dtype.kind not in "biufc" or math.prod(shape) * dtype.itemsize != arrays[name].nbytes:
        raise ValueError(f"{name} is not an array of {text}")
    return arrays[name].view(dtype).reshape(shape)

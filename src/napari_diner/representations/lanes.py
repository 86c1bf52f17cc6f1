"""Short vectors of float32 in loops compiled by numba, one instruction for several numbers.

LLVM, by which numba compiles, translates them to the instructions of any processor. It does not find them by itself in
loops that read and write at computed places, as interpolation does.

In compiled code, vectors of equal length are added, subtracted, multiplied and divided by the usual operators, and only
the functions of this module create them. Places in arrays are those of the flat, contiguous array, and are not
checked.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, overload, register_model

_FLOAT, _PLACE = ir.FloatType(), ir.IntType(32)


class Lanes(types.Type):
    """The type of a vector in compiled code.

    Parameters
    ----------
    count
        How many numbers it has.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        super().__init__(name=f"Lanes({count})")


@register_model(Lanes)
class _Model(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Lanes) -> None:
        super().__init__(manager, kind, ir.VectorType(_FLOAT, kind.count))  # type: ignore[no-untyped-call]


def _operation(function: Callable[..., Any]) -> Any:
    """Let compiled code call a function that generates instructions; numba's decorator has no types."""
    return intrinsic(prefer_literal=True)(function)


def _shuffled(builder: Any, first: Any, second: Any, order: Sequence[int]) -> Any:
    """Return a vector of numbers of two others, counted on from the first to the second."""
    return builder.shuffle_vector(first, second, ir.Constant(ir.VectorType(_PLACE, len(order)), list(order)))


def _address(context: Any, builder: Any, signature: Any, arguments: Any, count: int) -> Any:
    """Return the address of numbers in an array, the first argument, from the place that is the second."""
    array, place = arguments[:2]
    start = context.make_array(signature.args[0])(context, builder, array).data
    index = context.cast(builder, place, signature.args[1], types.intp)
    return builder.bitcast(builder.gep(start, [index]), ir.VectorType(_FLOAT, count).as_pointer())


def _counted(count: Any) -> Lanes:
    """Return the type of a vector like another, or of a constant number of numbers."""
    return count if isinstance(count, Lanes) else Lanes(count.literal_value)


@_operation
def load(typing: Any, array: Any, place: Any, count: Any) -> Any:
    """Return numbers of an array from a place on: `count`, a constant, or as many as another vector has."""
    lanes = _counted(count)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load(_address(context, builder, signature, arguments, lanes.count), align=4)

    return lanes(array, types.unliteral(place), count), generate


@_operation
def store(typing: Any, array: Any, place: Any, lanes: Any) -> Any:
    """Write a vector to an array from a place on."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.store(arguments[2], _address(context, builder, signature, arguments, lanes.count), align=4)
        return context.get_dummy_value()

    return types.none(array, types.unliteral(place), lanes), generate


@_operation
def spread(typing: Any, number: Any, count: Any) -> Any:
    """Return a vector of one number: `count` times, a constant, or as often as another vector has numbers."""
    lanes = _counted(count)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        empty = ir.Constant(ir.VectorType(_FLOAT, lanes.count), ir.Undefined)
        first = builder.insert_element(empty, arguments[0], ir.Constant(_PLACE, 0))
        return _shuffled(builder, first, empty, [0] * lanes.count)

    return lanes(types.float32, count), generate


@_operation
def sums(typing: Any, first: Any, second: Any, third: Any, fourth: Any) -> Any:
    """Return the sum of each of four vectors of 4 or 8 numbers, as a vector."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vectors = list(arguments)
        for count in range(first.count, 4, -4):
            ends = range(4), range(count - 4, count)
            vectors = [builder.fadd(*(_shuffled(builder, v, v, end) for end in ends)) for v in vectors]
        pairs = [
            builder.fadd(_shuffled(builder, a, b, [0, 4, 1, 5]), _shuffled(builder, a, b, [2, 6, 3, 7]))
            for a, b in (vectors[:2], vectors[2:])
        ]
        orders = [0, 1, 4, 5], [2, 3, 6, 7]
        return builder.fadd(*(_shuffled(builder, pairs[0], pairs[1], order) for order in orders))

    return Lanes(4)(first, second, third, fourth), generate


@_operation
def turned(typing: Any, first: Any, second: Any, third: Any, fourth: Any, number: Any) -> Any:
    """Return one number, a constant, of each of four vectors, as a vector: a column of the matrix of these rows."""
    column = number.literal_value

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        count = first.count
        order = [column, count + column]
        pairs = [_shuffled(builder, a, b, order) for a, b in (arguments[:2], arguments[2:4])]
        return _shuffled(builder, pairs[0], pairs[1], range(4))

    return Lanes(4)(first, second, third, fourth, number), generate


@_operation
def braid(typing: Any, first: Any, second: Any) -> Any:
    """Return the first number of each of two vectors, then the second ones, and so on."""
    count = first.count
    order = [turn + vector * count for turn in range(count) for vector in range(2)]

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _shuffled(builder, arguments[0], arguments[1], order)

    return Lanes(2 * count)(first, second), generate


@_operation
def braid_three(typing: Any, first: Any, second: Any, third: Any) -> Any:
    """Return the first number of each of three vectors, then the second ones, and so on."""
    count = first.count
    order = [turn + vector * count for turn in range(count) for vector in range(3)]

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        both = _shuffled(builder, arguments[0], arguments[1], range(2 * count))
        last = _shuffled(builder, arguments[2], arguments[2], [*range(count), *[0] * count])
        return _shuffled(builder, both, last, order)

    return Lanes(3 * count)(first, second, third), generate


def _of_llvm(name: str, arity: int) -> Any:
    """Return an operation on vectors that LLVM has under a name."""

    def called(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = arguments[0].type
        form = ir.FunctionType(kind, [kind] * arity)
        name_of_type = f"llvm.{name}.v{signature.args[0].count}f32"
        return builder.call(cgutils.get_or_insert_function(builder.module, form, name_of_type), arguments)

    if arity == 1:
        return _operation(lambda typing, lanes: (lanes(lanes), called))
    return _operation(lambda typing, first, second: (first(first, second), called))


square_root = _of_llvm("sqrt", 1)
least = _of_llvm("minnum", 2)
greatest = _of_llvm("maxnum", 2)


def _arithmetic(symbol: Callable[..., Any], instruction: str) -> None:
    """Let an operator work on vectors."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return getattr(builder, instruction)(*arguments)

    operation = _operation(lambda typing, first, second: (first(first, second), generate))

    # numba compares the names of arguments together with their annotations
    def chosen(first, second):  # type: ignore[no-untyped-def]
        if isinstance(first, Lanes) and first == second:
            return lambda first, second: operation(first, second)
        return None

    overload(symbol)(chosen)


for _symbol, _instruction in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _arithmetic(_symbol, _instruction)

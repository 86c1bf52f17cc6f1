"""Values that no option expects, for every field of every recipe."""

from __future__ import annotations

import random
from collections.abc import Iterator

from pydantic import BaseModel

from napari_diner.settings import sections
from napari_diner.tasks.registry import tasks
from tests.hostile.doors import BASE

VALUES = (
    "-1", "0", "-0.0", "1e308", "-1e308", "1e-320", "1e999", "nan", "inf", "-inf", "9" * 5000,
    "0." + "3" * 5000, "1" * 25, "2147483648", "9223372036854775808", "true", "false", "yes", "null", "~", "",
    " ", "x", "1,", ",1", ",", "1,,2", "1,2,", "1;2", "1 2 3", "1,2,3", "[1, 2", "[[1, 2], [3, 4], [5, 6]]",
    "[1, [2], 3]", "[1e308, 1e308, 1e308]", "[nan, inf, 1]", "[]", "[[]]", "{a: 1}", "- 1", "1_000", "0x10",
    "0b1", "1:30", "1e", "--1", "+1", "\u0661\u0662\u0663", "\u00b2", "\uff11", "\u200b1", "\x07", "\x1b[31m",
    "a\nb", "\u2028", "\U0001f41b", "2020-01-01", "2020-13-45", "2020-01-01T00:00:00Z", "~nobody",
    "~nobody/x.tif", "x" * 300, "x/" * 3000, "/", ".", "..", "/dev/null", "a" * 100_000, "a\u0301", "NaN um",
    "5 parsecs", "100 nm", "0.5 mm", "YXN", "QQ", "C=1", "C=999999999999", "=", "*.tif", "[", "**", "$HOME",
    "%s", "{field}", "{field:seed}", "!!python/name:os.system", "&a [*a]", "*a", "'", '"', "\\", "#", "auto",
    "none", "None", "1j", "1/2", "/**", "/**/*.tif", "/proc/kmsg", "/proc/self/mem",
)  # fmt: skip


def keys() -> list[tuple[str, str]]:
    """Return the task and the key of every field of every recipe that is no section."""

    def plain(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
        nested = sections(model)
        for name in model.model_fields:
            yield from plain(nested[name], f"{prefix}{name}.") if name in nested else [prefix + name]

    return [(name, key) for name, task in tasks().items() for key in plain(task.recipe_type) if key != "task"]


def commands(stack: str, count: int, seed: int = 0) -> Iterator[list[str]]:
    """Yield commands with one strange value each: as an option, by ``--set``, or of an option that is not there."""
    generator = random.Random(seed)
    fields = keys()
    for number in range(count):
        task, key = fields[number % len(fields)]
        value = generator.choice(VALUES)
        source = [] if key == "stack" or key == "image" else [stack]
        start = [task, *source, *BASE[task]]
        option = "--" + key.replace("_", "-")
        match generator.randrange(8):
            case 0:
                yield [*start, "--set", f"{key}={value}"]
            case 1:
                yield [*start, "--set", f"{value}={value}"]
            case 2:
                yield [*start, option]
            case _:
                yield [*start, f"{option}={value}"] if generator.random() < 0.5 else [*start, option, value]

"""Frames that a recipe leaves out, and numbering of the others in messages. Does not import torch."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from napari_diner.errors import DinerError, RecipeError
from napari_diner.io.arrays import Array
from napari_diner.tasks.recipe import StackRecipe

_ONE = re.compile(r"\b([Ff]rame) (\d+)")
_SEVERAL = re.compile(r"\b([Ff]rames) (\d+(?:(?:, | and )\d+)*)(?!\d| more)")
_OPTION = re.compile(r"(\{field:leave_out\}) (\d+(?:,\d+)*)")
Entry = TypeVar("Entry")


@dataclass(frozen=True)
class LeftOut:
    """The frames of a stack that are left out."""

    frames: int
    """Number of frames of the stack."""
    numbers: tuple[int, ...] = ()
    """Frames that are left out, counted from zero, in ascending order."""

    @classmethod
    def of(cls, recipe: StackRecipe, frames: int) -> LeftOut:
        """Return the frames that a recipe leaves out of a stack.

        Raises
        ------
        RecipeError
            If the stack lacks one of them, or has no others.
        """
        numbers = tuple(number - 1 for number in recipe.leave_out)
        if numbers and numbers[-1] >= frames:
            raise RecipeError(
                f"{{field}} names frame {numbers[-1] + 1}, but the stack has {frames} frames, counted from 1; correct "
                "the number",
                "leave_out",
            )
        if frames and len(numbers) == frames:
            raise RecipeError("{field} names all frames; keep some", "leave_out")
        return cls(frames, numbers)

    @property
    def kept(self) -> list[int]:
        """The other frames, counted from zero."""
        return [number for number in range(self.frames) if number not in self.numbers]

    def and_of_the_rest(self, numbers: Iterable[int]) -> LeftOut:
        """Leave out more frames, given by their positions among those that are kept."""
        kept = self.kept
        return LeftOut(self.frames, tuple(sorted((*self.numbers, *(kept[number] for number in numbers)))))

    def rest(self, entries: Sequence[Entry]) -> tuple[Entry, ...]:
        """Return the entries of the remaining frames in a list with one for each frame; other lists are unchanged."""
        if len(entries) != self.frames or not self.numbers:
            return tuple(entries)
        return tuple(entries[number] for number in self.kept)

    def pages(self, images: Array | None) -> Array | None:
        """Return the pages of the remaining frames, (N, Y, X); an image for all, (Y, X), is unchanged."""
        if images is None or images.ndim < 3 or len(images) != self.frames or not self.numbers:
            return images
        return images[self.kept]

    def counted(self, texts: Iterable[str]) -> list[str]:
        """Return sentences with the numbers of remaining frames replaced by those in the stack."""
        return [self._counted(text) for text in texts]

    @contextlib.contextmanager
    def counting(self) -> Iterator[None]:
        """Replace the numbers of remaining frames in the messages of errors by those in the stack."""
        try:
            yield
        except DinerError as error:
            error.message = self._counted(error.message)
            raise

    def _counted(self, text: str) -> str:
        if not self.numbers:
            return text
        kept = self.kept

        def renumbered(match: re.Match[str]) -> str:
            numbers = re.sub(r"\d+", lambda number: str(kept[int(number[0]) - 1] + 1), match[2])
            return f"{match[1]} {numbers}"

        def completed(match: re.Match[str]) -> str:
            all_of_them = sorted({kept[int(number) - 1] for number in match[2].split(",")} | {*self.numbers})
            return f"{match[1]} {','.join(str(number + 1) for number in all_of_them)}"

        return _OPTION.sub(completed, _SEVERAL.sub(renumbered, _ONE.sub(renumbered, text)))


def as_option(numbers: Iterable[int]) -> str:
    """Return the setting that leaves out frames, counted from zero, for the message of an error."""
    return f"{{field:leave_out}} {','.join(str(number + 1) for number in numbers)}"

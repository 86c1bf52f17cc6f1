"""Orders in which directions of illumination may have been listed."""

from __future__ import annotations

# longest list of which every beginning is tried
_MOST = 128


def frame_orders(count: int) -> dict[str, list[int]]:
    """Return orders of a list by their names, each as the places in the given list; the given one first."""
    places = list(range(count))
    alternate = [*places[::2], *places[1::2]]
    return {
        "": places,
        "reverse order, ": places[::-1],
        "one frame later, ": [*places[-1:], *places[:-1]],
        "one frame earlier, ": [*places[1:], *places[:1]],
        "every second direction first, ": alternate,
        "halves interleaved, ": [alternate.index(place) for place in places],
    }


def starts(count: int) -> dict[str, list[int]]:
    """Return a list that begins at another place and goes on from its end to its beginning; `frame_orders` has two."""
    places = list(range(count))
    firsts = range(2, count - 1) if count <= _MOST else ()
    return {
        f"beginning with the direction of frame {first + 1}": [*places[first:], *places[:first]] for first in firsts
    }

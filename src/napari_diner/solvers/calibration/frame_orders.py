"""Orders in which directions of illumination may have been listed."""

from __future__ import annotations


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

"""How a private name of Dagster's is replaced, and put back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Undo = Callable[[], None]


def replace(place: Any, name: str, instead: Any) -> Undo:
    """Put something else in the place of a private name, which must be there; gives back how to undo it."""
    stock = vars(place)[name]
    setattr(place, name, instead)
    return lambda: setattr(place, name, stock)


def together(*undone: Undo) -> Undo:
    """Undo all of them, the last one first."""

    def undo() -> None:
        for one in reversed(undone):
            one()

    return undo

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


def overrule(kind: type, name: str, instead: Any) -> Undo:
    """Give a class something in the place of what it inherits; gives back how to undo it."""
    if name in vars(kind):
        raise AttributeError(f"{kind.__name__} has its own {name!r}: replace it")
    setattr(kind, name, instead)
    return lambda: delattr(kind, name)


def together(*undone: Undo) -> Undo:
    """Undo all of them, the last one first."""

    def undo() -> None:
        for one in reversed(undone):
            one()

    return undo

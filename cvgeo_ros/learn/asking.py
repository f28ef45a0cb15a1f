"""Asking for several clicks at once, so that one that is refused spoils only itself."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from ..errors import CalibrationError, ClickError, MapError

Item = TypeVar("Item")
Answer = TypeVar("Answer")


def ask_apart(
    ask: Callable[[Sequence[Item]], list[Answer]],
    items: Sequence[Item],
    nothing: Callable[[Item], Answer],
    refusals: list[ValueError],
) -> list[Answer]:
    """Answers to all items; where they are refused together, each is asked alone.

    Args:
        ask: one answer an item; raises ClickError, MapError or CalibrationError to refuse.
        items: at least one.
        nothing: what stands for the answer to an item that is refused alone.
        refusals: receives the errors of these.
    """
    try:
        return ask(items)
    except (ClickError, MapError, CalibrationError) as error:
        if len(items) > 1:
            return [answer for item in items for answer in ask_apart(ask, [item], nothing, refusals)]
        refusals.append(error)
        return [nothing(items[0])]

"""Where commands print."""

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def wide_console(width: int) -> "Console":
    """The terminal; where nobody watches, a console of this width: lines must not be folded at 80 columns."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else width)

"""How options are written in the help of several commands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import tyro

Count = Annotated[int, tyro.conf.arg(metavar="N")]
Number = Annotated[float, tyro.conf.arg(metavar="X")]
Preferred = tyro.conf.DisallowNone[bool | None]
"""A flag and its opposite, or None where neither is given."""
RunFolder = Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]


def optional(metavar: str | None, default: str) -> Any:
    """Describe an option whose default depends on others, instead of showing None.

    Args:
        metavar: stands for the value; None for a flag, which has none.
        default: what happens without the option.
    """
    return tyro.conf.arg(metavar=metavar, help_behavior_hint=f"(default: {default})")

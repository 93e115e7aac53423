"""From dense networks to structured ones, and back."""

from .convert import convert_
from .dense import to_dense
from .report import Change, Conversion

__all__ = ["Change", "Conversion", "convert_", "to_dense"]

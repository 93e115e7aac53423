"""Linear layers whose weights have structure."""

from .base import StructuredLinear
from .chromatic import ChromaticLinear
from .circulant import CirculantLinear
from .masked import MaskedLinear
from .palette import Palette, tie_palettes_
from .toeplitz import ToeplitzLinear

__all__ = [
    "ChromaticLinear",
    "CirculantLinear",
    "MaskedLinear",
    "Palette",
    "StructuredLinear",
    "ToeplitzLinear",
    "tie_palettes_",
]

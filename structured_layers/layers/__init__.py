"""Linear layers whose weights have structure."""

from .activations import UnitActivations
from .base import StructuredLinear
from .chromatic import ChromaticLinear
from .circulant import CirculantLinear
from .displacement import LowDisplacementRankLinear
from .hankel import HankelLinear
from .masked import MaskedLinear
from .palette import Palette, tie_palettes_
from .soft_masked import SoftMaskedLinear
from .toeplitz import ToeplitzLinear

__all__ = [
    "ChromaticLinear",
    "CirculantLinear",
    "HankelLinear",
    "LowDisplacementRankLinear",
    "MaskedLinear",
    "Palette",
    "SoftMaskedLinear",
    "StructuredLinear",
    "ToeplitzLinear",
    "UnitActivations",
    "tie_palettes_",
]

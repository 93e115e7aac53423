"""Linear layers whose weights have structure."""

from .activations import UnitActivations
from .base import StructuredLinear
from .chromatic import ChromaticLinear
from .circulant import CirculantLinear
from .decoder_files import load_decoder, save_decoder
from .displacement import LowDisplacementRankLinear
from .hankel import HankelLinear
from .latent import LatentLinear
from .masked import MaskedLinear
from .palette import Palette, tie_palettes_
from .soft_masked import SoftMaskedLinear
from .toeplitz import ToeplitzLinear
from .weight_decoder import WeightDecoder

__all__ = [
    "ChromaticLinear",
    "CirculantLinear",
    "HankelLinear",
    "LatentLinear",
    "LowDisplacementRankLinear",
    "MaskedLinear",
    "Palette",
    "SoftMaskedLinear",
    "StructuredLinear",
    "ToeplitzLinear",
    "UnitActivations",
    "WeightDecoder",
    "load_decoder",
    "save_decoder",
    "tie_palettes_",
]

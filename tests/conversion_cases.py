"""What the tests of conversion share: the structures by name, and a network to convert."""

import torch
from torch import Tensor, nn

from structured_layers import (
    ChromaticLinear,
    CirculantLinear,
    HankelLinear,
    LowDisplacementRankLinear,
    MaskedLinear,
    SoftMaskedLinear,
    ToeplitzLinear,
    mlp,
)

NAMED = [
    ("toeplitz", ToeplitzLinear, {}),
    ("hankel", HankelLinear, {}),
    ("circulant", CirculantLinear, {}),
    ("low_displacement_rank", LowDisplacementRankLinear, {"rank": 2, "family": "toeplitz"}),
    ("chromatic", ChromaticLinear, {"num_colors": 5}),
    ("masked", MaskedLinear, {"num_edges": 20}),
    ("soft_masked", SoftMaskedLinear, {"initial_density": 0.4}),
]


def network() -> nn.Sequential:
    return mlp(6, [8, 5], 3)


def state_of(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def assert_untouched(module: nn.Module, before: dict[str, Tensor]) -> None:
    assert all(type(part) is nn.Linear for part in module if hasattr(part, "weight"))
    torch.testing.assert_close(module.state_dict(), before, rtol=0, atol=0)

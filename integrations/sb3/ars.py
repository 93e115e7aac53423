"""Structured policies under sb3-contrib's ARS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector

from ...layers import StructuredLinear
from .structured import StructuredPolicy

SMALL = 1e-3


class StructuredARSPolicy(StructuredPolicy):
    """A structured policy for ARS, which keeps a vector of weights besides the policy's parameters.

    The parameters are that vector plus an offset, zero at first, for two reasons:

    - ARS starts at a vector of zeros (``zero_policy=True``). Where a weight is a product of trained
      values, such as a palette and a scale, no direction leads away from zero. Such layers start at
      the values that were drawn, all others at zero.
    - A loaded ARS model has the saved parameters, but with ``zero_policy=False`` a fresh vector.
      The offset makes up for the difference, so that training goes on from what was saved.
    """

    offset: Tensor | None = None  # on the CPU, as the vectors that ARS hands over

    def load_from_vector(self, vector: Any) -> None:
        """Load all parameters from a vector of ARS."""
        vector = torch.as_tensor(vector)
        if self.offset is None and not vector.any():
            self.offset = self._values_of_products()
        super().load_from_vector(vector if self.offset is None else vector + self.offset)

    def load_state_dict(self, state_dict: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Load all parameters; the vector that ARS keeps then stands for these."""
        before = self._vector()
        result = super().load_state_dict(state_dict, *args, **kwargs)
        moved = self._vector() - before
        self.offset = moved if self.offset is None else self.offset + moved
        return result

    def _vector(self) -> Tensor:
        return parameters_to_vector(self.parameters()).detach().cpu()

    @torch.no_grad()
    def _values_of_products(self) -> Tensor:
        """Return the parameters, with zeros for all but those of layers that are products."""
        products = [module for module in self.modules() if is_product(module)]
        kept = {id(p) for m in products for p in m.parameters(recurse=False) if p is not m.bias}
        parts = [p if id(p) in kept else torch.zeros_like(p) for p in self.parameters()]
        return parameters_to_vector(parts).cpu()


@torch.no_grad()
def is_product(module: nn.Module) -> bool:
    """Tell whether a layer's weight falls faster than its values as these go to zero."""
    if not isinstance(module, StructuredLinear):
        return False
    parameters = {name: SMALL * p for name, p in module.named_parameters(recurse=False)}
    weight = module.weight_from(parameters, dict(module.named_buffers(recurse=False)))
    return bool(weight.norm() < 0.1 * SMALL * module.weight.norm())

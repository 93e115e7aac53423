"""The outputs of many networks of one shape on many states."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn
from torch.func import functional_call, vmap


def network_outputs(network: nn.Module, parameters: Mapping[str, Tensor], states: Tensor) -> Tensor:
    """Return the outputs (N, S, out) of N networks.

    Args:
        network: what the parameters are of.
        parameters: (N, ...) each.
        states: (S, in) for all networks, or (N, S, in).
    """

    def outputs(own: dict[str, Tensor], inputs: Tensor) -> Tensor:
        result: Tensor = functional_call(network, own, (inputs,))
        return result

    result: Tensor = vmap(outputs, in_dims=(0, None if states.ndim == 2 else 0))(
        dict(parameters), states
    )
    return result

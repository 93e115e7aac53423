"""Bytes that a layer holds, against nn.Linear."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from structured_layers import CirculantLinear, HankelLinear, ToeplitzLinear

BATCH = 1024


def memory_ratios(size: int, device: str) -> dict[str, dict[str, float]]:
    """Return the ratios of parameters and of activations to those of nn.Linear."""
    x = torch.randn(BATCH, size, device=device, requires_grad=True)
    layers = {"Toeplitz": ToeplitzLinear, "Hankel": HankelLinear, "circulant": CirculantLinear}
    dense = nn.Linear(size, size, device=device)
    ratios = {}
    for name, kind in layers.items():
        layer = kind(size, size, device=device)
        ratios[name] = {
            "parameters": parameter_bytes(layer) / parameter_bytes(dense),
            "activations": activation_bytes(layer, x) / activation_bytes(dense, x),
        }
    return ratios


def parameter_bytes(layer: nn.Module) -> int:
    """Return the size of all parameters."""
    return sum(p.numel() * p.element_size() for p in layer.parameters())


def activation_bytes(layer: nn.Module, x: Tensor) -> int:
    """Return the size of what lives between forward and backward pass: saved tensors and output."""
    own = {p.untyped_storage().data_ptr() for p in layer.parameters()}
    held: dict[int, int] = {}

    def hold(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            held[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(hold, lambda tensor: tensor):
        output = layer(x)
    hold(output)
    return sum(held.values())

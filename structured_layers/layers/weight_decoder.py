"""Networks that turn a short code into the weight matrix of a layer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from structured_layers.errors import StructuredLayersError

from .base import as_integer, check_flag, check_size

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "silu": nn.SiLU,
}
KEYS = ("out_features", "in_features", "latent_size", "hidden", "activation", "linear_path")
PROBES = 256


class WeightDecoder(nn.Module):
    r"""A small network from codes to the weight matrices of one layer.

    .. math:: W(z) = \bar W + S \odot \bigl(f(z) + L z\bigr)

    with an MLP f, the mean weight and the scale S, which are fixed, and, if asked for, a linear map
    L. Without hidden layers f is linear itself.

    Args:
        out_features: number of rows of the weight.
        in_features: number of columns of the weight.
        latent_size: length of a code.
        hidden: sizes of the hidden layers; none makes a linear decoder, as PCA is.
        activation: ``tanh``, ``relu``, ``sigmoid`` or ``silu``, behind every hidden layer.
        linear_path: whether L is there.

    Shape:
        - Input: ``(*, latent_size)``.
        - Output: ``(*, out_features, in_features)``.

    Attributes:
        weight_mean: ``(out_features, in_features)``, zeros until :meth:`set_output_` is called.
        weight_scale: ``(out_features, in_features)``. At first one number, with which codes of
            standard normal entries give weights of the spread of ``nn.Linear``.

    Raises:
        StructuredLayersError: for a size that is not an integer of at least 1, or an unknown
            activation.

    Examples:
        >>> decoder = WeightDecoder(32, 11, latent_size=8)
        >>> decoder(torch.zeros(5, 8)).shape
        torch.Size([5, 32, 11])
    """

    weight_mean: Tensor
    weight_scale: Tensor

    def __init__(
        self,
        out_features: int,
        in_features: int,
        latent_size: int,
        hidden: Sequence[int] = (64,),
        activation: str = "tanh",
        *,
        linear_path: bool = False,
    ) -> None:
        """Check the sizes and draw the network."""
        super().__init__()
        self.out_features = check_size("out_features", out_features)
        self.in_features = check_size("in_features", in_features)
        self.latent_size = check_size("latent_size", latent_size)
        self.hidden = tuple(check_size("a hidden size", size) for size in _listed(hidden))
        self.activation = _check_activation(activation)
        entries = self.out_features * self.in_features
        sizes = (self.latent_size, *self.hidden)
        modules: list[nn.Module] = []
        for size, next_size in pairwise(sizes):
            modules += [nn.Linear(size, next_size), ACTIVATIONS[activation]()]
        self.layers = nn.Sequential(*modules, nn.Linear(sizes[-1], entries))
        has_path = check_flag("linear_path", linear_path)
        self.linear_path = nn.Linear(self.latent_size, entries, bias=False) if has_path else None
        self.register_buffer("weight_mean", torch.zeros(self.out_features, self.in_features))
        self.register_buffer("weight_scale", torch.ones(self.out_features, self.in_features))
        self.reset_parameters()

    def forward(self, latent: Tensor) -> Tensor:
        """Map codes ``(*, latent_size)`` to weights ``(*, out_features, in_features)``."""
        return self.decode(self._tensors(), latent)

    def decode(self, tensors: Mapping[str, Tensor], latent: Tensor) -> Tensor:
        """Return what ``forward`` would with other tensors; the decoder's own are not touched.

        Args:
            tensors: parameters and buffers by the names that they have here.
            latent: (*, latent_size).

        Returns:
            (*, out_features, in_features).
        """
        entries = self._entries(tensors, latent)
        shape = (*entries.shape[:-1], self.out_features, self.in_features)
        return tensors["weight_mean"] + tensors["weight_scale"] * entries.reshape(shape)

    def _entries(self, tensors: Mapping[str, Tensor], latent: Tensor) -> Tensor:
        """Return f(z) + L z, (*, out_features · in_features)."""
        entries = latent
        for i, layer in enumerate(self.layers):
            if isinstance(layer, nn.Linear):
                weight, bias = tensors[f"layers.{i}.weight"], tensors[f"layers.{i}.bias"]
                entries = F.linear(entries, weight, bias)
            else:
                entries = layer(entries)
        if self.linear_path is None:
            return entries
        return entries + F.linear(latent, tensors["linear_path.weight"])

    def _tensors(self) -> dict[str, Tensor]:
        return {**dict(self.named_parameters()), **dict(self.named_buffers())}

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw the network anew, with a mean of zero and the scale that the class describes."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                module.reset_parameters()
                if module.bias is not None:  # so that a code of zeros is the mean weight
                    nn.init.zeros_(module.bias)
        self.weight_mean.zero_()
        if self.weight_scale.is_meta:
            return
        generator = torch.Generator("cpu").manual_seed(0)  # to measure, not to draw
        probes = torch.randn(PROBES, self.latent_size, generator=generator, device="cpu")
        entries = self._entries(self._tensors(), probes.to(self.weight_scale))
        found = float(entries.square().mean().sqrt())
        self.weight_scale.fill_(1 / (math.sqrt(3 * self.in_features) * found))

    @torch.no_grad()
    def set_output_(self, *, mean: Tensor, scale: Tensor | float) -> None:
        """Set mean and scale of the weights.

        Args:
            mean: (out, in).
            scale: a number, or (out, in).

        Raises:
            StructuredLayersError: for other shapes, or entries that are not finite.
        """
        shape = tuple(self.weight_mean.shape)
        scales = torch.as_tensor(scale)
        if tuple(mean.shape) != shape or tuple(scales.shape) not in ((), shape):
            raise StructuredLayersError(
                f"mean must have shape {shape}, and scale too unless it is a number; got "
                f"{tuple(mean.shape)} and {tuple(scales.shape)}"
            )
        if not bool(mean.isfinite().all() and scales.isfinite().all()):
            raise StructuredLayersError("mean and scale of weights must be finite numbers")
        self.weight_mean.copy_(mean)
        self.weight_scale.copy_(scales)

    def to_json(self) -> dict[str, Any]:
        """Return a description in plain JSON values; the tensors are in the ``state_dict``."""
        return {
            "out_features": self.out_features,
            "in_features": self.in_features,
            "latent_size": self.latent_size,
            "hidden": list(self.hidden),
            "activation": self.activation,
            "linear_path": self.linear_path is not None,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> WeightDecoder:
        """Return a fresh decoder of the form that :meth:`to_json` described.

        Raises:
            StructuredLayersError: unknown or missing keys, or values that no decoder has.
        """
        if not isinstance(data, Mapping) or set(data) != set(KEYS):
            found = sorted(map(str, data)) if isinstance(data, Mapping) else data
            raise StructuredLayersError(
                f"the description of a decoder has the keys {', '.join(KEYS)}; got {found}"
            )
        return cls(**data)

    def extra_repr(self) -> str:
        """Return the sizes for ``repr``."""
        return f"{self.latent_size} → {self.out_features} × {self.in_features}"


def _listed(hidden: Any) -> Sequence[int]:
    if isinstance(hidden, str) or not isinstance(hidden, Sequence):
        raise StructuredLayersError(
            f"hidden must be a list of sizes such as (64,), got {hidden!r}"
            + (f"; for one hidden layer pass ({hidden},)" if as_integer(hidden) else "")
        )
    return hidden


def _check_activation(name: str) -> str:
    if not isinstance(name, str) or name not in ACTIVATIONS:
        raise StructuredLayersError(
            f"activation must be one of {', '.join(ACTIVATIONS)}, got {name!r}"
        )
    return name

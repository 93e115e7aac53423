"""The autoencoder of the weights of one layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, cast

import torch
from torch import Tensor, nn

from structured_layers.errors import StructuredLayersError
from structured_layers.layers.weight_decoder import ACTIVATIONS, WeightDecoder


class WeightAutoencoder(nn.Module):
    r"""An encoder of the weights of one layer, and the decoder behind it.

    .. math:: z = f(x) + L x, \quad x = (W - \bar W) / S, \quad \hat W = \mathrm{decoder}(z)

    with an MLP f and a linear map L, both as deep as the decoder.

    Args:
        out_features: number of rows of the weight.
        in_features: number of columns of the weight.
        latent_size: length of a code.
        hidden: sizes of the hidden layers, from the code's side; none makes both halves linear.
        activation: ``tanh``, ``relu``, ``sigmoid`` or ``silu``.

    Attributes:
        decoder: a :class:`~structured_layers.WeightDecoder`.

    Raises:
        StructuredLayersError: for a size that is not an integer of at least 1, or an unknown
            activation.

    Examples:
        >>> autoencoder = WeightAutoencoder(32, 11, latent_size=8)
        >>> autoencoder.encode(torch.randn(5, 32, 11)).shape
        torch.Size([5, 8])
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
    ) -> None:
        """Draw both halves."""
        super().__init__()
        has_path = len(tuple(hidden)) > 0  # without hidden layers the decoder is linear itself
        self.decoder = WeightDecoder(
            out_features, in_features, latent_size, hidden, activation, linear_path=has_path
        )
        entries = self.decoder.out_features * self.decoder.in_features
        sizes = (entries, *reversed(self.decoder.hidden))
        modules: list[nn.Module] = []
        for size, next_size in pairwise(sizes):
            modules += [nn.Linear(size, next_size), ACTIVATIONS[activation]()]
        self.encoder = nn.Sequential(*modules, nn.Linear(sizes[-1], latent_size))
        self.encoder_path = nn.Linear(entries, latent_size, bias=False) if has_path else None
        self.register_buffer("weight_mean", self.decoder.weight_mean.clone())
        self.register_buffer("weight_scale", self.decoder.weight_scale.clone())

    @property
    def latent_size(self) -> int:
        """The length of a code."""
        return self.decoder.latent_size

    @property
    def shape(self) -> tuple[int, int]:
        """The shape (out, in) of the weight."""
        return self.decoder.out_features, self.decoder.in_features

    @property
    def compression(self) -> float:
        """Entries of the weight for each entry of its code."""
        return self.shape[0] * self.shape[1] / self.latent_size

    def encode(self, weight: Tensor) -> Tensor:
        """Map weights ``(*, out, in)`` to codes ``(*, latent_size)``.

        Raises:
            StructuredLayersError: weights of another shape.
        """
        if tuple(weight.shape[-2:]) != self.shape:
            raise StructuredLayersError(
                f"this autoencoder is of weights (*, {self.shape[0]}, {self.shape[1]}), got "
                f"{tuple(weight.shape)}"
            )
        entries = ((weight - self.weight_mean) / self.weight_scale).flatten(-2)
        code: Tensor = self.encoder(entries)
        return code if self.encoder_path is None else code + self.encoder_path(entries)

    def decode(self, latent: Tensor) -> Tensor:
        """Map codes ``(*, latent_size)`` to weights ``(*, out, in)``."""
        weight: Tensor = self.decoder(latent)
        return weight

    def forward(self, weight: Tensor) -> Tensor:
        """Encode and decode weights ``(*, out, in)``."""
        return self.decode(self.encode(weight))

    @torch.no_grad()
    def set_weights_(self, weights: Tensor) -> None:
        """Take mean and spread of the weights (N, out, in) of training as the unit of both."""
        mean = weights.mean(dim=0)
        scale = float((weights - mean).square().mean().sqrt())
        scale = scale if scale > 0 else 1.0
        self.decoder.set_output_(mean=mean, scale=scale)
        self.weight_mean.copy_(mean)
        self.weight_scale.fill_(scale)

    @torch.no_grad()
    def set_linear_(self, encoder: Tensor, decoder: Tensor) -> None:
        """Set the linear maps, and make what the hidden layers add zero at first.

        Args:
            encoder: (latent_size, out·in), on weights in units of :meth:`set_weights_`.
            decoder: (out·in, latent_size).
        """
        for last, path, matrix in (
            (cast("nn.Linear", self.encoder[-1]), self.encoder_path, encoder),
            (cast("nn.Linear", self.decoder.layers[-1]), self.decoder.linear_path, decoder),
        ):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
            (last if path is None else path).weight.copy_(matrix)

    @torch.no_grad()
    def whiten_(self, weights: Tensor) -> None:
        """Give the codes of the weights (N, out, in) mean 0 and standard deviation 1.

        What the autoencoder makes of a weight stays the same: the first layers of the decoder undo
        what the last ones of the encoder do.
        """
        codes = self.encode(weights)
        mean, std = codes.mean(dim=0), codes.std(dim=0, correction=0)
        std = torch.where(std > 1e-6 * std.max().clamp(min=1e-12), std, torch.ones_like(std))
        last, first = cast("nn.Linear", self.encoder[-1]), cast("nn.Linear", self.decoder.layers[0])
        last.weight.div_(std[:, None])
        last.bias.sub_(mean).div_(std)
        if self.encoder_path is not None:
            self.encoder_path.weight.div_(std[:, None])
        first.bias.add_(first.weight @ mean)
        first.weight.mul_(std)
        path, out = self.decoder.linear_path, cast("nn.Linear", self.decoder.layers[-1])
        if path is not None:
            out.bias.add_(path.weight @ mean)
            path.weight.mul_(std)

    def to_json(self) -> dict[str, Any]:
        """Return a description in plain JSON values; the tensors are in the ``state_dict``."""
        return self.decoder.to_json()

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> WeightAutoencoder:
        """Return a fresh autoencoder of the form that :meth:`to_json` described.

        Raises:
            StructuredLayersError: unknown or missing keys, or values that no autoencoder has.
        """
        decoder = WeightDecoder.from_json(data)
        return cls(*_sizes(decoder), decoder.latent_size, decoder.hidden, decoder.activation)


def _sizes(decoder: WeightDecoder) -> tuple[int, int]:
    return decoder.out_features, decoder.in_features

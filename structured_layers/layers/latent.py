"""Layers whose weight is decoded from a short code."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, final

import torch
from torch import Tensor, nn

from .base import StructuredLinear
from .decoder_checks import check_decoder, decoder_size, placed_tensor
from .decoder_files import Decoder, decoder_from
from .frozen_module import FrozenModule, frozen_tensors
from .latent_fit import fit_code
from .weight_decoder import WeightDecoder

# The codes of a trained autoencoder have standard deviation 1; far from there its decoder has
# never been. Below the smallest multiple all draws would give the same weight.
SMALLEST_SPREAD, LARGEST_SPREAD = 0.05, 3.0
GRID = 64


@final
class LatentLinear(StructuredLinear):
    r"""Linear layer whose weight a frozen decoder makes of a trained code.

    .. math:: W = D(z)

    Only z is trained. The tensors of the decoder D are buffers: they move with the layer and are in
    its ``state_dict``, but no optimizer, search or mutation sees them.

    Args:
        in_features: size of each input sample.
        out_features: size of each output sample.
        bias: whether the layer adds a trained bias.
        decoder: a :class:`WeightDecoder`, or any module with an integer ``latent_size`` that maps
            ``(*, latent_size)`` to ``(*, out_features, in_features)``; the layer takes a copy. Or
            the path of a folder that :func:`~structured_layers.layers.decoder_files.save_decoder`
            wrote, or the description of a decoder.
        device: where the parameters live.
        dtype: the floating-point type of the parameters.

    Shape:
        - Input: ``(*, in_features)``.
        - Output: ``(*, out_features)``.

    Attributes:
        values: ``(latent_size,)``, the code z.
        bias: ``(out_features,)``, or None.

    Codes are drawn from a normal distribution; each draw is then stretched so that its weight has
    the root mean square of ``nn.Linear``'s, as far as the decoder allows: by at least 0.05 and at
    most 3. A decoder with a large mean weight starts above that, one that saturates below.

    ``from_linear(linear, decoder=...)`` fits the code by least squares in the entries of the
    weight, from several starts. The result is a local optimum; it is exact for a linear decoder,
    and where the weight is one that the decoder makes, unless all starts end elsewhere.

    Raises:
        StructuredLayersError: if the decoder makes weights of another shape, is not finite, or has
            no ``latent_size``.

    Examples:
        >>> layer = LatentLinear(17, 41, decoder=WeightDecoder(41, 17, latent_size=8))
        >>> layer
        LatentLinear(17 → 41, latent=8, bias=True)
        >>> [name for name, _ in layer.named_parameters()]
        ['bias', 'values']
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        decoder: Decoder,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        """Copy the decoder, allocate and draw the code."""
        super().__init__(in_features, out_features, bias, device=device, dtype=dtype)
        module = decoder_from(decoder)
        self.latent_size = decoder_size(module)
        self.values = nn.Parameter(torch.empty(self.latent_size, device=device, dtype=dtype))
        self._frozen = FrozenModule(module)
        for name, tensor in frozen_tensors(module).items():
            placed = placed_tensor(self._frozen.names[name], tensor, self.values)
            self.register_buffer(name, placed)
        buffers, sizes = self._decoder_buffers(), (self.out_features, self.in_features)
        check_decoder(lambda codes: self._frozen(buffers, codes), self.values, sizes)
        self.reset_parameters()

    def weight_from(
        self, parameters: Mapping[str, Tensor], buffers: Mapping[str, Tensor]
    ) -> Tensor:
        """Return the dense weight ``(*batch, out, in)`` for codes ``(*batch, latent_size)``."""
        values = parameters["values"]
        batch = values.shape[:-1]
        own = {name: buffers[name] for name in self._frozen.names}
        if not batch:
            return self._frozen(own, values)
        codes = values.reshape(-1, self.latent_size)
        # The values of a population need not be of the type of the layer.
        own = {n: t.to(values) if t.is_floating_point() else t for n, t in own.items()}
        rows = {
            name: tensor.reshape(-1, *tensor.shape[len(batch) :])
            for name, tensor in own.items()
            if tensor.ndim > self._frozen.ndims[name]
        }
        # One by one, since the bits of a product depend on the other rows.
        weights = [
            self._frozen({**own, **{name: row[i] for name, row in rows.items()}}, code.clone())
            for i, code in enumerate(codes)
        ]
        shape = (*batch, self.out_features, self.in_features)
        return torch.stack(weights).reshape(shape) if weights else values.new_zeros(shape)

    @property
    def decoder(self) -> nn.Module:
        """A copy of the decoder that needs no gradient."""
        return self._frozen.filled(self._decoder_buffers())

    @property
    def decoder_description(self) -> dict[str, Any] | None:
        """What :meth:`WeightDecoder.to_json` says of the decoder, None for one of another class."""
        form = self._frozen.form
        return form.to_json() if type(form) is WeightDecoder else None

    def reset_parameters(self) -> None:
        """Draw code and bias anew, with the output variance of ``nn.Linear``'s default."""
        self.draw_values(1 / math.sqrt(3 * self.in_features))
        self._reset_bias()

    @torch.no_grad()
    def draw_values(self, root_mean_square: float) -> None:
        """Draw a code whose weight has a root mean square as near to the given one as may be."""
        nn.init.normal_(self.values)
        if self.values.is_meta:
            return
        low, high = SMALLEST_SPREAD, LARGEST_SPREAD
        drawn = self.values.detach().clone()
        for _ in range(2):
            factors = torch.linspace(low, high, GRID, device=drawn.device, dtype=torch.float64)
            weights = self._frozen(self._decoder_buffers(), factors.to(drawn)[:, None] * drawn)
            found = weights.double().square().mean((-2, -1)).sqrt()
            best = int((found - root_mean_square).abs().argmin())
            self.values.copy_(drawn * factors[best])
            low, high = (float(factors[min(max(best + d, 0), GRID - 1)]) for d in (-1, 1))

    @classmethod
    def _nearest(
        cls, weight: Tensor, *args: Any, decoder: Decoder
    ) -> tuple[dict[str, Any], dict[str, Tensor]]:
        module = decoder_from(decoder)
        out_features, in_features = weight.shape
        layer = cls(
            in_features, out_features, False, decoder=module, device="cpu", dtype=weight.dtype
        )
        buffers = layer._decoder_buffers()
        code = fit_code(lambda z: layer._frozen(buffers, z), weight, layer.latent_size)
        return {"decoder": module}, {"values": code}

    def _decoder_buffers(self) -> dict[str, Tensor]:
        return {name: self.get_buffer(name) for name in self._frozen.names}

    def _structure_fields(self) -> dict[str, object]:
        return {"latent": self.latent_size}

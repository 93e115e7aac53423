"""Networks as plain data: what a policy file stores and a command line names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from torch import nn

from .errors import StructuredLayersError
from .layers import (
    ChromaticLinear,
    CirculantLinear,
    MaskedLinear,
    Palette,
    SoftMaskedLinear,
    ToeplitzLinear,
    UnitActivations,
)
from .networks import SkipMLP, mlp

LAYERS = ("dense", "toeplitz", "circulant", "chromatic", "masked", "soft_masked")
ACTIVATION_MODULES: dict[str, type[nn.Module]] = {
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "silu": nn.SiLU,
    "units": UnitActivations,
}


@dataclass(frozen=True)
class NetworkSpec:
    """The description of a network that :func:`~structured_layers.mlp` or ``SkipMLP`` builds.

    Args:
        in_features: size of the observation.
        out_features: number of outputs.
        hidden: sizes of the hidden layers; none is a linear policy.
        layer: one of ``dense``, ``toeplitz``, ``circulant``, ``chromatic``, ``masked``,
            ``soft_masked``.
        num_colors: size of the one palette of a chromatic network.
        activation: one of ``tanh``, ``relu``, ``sigmoid``, ``silu``, or ``units`` for one of each
            unit's own.
        bias: whether hidden layers have biases.
        output_bias: whether the last layer has one.
        skip: whether edges may skip layers.

    Examples:
        >>> spec = NetworkSpec(17, 6, hidden=(32,), layer="chromatic", num_colors=17)
        >>> sum(p.numel() for p in spec.build().parameters())  # 17 weights, 32 hidden biases
        49
    """

    in_features: int
    out_features: int
    hidden: tuple[int, ...] = field(default=(32,))
    layer: str = "dense"
    num_colors: int | None = None
    activation: str = "tanh"
    bias: bool = True
    output_bias: bool = False
    skip: bool = False

    def __post_init__(self) -> None:
        """Check the names, and that colours come with chromatic layers and only there."""
        if self.layer == "latent":
            raise StructuredLayersError(
                "the latent layers of a network have a decoder each, which a NetworkSpec does not "
                "describe; build the network and pass it as it is, or SequentialSpec.of(network)"
            )
        _check_name("layer", self.layer, LAYERS)
        _check_name("activation", self.activation, tuple(ACTIVATION_MODULES))
        if (self.num_colors is not None) != (self.layer == "chromatic"):
            raise StructuredLayersError(
                f"num_colors goes with layer='chromatic' and only with it, got "
                f"layer={self.layer!r} and num_colors={self.num_colors}"
            )
        if self.num_colors is not None and self.num_colors > self.num_edges:
            raise StructuredLayersError(
                f"num_colors must be between 1 and {self.num_edges}, the number of edges of this "
                f"network, got {self.num_colors}; take a dense network if nothing is to be shared"
            )

    @property
    def num_edges(self) -> int:
        """Number of edges (entries of all weight matrices) of the network."""
        sizes = (self.in_features, *self.hidden, self.out_features)
        if self.skip:
            return sum(sum(sizes[:i]) * size for i, size in enumerate(sizes))
        return sum(m * n for m, n in zip(sizes[:-1], sizes[1:], strict=True))

    def build(self) -> nn.Module:
        """Return a freshly initialised network with, if chromatic, a palette of its own."""
        make = SkipMLP if self.skip else mlp
        return make(
            self.in_features,
            self.hidden,
            self.out_features,
            layer=self._layer(),
            activation=ACTIVATION_MODULES[self.activation],
            bias=self.bias,
            output_bias=self.output_bias,
        )

    def _layer(self) -> Callable[..., nn.Module]:
        if self.num_colors is not None:
            return partial(ChromaticLinear, palette=Palette(self.num_colors))
        return {
            "dense": nn.Linear,
            "toeplitz": ToeplitzLinear,
            "circulant": CirculantLinear,
            "masked": MaskedLinear,
            "soft_masked": SoftMaskedLinear,
        }[self.layer]

    def to_json(self) -> dict[str, Any]:
        """Return a dictionary of plain JSON values."""
        return {**asdict(self), "hidden": list(self.hidden)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> NetworkSpec:
        """Return the spec that :meth:`to_json` described.

        Raises:
            StructuredLayersError: unknown or missing keys.
        """
        try:
            return cls(**{**data, "hidden": tuple(data["hidden"])})
        except (KeyError, TypeError) as error:
            raise StructuredLayersError(f"not the description of a network: {error}") from error


def _check_name(what: str, name: str, known: tuple[str, ...]) -> None:
    if name not in known:
        raise StructuredLayersError(f"{what} must be one of {', '.join(known)}, got {name!r}")

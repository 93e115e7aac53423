"""A trained ``nn.Sequential`` as plain data: its layers and activations one by one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from .conversion.structures import STRUCTURES
from .errors import StructuredLayersError
from .layers import (
    ChromaticLinear,
    LatentLinear,
    LowDisplacementRankLinear,
    MaskedLinear,
    Palette,
    SoftMaskedLinear,
    StructuredLinear,
    UnitActivations,
)
from .specs import ACTIVATION_MODULES

NAMES = {kind: name for name, kind in STRUCTURES.items() if kind is not None}
ACTIVATION_NAMES = {kind: name for name, kind in ACTIVATION_MODULES.items()}
# What Python and PyTorch raise for data that make no network.
REFUSALS = (AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
Step = Mapping[str, Any]


@dataclass(frozen=True)
class SequentialSpec:
    """The description of an ``nn.Sequential`` whose layers may all be different.

    :class:`~structured_layers.specs.NetworkSpec` names a network that can be built from scratch;
    this one describes a network that another library built.

    Attributes:
        steps: plain values that say what each module is.

    Examples:
        >>> from structured_layers import ToeplitzLinear
        >>> spec = SequentialSpec.of(nn.Sequential(ToeplitzLinear(3, 4), nn.Tanh()))
        >>> spec.steps[1]
        {'activation': 'tanh'}
        >>> spec.build()
        Sequential(
          (0): ToeplitzLinear(3 → 4, bias=True)
          (1): Tanh()
        )
    """

    steps: tuple[Step, ...]

    @classmethod
    def of(cls, network: nn.Sequential) -> SequentialSpec:
        """Describe a network.

        Raises:
            StructuredLayersError: naming a module that cannot be described.
        """
        palettes: dict[int, int] = {}
        return cls(tuple(_describe(n, m, palettes) for n, m in network.named_children()))

    def build(self) -> nn.Sequential:
        """Return a freshly initialised network, with as many palettes as the described one."""
        palettes: dict[int, Palette] = {}
        return nn.Sequential(*(_build(step, palettes) for step in self.steps))

    def to_json(self) -> dict[str, Any]:
        """Return a dictionary of plain JSON values."""
        return {"steps": [dict(step) for step in self.steps]}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> SequentialSpec:
        """Return the spec that :meth:`to_json` described.

        Raises:
            StructuredLayersError: unknown or missing keys, or values that no network has.
        """
        try:
            spec = cls(tuple(dict(step) for step in data["steps"]))
            found = cls.of(spec.build())
        except StructuredLayersError:
            raise
        except REFUSALS as error:
            what = f"{type(error).__name__}: {error}"
            raise StructuredLayersError(f"not the description of a network: {what}") from error
        if found.to_json() != data:
            raise StructuredLayersError(
                f"not the description of a network: the one that {data} builds is {found.to_json()}"
            )
        return spec


def _describe(name: str, module: nn.Module, palettes: dict[int, int]) -> Step:
    if isinstance(module, nn.Hardtanh):
        return {"activation": "clip", "low": module.min_val, "high": module.max_val}
    if isinstance(module, UnitActivations):
        return {"activation": "units", "size": len(module.kinds)}
    if type(module) in ACTIVATION_NAMES:
        return {"activation": ACTIVATION_NAMES[type(module)]}
    if type(module) is nn.Linear or isinstance(module, StructuredLinear):
        sizes = {"in_features": module.in_features, "out_features": module.out_features}
        kind = "dense" if isinstance(module, nn.Linear) else NAMES[type(module)]
        has_bias = module.bias is not None
        return {"layer": kind, **sizes, "bias": has_bias, **_keywords(name, module, palettes)}
    raise StructuredLayersError(
        f"module {name} is a {type(module).__name__}, which files cannot describe; they take "
        f"nn.Linear, structured layers, Hardtanh and {', '.join(ACTIVATION_MODULES)}"
    )


def _keywords(name: str, layer: nn.Module, palettes: dict[int, int]) -> dict[str, Any]:
    if isinstance(layer, (ChromaticLinear, MaskedLinear)) and layer.harden() is not layer:
        raise StructuredLayersError(
            f"module {name} still learns its structure; pass a copy made by its harden()"
        )
    if isinstance(layer, ChromaticLinear):
        palette = palettes.setdefault(id(layer.values), len(palettes))
        num_colors, has_scale = layer.values.numel(), layer.scale is not None
        return {"num_colors": num_colors, "palette": palette, "scale": has_scale}
    if isinstance(layer, LowDisplacementRankLinear):
        return {"rank": layer.rank, "family": layer.family}
    if isinstance(layer, SoftMaskedLinear):
        return {"temperature": layer.temperature}
    if isinstance(layer, LatentLinear):
        return {"decoder": _decoder(name, layer)}
    return {}


def _decoder(name: str, layer: LatentLinear) -> dict[str, Any]:
    description = layer.decoder_description
    if description is None:
        kind = type(layer.decoder).__name__
        raise StructuredLayersError(
            f"module {name} has a decoder of class {kind}, and files describe a WeightDecoder "
            "only; pass the dense copy that to_dense makes"
        )
    return description


def _build(step: Step, palettes: dict[int, Palette]) -> nn.Module:
    if "activation" in step:
        return _build_activation(dict(step))
    keywords = dict(step)
    kind = keywords.pop("layer")
    if kind not in STRUCTURES:
        raise StructuredLayersError(f"layer must be one of {', '.join(STRUCTURES)}, got {kind!r}")
    if kind == "latent" and not isinstance(keywords.get("decoder"), Mapping):
        raise StructuredLayersError(
            f"a latent layer needs its decoder's description, got {keywords.get('decoder')!r}"
        )
    if kind == "chromatic":
        number, size = keywords.pop("palette"), keywords.pop("num_colors")
        keywords["palette"] = palettes.setdefault(number, Palette(size))
        keywords["scale"] = 1.0 if keywords["scale"] else None
    return (STRUCTURES[kind] or nn.Linear)(**keywords)


def _build_activation(step: dict[str, Any]) -> nn.Module:
    name = step["activation"]
    if name == "clip":
        return nn.Hardtanh(step["low"], step["high"])
    if name == "units":
        return UnitActivations(step["size"])
    return ACTIVATION_MODULES[name]()

"""Many policies at once: weights built once, multiplied every step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .errors import StructuredLayersError
from .layers import StructuredLinear, UnitActivations
from .networks import SkipMLP
from .stages import (
    Clip,
    Dense,
    Elementwise,
    FloatArray,
    Skipping,
    Stage,
    Units,
    relu,
    sigmoid,
    silu,
)
from .topology import topology_size

Slices = dict[int, Tensor]


ACTIVATIONS: dict[type[nn.Module], Callable[[FloatArray], FloatArray]] = {
    nn.Tanh: np.tanh,
    nn.ReLU: relu,
    nn.Sigmoid: sigmoid,
    nn.SiLU: silu,
}
SUPPORTED = ("nn.Linear", "structured layers", "UnitActivations", "SkipMLP", "Identity", "Hardtanh")


class PopulationPolicy:
    r"""P policies of one network that differ in weights and, if asked for, in topology.

    All dense weights are built once, in one call per layer; afterwards :meth:`act` only multiplies,
    in float32 with NumPy. A candidate's actions have the same bits in whatever batch it runs,
    because weights come from gathers and elementwise operations and the products are one
    ``(1, in) @ (in, out)`` per candidate.

    Args:
        network: an ``nn.Sequential`` (nested ones are fine) of ``nn.Linear``, structured layers,
            Tanh, ReLU, Sigmoid, SiLU, Hardtanh, Identity, UnitActivations and SkipMLP modules. It
            is only read.
        weights: (P, d), each row as from ``torch.nn.utils.parameters_to_vector``.
        topology: (P, K), each row as from :func:`~structured_layers.topology_to_vector`; None takes
            the network's own for every candidate.

    Raises:
        StructuredLayersError: a module that is not supported, by its dotted path, or wrong shapes.

    Examples:
        >>> import numpy as np, torch
        >>> from structured_layers import ToeplitzLinear, mlp
        >>> network = mlp(17, [32], 6, layer=ToeplitzLinear)
        >>> d = sum(p.numel() for p in network.parameters())
        >>> population = PopulationPolicy(network, torch.randn(128, d))
        >>> population.act(np.zeros((128, 17))).shape
        (128, 6)
    """

    def __init__(self, network: nn.Module, weights: Tensor, topology: Tensor | None = None) -> None:
        """Build every candidate's dense weights."""
        weights = weights.detach().to(device="cpu", dtype=torch.float32)
        self.num_candidates = _check_shapes(network, weights, topology)
        parameters = _parameter_slices(network, weights)
        buffers = _topology_slices(network, topology)
        self._stages: list[Stage] = list(_stages(network, parameters, buffers))
        dense = [layer for stage in self._stages for layer in stage.dense()]
        if not dense:
            raise StructuredLayersError(f"{type(network).__name__} has no linear layer to run")
        self.in_features = int(dense[0].weight.shape[1])
        self.out_features = int(dense[-1].weight.shape[2])

    def __len__(self) -> int:
        """Return the number of candidates."""
        return self.num_candidates

    def act(self, observations: NDArray[np.floating]) -> FloatArray:
        """Return the outputs of every candidate for its own observation.

        Args:
            observations: (P, obs), cast to float32.

        Returns:
            (P, act) float32, not clipped.
        """
        # Contiguous, because the products of a strided row may have other bits.
        x: FloatArray = np.ascontiguousarray(observations, dtype=np.float32)[:, None, :]
        for stage in self._stages:
            x = stage(x)
        return x[:, 0, :]

    def take(self, rows: Sequence[int] | NDArray[np.intp]) -> PopulationPolicy:
        """Return a population with copies of the candidates ``rows``, in that order."""
        index = np.asarray(rows, dtype=np.intp)
        taken = object.__new__(PopulationPolicy)
        taken.num_candidates = len(index)
        taken.in_features, taken.out_features = self.in_features, self.out_features
        taken._stages = [stage.take(index) for stage in self._stages]
        return taken

    def put(self, position: int, source: PopulationPolicy, row: int) -> None:
        """Overwrite the candidate at ``position`` by the candidate ``row`` of ``source``."""
        for mine, other in zip(self._stages, source._stages, strict=True):
            mine.put(position, other, row)


def _check_shapes(network: nn.Module, weights: Tensor, topology: Tensor | None) -> int:
    d = sum(p.numel() for p in network.parameters())
    if weights.ndim != 2 or weights.shape[1] != d:
        raise StructuredLayersError(
            f"weights must have shape (P, {d}), one row per candidate with the network's {d} "
            f"trained values, got {tuple(weights.shape)}"
        )
    if topology is not None:
        expected = (weights.shape[0], topology_size(network))
        if tuple(topology.shape) != expected:
            raise StructuredLayersError(
                f"topology must have shape {expected}, one row per candidate as from "
                f"topology_to_vector, got {tuple(topology.shape)}"
            )
    return int(weights.shape[0])


def _parameter_slices(network: nn.Module, weights: Tensor) -> dict[int, Tensor]:
    """Map id(parameter) to its values (P, *shape), in the order of parameters_to_vector."""
    slices, start = {}, 0
    for parameter in network.parameters():
        stop = start + parameter.numel()
        slices[id(parameter)] = weights[:, start:stop].reshape(-1, *parameter.shape)
        start = stop
    return slices


def _topology_slices(network: nn.Module, topology: Tensor | None) -> dict[int, Tensor]:
    """Map id(buffer) to its structure (P, *shape), in the order of topology_to_vector."""
    slices: dict[int, Tensor] = {}
    if topology is None:
        return slices
    start = 0
    for layer in network.modules():
        for name in getattr(layer, "topology_names", ()):
            buffer = layer.get_buffer(name)
            stop = start + buffer.numel()
            rows = topology[:, start:stop].reshape(-1, *buffer.shape)
            slices[id(buffer)] = rows.to(device="cpu", dtype=buffer.dtype)
            start = stop
    return slices


def _stages(network: nn.Module, parameters: Slices, buffers: Slices) -> Iterator[Stage]:
    for path, module in _leaves(network, type(network).__name__):
        if type(module) is not nn.Identity:
            yield _stage(path, module, parameters, buffers)


def _stage(path: str, module: nn.Module, parameters: Slices, buffers: Slices) -> Stage:
    if type(module) is nn.Linear or isinstance(module, StructuredLinear):
        return _dense(module, parameters, buffers)
    if isinstance(module, UnitActivations):
        return _units(module, parameters, buffers)
    if isinstance(module, SkipMLP):
        layers, activations = (
            [_stage(f"{path}.{name}.{i}", m, parameters, buffers) for i, m in enumerate(modules)]
            for name, modules in module.named_children()
            if isinstance(modules, nn.ModuleList)
        )
        return Skipping(layers, activations)
    if type(module) in ACTIVATIONS:
        return Elementwise(ACTIVATIONS[type(module)])
    if isinstance(module, nn.Hardtanh):
        return Elementwise(Clip(module.min_val, module.max_val))
    raise StructuredLayersError(
        f"{path} is a {type(module).__module__}.{type(module).__qualname__}, which a population "
        f"cannot run; supported are {', '.join(SUPPORTED)} and "
        f"{', '.join(kind.__name__ for kind in ACTIVATIONS)}"
    )


def _leaves(module: nn.Module, path: str) -> Iterator[tuple[str, nn.Module]]:
    """Yield the modules of nested Sequentials in the order in which they run."""
    if type(module) is nn.Sequential:
        # not named_children(), which leaves out a module that is used twice
        for name, child in module._modules.items():
            if child is not None:
                yield from _leaves(child, f"{path}.{name}")
    else:
        yield path, module


def _dense(layer: nn.Linear | StructuredLinear, parameters: Slices, buffers: Slices) -> Dense:
    own = {name: parameters[id(p)] for name, p in layer.named_parameters(recurse=False)}
    if isinstance(layer, nn.Linear):
        weight = own["weight"]
    else:
        structure = {n: buffers.get(id(b), b) for n, b in layer.named_buffers(recurse=False)}
        weight = layer.weight_from(own, structure)
    bias = own.get("bias")
    return Dense(_copy(weight.transpose(-1, -2)), None if bias is None else _copy(bias[:, None, :]))


def _units(layer: UnitActivations, parameters: Slices, buffers: Slices) -> Units:
    num_candidates = next(iter(parameters.values())).shape[0] if parameters else 1
    kinds = buffers.get(id(layer.kinds), layer.kinds.cpu().expand(num_candidates, -1))
    return Units(kinds.numpy().copy())


def _copy(values: Tensor) -> FloatArray:
    """Return a contiguous copy; `contiguous` alone may hand out the caller's own memory."""
    copied: FloatArray = values.clone(memory_format=torch.contiguous_format).numpy()
    return copied

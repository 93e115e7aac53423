"""A non-linearity for each unit."""

import copy
import math
import pickle

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from structured_layers import (
    StructuredLayersError,
    UnitActivations,
    mlp,
    topology_to_vector,
    vector_to_topology,
)
from structured_layers.layers.activations import KINDS, LIMIT, unit_activations
from structured_layers.stages import UNIT_FUNCTIONS

TRUTH = {
    "tanh": math.tanh,
    "relu": lambda x: max(x, 0.0),
    "exp": lambda x: min(math.exp(min(x, 50)), 100.0),
    "identity": lambda x: x,
    "sin": math.sin,
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)) if x > -50 else 0.0,
    "abs": abs,
    "cos": math.cos,
    "square": lambda x: min(x * x, 100.0),
    "reciprocal": lambda x: math.copysign(1 / max(abs(x), 0.01), x),
    "step": lambda x: float(x > 0),
}
POINTS = [-1e4, -12.0, -3.0, -0.5, -0.004, 0.0, 0.004, 0.5, 3.0, 12.0, 1e4]


def all_kinds() -> UnitActivations:
    return UnitActivations(len(KINDS), torch.arange(len(KINDS)))


@pytest.mark.parametrize("name", KINDS)
def test_every_function_in_torch_and_numpy(name: str) -> None:
    points = torch.tensor(POINTS)
    expected = torch.tensor([TRUTH[name](x) for x in POINTS])
    kinds = torch.full((len(POINTS),), KINDS.index(name))
    torch.testing.assert_close(unit_activations(points, kinds), expected)
    ours = UNIT_FUNCTIONS[name](points.numpy())
    assert ours.dtype == np.float32
    torch.testing.assert_close(torch.from_numpy(ours), expected)


def test_the_eleven_functions_come_in_the_order_of_the_papers() -> None:
    assert list(KINDS) == list(TRUTH) == list(UNIT_FUNCTIONS)


@pytest.mark.parametrize("kind", range(len(KINDS)))
def test_values_and_gradients_are_finite(kind: int) -> None:
    x = torch.tensor([*POINTS, -0.0, 1e30, -1e30], requires_grad=True)
    y = unit_activations(x, torch.tensor(kind))
    y.sum().backward()
    assert bool(y.isfinite().all())
    assert bool(x.grad.isfinite().all())
    if KINDS[kind] in ("exp", "square", "reciprocal"):
        assert float(y.detach().abs().max()) <= LIMIT * (1 + 1e-6)


def test_tanh_is_the_default() -> None:
    x = torch.randn(4, 3)
    assert torch.equal(UnitActivations(3)(x), torch.tanh(x))


@pytest.mark.parametrize("leading", [(), (3,), (2, 3), (0,)], ids=str)
def test_any_leading_dimensions(leading: tuple[int, ...]) -> None:
    layer = all_kinds()
    x = torch.randn(*leading, len(KINDS))
    assert layer(x).shape == x.shape
    for i, name in enumerate(KINDS):
        expected = torch.tensor([TRUTH[name](v) for v in x[..., i].flatten().tolist()])
        torch.testing.assert_close(layer(x)[..., i].flatten(), expected)


def test_gradients_are_right_in_double() -> None:
    x = torch.rand(4, len(KINDS), dtype=torch.float64) + 0.5
    assert torch.autograd.gradcheck(all_kinds(), x.requires_grad_())


def test_kinds_of_each_candidate() -> None:
    x, kinds = torch.randn(5, 7), torch.randint(len(KINDS), (5, 7))
    together = unit_activations(x, kinds)
    alone = torch.stack([unit_activations(row, own) for row, own in zip(x, kinds, strict=True)])
    torch.testing.assert_close(together, alone)


def test_vmap_over_stacked_modules() -> None:
    layers = [UnitActivations(7, torch.randint(len(KINDS), (7,))) for _ in range(3)]
    parameters, buffers = stack_module_state(layers)

    def call(parameters, buffers, x: Tensor) -> Tensor:
        return functional_call(layers[0], (parameters, buffers), x)

    x = torch.randn(3, 2, 7)
    expected = torch.stack([layer(row) for layer, row in zip(layers, x, strict=True)])
    torch.testing.assert_close(vmap(call)(parameters, buffers, x), expected)


def test_copies_states_compilation_and_export() -> None:
    layer, x = all_kinds(), torch.randn(3, len(KINDS))
    assert torch.equal(copy.deepcopy(layer)(x), layer(x))
    assert torch.equal(pickle.loads(pickle.dumps(layer))(x), layer(x))
    fresh = UnitActivations(len(KINDS))
    fresh.load_state_dict(layer.state_dict())
    assert torch.equal(fresh.kinds, layer.kinds)
    compiled = torch.compile(layer, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), layer(x))
    program = torch.export.export(layer, (x,), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))
    x = torch.randn(5, len(KINDS))
    torch.testing.assert_close(program.module()(x), layer(x))


def test_kinds_are_topology() -> None:
    network = nn.Sequential(nn.Linear(2, 3), UnitActivations(3))
    vector_to_topology(torch.tensor([4, 0, 10]), network)
    assert topology_to_vector(network).tolist() == [4, 0, 10]
    with pytest.raises(StructuredLayersError, match="kinds takes integers from 0 to 10, got 0 to"):
        vector_to_topology(torch.tensor([0, 0, 11]), network)
    with pytest.raises(StructuredLayersError, match="no structure buffer 'colors'"):
        network[1].topology_range("colors")


def test_mlp_gives_each_layer_its_own() -> None:
    network = mlp(4, [8, 5], 2, activation=UnitActivations)
    assert [network[i].num_features for i in (1, 3)] == [8, 5]


def test_repr_counts_the_functions() -> None:
    layer = UnitActivations(4, torch.tensor([0, 7, 7, 10], dtype=torch.int32))
    assert repr(layer) == "UnitActivations(4, tanh=1, cos=2, step=1)"
    assert layer.kinds.dtype == torch.int64
    assert repr(UnitActivations(4, device="meta")) == "UnitActivations(4)"


def test_the_callers_kinds_are_copied() -> None:
    kinds = torch.zeros(3, dtype=torch.int64)
    layer = UnitActivations(3, kinds)
    kinds.fill_(5)
    assert int(layer.kinds.max()) == 0


@pytest.mark.parametrize(
    ("kinds", "message"),
    [
        (torch.tensor([0, 11, 0]), r"between 0 and 10 \(tanh, relu.*step\), got 0 to 11"),
        (torch.tensor([0, -1, 0]), "got -1 to 0"),
        (torch.zeros(2, dtype=torch.int64), r"shape \(3,\), one for each unit, got .*\(2,\)"),
        (torch.zeros(3), "got torch.float32"),
        (torch.zeros(3, dtype=torch.bool), "got torch.bool"),
        ([0, 1, 2], "got a list"),
    ],
)
def test_bad_kinds(kinds: object, message: str) -> None:
    with pytest.raises(StructuredLayersError, match=message):
        UnitActivations(3, kinds)


@pytest.mark.parametrize("size", [0, 2.0, True])
def test_bad_sizes(size: object) -> None:
    with pytest.raises(StructuredLayersError, match="num_features must be an integer of at least"):
        UnitActivations(size)

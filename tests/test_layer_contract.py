"""What every structured layer promises, checked on every entry of layer_cases.CASES."""

import copy
import pickle
import warnings
from collections.abc import Iterator

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from devices import DEVICES
from layer_cases import CASES, LayerCase
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from structured_layers import (
    ChromaticLinear,
    LatentLinear,
    StructuredLayersError,
    StructuredLinear,
    WeightDecoder,
)
from structured_layers.layers import circulant, dispatch, hankel, toeplitz

LEADING = [(), (3,), (2, 3), (2, 1, 3), (0,), (2, 0)]


def variants() -> Iterator[tuple[LayerCase, str, bool]]:
    """Every case on every device, and with the FFT wherever it is possible."""
    for device in DEVICES:
        for case in CASES:
            yield case, device, False
            if case.fft:
                yield case, device, True


def variant_name(variant: tuple[LayerCase, str, bool]) -> str:
    case, device, fft = variant
    return case.name + ("-fft" if fft else "") + ("" if device == "cpu" else f"-{device}")


VARIANTS = list(variants())
LINEAR_SPACES = [v for v in VARIANTS if v[0].basis is not None]
# the gradient of a straight-through layer is not the derivative, and MPS has no double precision
HOMOGENEOUS = [v for v in VARIANTS if v[0].homogeneous]
DIFFERENTIABLE = [v for v in VARIANTS if not v[0].straight_through and v[1] != "mps"]


@pytest.fixture(params=VARIANTS, ids=variant_name)
def case(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[LayerCase]:
    case, device, fft = request.param
    if fft:
        prefer_fft(monkeypatch)
    with torch.device(device):
        yield case


def only(variants: list[tuple[LayerCase, str, bool]]) -> pytest.MarkDecorator:
    """Run a check on some of the variants."""
    return pytest.mark.parametrize("case", variants, indirect=True, ids=variant_name)


def prefer_fft(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make layers of any size multiply by FFT."""
    for module in (circulant, hankel, toeplitz):
        monkeypatch.setattr(module, "LARGE_ENOUGH", 0)
    monkeypatch.setattr(dispatch, "ACCELERATOR_ENTRIES", 0)
    for mode in ("EVALUATION", "TRAINING"):
        free = dispatch.Nanoseconds(build=1e9, multiply=0, fixed=0, point=0)
        monkeypatch.setattr(dispatch, mode, free)


def randomized(layer: StructuredLinear) -> StructuredLinear:
    """Give every parameter a value that no initialisation would."""
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.normal_()
    return layer


def batch_for(layer: StructuredLinear, *leading: int) -> Tensor:
    return torch.randn(
        *leading, layer.in_features, dtype=layer.values.dtype, device=layer.values.device
    )


def dense(layer: StructuredLinear) -> nn.Linear:
    return nn.Linear(layer.in_features, layer.out_features, layer.bias is not None)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("leading", LEADING, ids=str)
def test_equals_the_dense_truth(case: LayerCase, leading: tuple[int, ...], bias: bool) -> None:
    layer = randomized(case.make(bias=bias))
    x = batch_for(layer, *leading)
    weight = case.truth(layer)
    torch.testing.assert_close(layer.weight, weight)
    torch.testing.assert_close(layer(x), F.linear(x, weight, layer.bias))
    assert layer(x).shape == (*leading, layer.out_features)


def test_empty_batch_has_zero_gradients(case: LayerCase) -> None:
    layer = case.make()
    layer(batch_for(layer, 0)).sum().backward()
    assert all(torch.count_nonzero(p.grad) == 0 for p in layer.parameters())


@only(DIFFERENTIABLE)
def test_gradients_are_right_in_double(case: LayerCase) -> None:
    layer = randomized(case.make(dtype=torch.float64))
    names, values = zip(*layer.named_parameters(), strict=True)

    def call(x: Tensor, *parameters: Tensor) -> Tensor:
        return functional_call(layer, dict(zip(names, parameters, strict=True)), x)

    assert torch.autograd.gradcheck(call, (batch_for(layer, 2).requires_grad_(), *values))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
def test_other_floating_point_types(case: LayerCase, dtype: torch.dtype) -> None:
    for layer in (case.make(dtype=dtype), case.make().to(dtype)):
        x = batch_for(layer, 3)
        assert {p.dtype for p in layer.parameters()} == {dtype} == {x.dtype}
        assert layer(x).dtype == dtype
        torch.testing.assert_close(layer(x), F.linear(x, case.truth(layer), layer.bias))


def test_parameters_hold_values_and_buffers_hold_structure(case: LayerCase) -> None:
    layer = case.make()
    assert set(dict(layer.named_parameters())) <= {"values", "bias", "scale", "shadow", "logits"}
    assert set(layer.topology_names) <= set(dict(layer.named_buffers()))
    for name in layer.topology_names:
        buffer = layer.get_buffer(name)
        assert buffer.dtype in (torch.int64, torch.bool)
        assert all(int(entry) in layer.topology_range(name) for entry in buffer.unique())
    with pytest.raises(StructuredLayersError, match="no structure buffer 'colour'"):
        layer.topology_range("colour")


def test_state_dict_restores_the_layer(case: LayerCase) -> None:
    source, target = randomized(case.make()), case.make()
    assert target.load_state_dict(source.state_dict()) == ([], [])
    torch.testing.assert_close(target.weight, source.weight, rtol=0, atol=0)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_are_equal_and_independent(case: LayerCase, copied) -> None:
    layer = randomized(case.make())
    before = layer.weight.detach().clone()
    clone = copied(layer)
    assert torch.equal(clone.weight, before)
    randomized(clone)
    assert torch.equal(layer.weight, before)
    assert not torch.equal(clone.weight, before)


def test_vmap_over_stacked_modules(case: LayerCase) -> None:
    layers = [randomized(case.make()) for _ in range(3)]
    parameters, buffers = stack_module_state(layers)
    x = batch_for(layers[0], 3, 2)  # (module, batch, in)

    def call(parameters, buffers, x: Tensor) -> Tensor:
        return functional_call(layers[0], (parameters, buffers), x)

    expected = torch.stack([layer(row) for layer, row in zip(layers, x, strict=True)])
    torch.testing.assert_close(vmap(call)(parameters, buffers, x), expected)


def test_vmap_over_inputs(case: LayerCase) -> None:
    layer = case.make()
    x = batch_for(layer, 4)
    torch.testing.assert_close(vmap(layer)(x), layer(x))


def test_gradients_of_each_sample(case: LayerCase) -> None:
    layer = randomized(case.make())
    x = batch_for(layer, 3)

    def loss(parameters: dict[str, Tensor], row: Tensor) -> Tensor:
        return functional_call(layer, parameters, row).square().sum()

    parameters = {name: p.detach() for name, p in layer.named_parameters()}
    grads = vmap(torch.func.grad(loss), in_dims=(None, 0))(parameters, x)
    layer(x).square().sum().backward()
    for name, parameter in layer.named_parameters():
        torch.testing.assert_close(grads[name].sum(0), parameter.grad, rtol=1e-5, atol=1e-5)


def test_functional_call_uses_the_substitutes(case: LayerCase) -> None:
    layer, other = randomized(case.make()), randomized(case.make())
    before = layer.weight.detach().clone()
    x = batch_for(layer, 3)
    torch.testing.assert_close(functional_call(layer, other.state_dict(), x), other(x))
    assert torch.equal(layer.weight, before)


def test_compiles_without_graph_breaks(case: LayerCase) -> None:
    torch.compiler.reset()
    layer = randomized(case.make())
    x = batch_for(layer, 3)
    torch.testing.assert_close(torch.compile(layer, backend="eager", fullgraph=True)(x), layer(x))


def test_exports_with_any_batch_size(case: LayerCase) -> None:
    layer = randomized(case.make())
    shapes = ({0: torch.export.Dim.DYNAMIC},)
    program = torch.export.export(layer, (batch_for(layer, 3),), dynamic_shapes=shapes)
    x = batch_for(layer, 5)
    torch.testing.assert_close(program.module()(x), layer(x))


def test_traces(case: LayerCase) -> None:
    layer = randomized(case.make())
    x = batch_for(layer, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing is deprecated
        traced = torch.jit.trace(layer, x)
    torch.testing.assert_close(traced(x), layer(x))


def test_number_of_weights(case: LayerCase) -> None:
    assert case.make().num_weights == case.num_weights


def test_repr(case: LayerCase) -> None:
    name = type(case.make()).__name__
    assert repr(case.make()) == f"{name}({case.repr}, bias=True)"
    assert repr(case.make(bias=False)) == f"{name}({case.repr}, bias=False)"
    assert name in repr(case.make(device="meta"))


def output_variance(layer: nn.Module, in_features: int) -> float:
    return float(layer(torch.randn(32, in_features)).square().mean())


@torch.no_grad()
def test_initial_output_variance_is_that_of_linear(case: LayerCase) -> None:
    example = case.make()
    sizes = (example.in_features, example.out_features)
    ours = torch.tensor([output_variance(case.make(), sizes[0]) for _ in range(1000)])
    theirs = torch.tensor([output_variance(nn.Linear(*sizes), sizes[0]) for _ in range(1000)])
    ratio = float(ours.mean() / theirs.mean())
    # The bound of 10 % says something only if it is wide against the standard error.
    relative = (ours.var() / ours.mean() ** 2 + theirs.var() / theirs.mean() ** 2) / 1000
    assert 3 * float(relative.sqrt()) < 0.1 or case.name == "toeplitz-single"
    assert abs(ratio - 1) < 0.1


def test_reset_parameters_draws_from_the_global_generator(case: LayerCase) -> None:
    layer = case.make()
    first, second = [], []
    for drawn in (first, second):
        torch.manual_seed(7)
        layer.reset_parameters()
        drawn += [p.detach().clone() for p in layer.parameters()]
    assert all(map(torch.equal, first, second))
    layer.reset_parameters()
    assert not torch.equal(layer.values, first[0])


@only(LINEAR_SPACES)
def test_from_linear_is_the_nearest(case: LayerCase) -> None:
    linear = dense(case.make()).double()
    columns = case.basis.double().flatten(1).T.cpu().numpy()  # (out * in, k)
    target = linear.weight.detach().flatten().cpu().numpy()
    solution, *_ = np.linalg.lstsq(columns, target, rcond=None)
    nearest = torch.from_numpy(columns @ solution).view_as(linear.weight)
    torch.testing.assert_close(case.from_linear(linear).weight.detach().cpu(), nearest)


@pytest.mark.parametrize("bias", [True, False])
def test_from_linear_keeps_bias_and_dtype_and_shares_nothing(case: LayerCase, bias: bool) -> None:
    dtype = torch.float32 if case.basis is None else torch.float64
    linear = nn.Linear(case.make().in_features, case.make().out_features, bias, dtype=dtype)
    before = copy.deepcopy(linear)
    layer = case.from_linear(linear)
    assert layer.values.dtype == dtype
    assert (layer.bias is None) == (not bias)
    if bias:
        assert torch.equal(layer.bias, linear.bias)
        with torch.no_grad():
            layer.bias.add_(1)
            layer.values.add_(1)
    assert all(map(torch.equal, linear.parameters(), before.parameters()))


@only(LINEAR_SPACES)
def test_from_linear_returns_what_already_has_the_structure(case: LayerCase) -> None:
    layer = randomized(case.make())
    torch.testing.assert_close(case.from_linear(layer.to_linear()).weight, layer.weight)


@only(HOMOGENEOUS)
def test_cleanrl_initialisation_goes_through_from_linear(case: LayerCase) -> None:
    def layer_init(linear: nn.Linear, std: float, bias_const: float = 0.0) -> nn.Linear:
        torch.manual_seed(1)
        nn.init.orthogonal_(linear.weight, std)
        nn.init.constant_(linear.bias, bias_const)
        return linear

    small, large = (case.from_linear(layer_init(dense(case.make()), std)) for std in (0.01, 1.0))
    assert torch.count_nonzero(small.bias) == 0
    assert torch.count_nonzero(large.weight) > 0
    torch.testing.assert_close(small.weight, 0.01 * large.weight)


@pytest.mark.parametrize("wrong", [nn.Conv1d(3, 3, 1), nn.Tanh()])
def test_from_linear_refuses_other_modules(case: LayerCase, wrong: nn.Module) -> None:
    name = f"needs a torch.nn.Linear, got a {type(wrong).__module__}.{type(wrong).__qualname__}"
    with pytest.raises(StructuredLayersError, match=name):
        case.from_linear(wrong)


def test_from_linear_refuses_weights_without_value(case: LayerCase) -> None:
    linear = dense(case.make())
    with pytest.raises(StructuredLayersError, match="on the meta device"):
        case.from_linear(linear.to("meta"))
    linear = dense(case.make())
    nn.init.constant_(linear.weight, float("nan"))
    with pytest.raises(StructuredLayersError, match="NaN or infinite"):
        case.from_linear(linear)


def test_to_linear_is_a_frozen_copy(case: LayerCase) -> None:
    layer = randomized(case.make())
    state = torch.get_rng_state()
    linear = layer.to_linear()
    assert torch.equal(torch.get_rng_state(), state)
    assert type(linear) is nn.Linear
    assert not any(p.requires_grad for p in linear.parameters())
    x = batch_for(layer, 3)
    weight, expected = layer.weight, layer(x)
    randomized(layer)
    assert torch.equal(linear.weight, weight)
    torch.testing.assert_close(linear(x), expected)


def random_structure(layer: StructuredLinear, *batch: int) -> dict[str, Tensor]:
    """Draw structure buffers (*batch, ...) of any allowed integers; other buffers stay."""
    drawn = {name: b.expand(*batch, *b.shape) for name, b in layer.named_buffers()}
    for name in layer.topology_names:
        allowed, buffer = layer.topology_range(name), layer.get_buffer(name)
        entries = torch.randint(allowed[0], allowed[-1] + 1, (*batch, *buffer.shape))
        drawn[name] = entries.to(buffer.dtype)
    return drawn


@pytest.mark.parametrize("batch", [(1,), (5,), (2, 3), (0,)], ids=str)
@pytest.mark.parametrize("own_structure", [True, False])
def test_batched_weights_have_the_bits_of_single_ones(
    case: LayerCase, batch: tuple[int, ...], own_structure: bool
) -> None:
    layer = case.make()
    parameters = {name: torch.randn(*batch, *p.shape) for name, p in layer.named_parameters()}
    buffers = dict(layer.named_buffers()) if own_structure else random_structure(layer, *batch)
    together = layer.weight_from(parameters, buffers)
    assert together.shape == (*batch, layer.out_features, layer.in_features)
    for index in np.ndindex(*batch):
        one_structure = buffers if own_structure else {n: b[index] for n, b in buffers.items()}
        alone = layer.weight_from({n: p[index] for n, p in parameters.items()}, one_structure)
        assert torch.equal(together[index], alone)


def test_weight_is_read_only(case: LayerCase) -> None:
    layer = case.make()
    before = layer.weight.detach().clone()
    for value in (torch.zeros_like(before), nn.Parameter(torch.zeros_like(before))):
        with pytest.raises(AttributeError, match="read-only"):
            layer.weight = value
    with torch.no_grad():
        layer.weight.zero_()
    assert torch.equal(layer.weight, before)


def test_weight_follows_writes_that_autograd_does_not_see(case: LayerCase) -> None:
    layer = case.make()
    nn.utils.vector_to_parameters(
        torch.randn(sum(p.numel() for p in layer.parameters())), layer.parameters()
    )
    torch.testing.assert_close(layer.weight, case.truth(layer))


def test_a_layer_made_on_meta_is_filled_by_loading(case: LayerCase) -> None:
    source = randomized(case.make())
    with torch.device("meta"):
        built_inside = case.make()
    for layer in (case.make(device="meta"), built_inside):
        assert layer.values.is_meta
        layer.to_empty(device=source.values.device).load_state_dict(source.state_dict())
        assert torch.equal(layer.weight, source.weight)


def test_a_layer_made_on_meta_is_filled_by_resetting(case: LayerCase) -> None:
    source = case.make()
    layer = case.make(device="meta").to_empty(device=source.values.device)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.fill_(torch.nan)
    fixed = [name for name in dict(layer.named_buffers()) if name.startswith("decoder_")]
    for name in (*layer.topology_names, *fixed):  # structure is no weight, and is not drawn anew
        layer.get_buffer(name).copy_(source.get_buffer(name))
    layer.reset_parameters()
    assert bool(layer(batch_for(layer, 3)).isfinite().all())
    for name in layer.topology_names:
        allowed = layer.topology_range(name)
        assert all(int(entry) in allowed for entry in layer.get_buffer(name).unique())


def test_classes_are_final_and_no_linear(case: LayerCase) -> None:
    layer = case.make()
    assert type(layer).__final__
    assert not isinstance(layer, nn.Linear)


def needed_structure(layer: StructuredLinear, sizes: dict[str, int]) -> dict[str, object]:
    """What a constructor does not do without."""
    if isinstance(layer, LatentLinear):
        return {"decoder": WeightDecoder(**sizes, latent_size=2)}
    return {"palette": 1} if isinstance(layer, ChromaticLinear) else {}


@pytest.mark.parametrize("size", [0, -3, 2.0, True, "4", None, torch.tensor(1.5)], ids=repr)
@pytest.mark.parametrize("name", ["in_features", "out_features"])
def test_sizes_are_integers_of_at_least_one(case: LayerCase, name: str, size: object) -> None:
    layer = case.make()
    sizes = {"in_features": layer.in_features, "out_features": layer.out_features, name: size}
    structure = needed_structure(layer, {**sizes, name: 3})
    with pytest.raises(StructuredLayersError, match=f"{name} must be an integer of at least 1"):
        type(layer)(**sizes, **structure)
    sizes[name] = np.int64(3)
    assert type(layer)(**sizes, **structure).num_weights > 0


def test_the_base_class_is_abstract() -> None:
    with pytest.raises(TypeError, match="abstract"):
        StructuredLinear(2, 3)

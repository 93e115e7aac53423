"""What a layer showed last is shown again as long as it is true, and is in nobody's way."""

import copy
import pickle
import threading
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from structured_layers import ChromaticLinear, MaskedLinear
from structured_layers.layers import StructuredLinear, fused_choice
from structured_layers.layers.kept_weight import MOST_KEPT, KeptWeight, may_be_kept

LEARNING = [
    lambda: ChromaticLinear(6, 5, palette=4, learn_colors=True),
    lambda: MaskedLinear(6, 5, learn_mask=True, num_edges=7),
]


def expected_of(layer: StructuredLinear, inputs: Tensor) -> Tensor:
    with torch.enable_grad():  # nothing is kept for gradients
        return layer(inputs).detach()


@torch.no_grad()
@pytest.mark.parametrize(
    "write",
    [
        lambda layer: layer.values.data.mul_(2),
        lambda layer: layer.load_state_dict({k: 2 * v for k, v in layer.state_dict().items()}),
        lambda layer: setattr(layer.values, "data", 3 * layer.values.data),
        lambda layer: layer.double(),
        lambda layer: layer.weight.zero_(),
        lambda layer: layer.weight.numpy().fill(0),
        lambda layer: layer.weight_from(layer._parameters, layer._buffers).numpy().fill(0),
    ],
)
@pytest.mark.parametrize("make", LEARNING)
def test_a_weight_that_is_shown_again_is_never_out_of_date(
    make: Callable[[], StructuredLinear], write: Callable[[StructuredLinear], object]
) -> None:
    layer, inputs = make(), torch.eye(6)
    layer(inputs)
    write(layer)
    inputs = inputs.to(layer.values)
    assert torch.equal(layer(inputs), expected_of(layer, inputs))


@torch.no_grad()
def test_another_number_of_edges_is_another_weight() -> None:
    layer = MaskedLinear(6, 5, learn_mask=True, num_edges=7)
    layer(torch.eye(6))
    layer.num_edges = 3
    assert int((layer(torch.eye(6)).T - layer.bias[:, None]).abs().gt(1e-6).sum()) == 3


@torch.no_grad()
def test_a_weight_is_built_once_between_two_updates(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, calls = ChromaticLinear(6, 5, palette=4, learn_colors=True), []
    build = fused_choice._nearest_entries
    monkeypatch.setattr(
        fused_choice, "_nearest_entries", lambda *args: calls.append(1) or build(*args)
    )
    for _ in range(3):
        layer(torch.eye(6))
    assert len(calls) == 1
    layer.shadow.data.add_(0.1)
    layer(torch.eye(6))
    assert len(calls) == 2


@torch.no_grad()
def test_what_another_thread_writes_meanwhile_is_seen() -> None:
    values, kept = torch.zeros(3), KeptWeight()

    def build(values_then: Tensor) -> Tensor:
        writer = threading.Thread(target=values.add_, args=(1,))
        writer.start()
        writer.join()
        return 2 * values_then

    assert kept.show(build, (values,)).tolist() == [0, 0, 0]
    assert kept.show(build, (values,)).tolist() == [2, 2, 2]


@pytest.fixture
def swapping() -> Iterator[None]:
    torch.__future__.set_swap_module_params_on_conversion(True)
    yield
    torch.__future__.set_swap_module_params_on_conversion(False)


@torch.no_grad()
@pytest.mark.usefixtures("swapping")
@pytest.mark.parametrize("make", LEARNING)
def test_parameters_can_be_swapped(make: Callable[[], StructuredLinear]) -> None:
    layer, inputs = make(), torch.eye(6)
    layer(inputs)
    layer.load_state_dict({name: 2 * value for name, value in layer.state_dict().items()})
    layer.double()
    assert torch.equal(layer(inputs.double()), expected_of(layer, inputs.double()))


@torch.no_grad()
@pytest.mark.parametrize("make", LEARNING)
def test_fake_tensors(make: Callable[[], StructuredLinear]) -> None:
    layer = make()
    layer(torch.eye(6))
    with FakeTensorMode(allow_non_fake_inputs=True):
        shapes = [layer(torch.eye(6)).shape for _ in range(2)]
    assert shapes == [(6, 5), (6, 5)]


@torch.no_grad()
@pytest.mark.parametrize("make", LEARNING)
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_start_empty(
    make: Callable[[], StructuredLinear], copied: Callable[[nn.Module], StructuredLinear]
) -> None:
    layer, inputs = make(), torch.eye(6)
    layer(inputs)
    twin = copied(layer)
    assert layer._kept._last is not None and twin._kept._last is None
    assert torch.equal(twin(inputs), layer(inputs))


def test_one_that_was_made_for_inference_serves_elsewhere() -> None:
    layer, inputs = LEARNING[0](), torch.eye(6)
    with torch.inference_mode():
        first = layer(inputs)
    with torch.no_grad():
        assert torch.equal(layer(inputs), first)
    layer(inputs.requires_grad_()).sum().backward()
    torch.testing.assert_close(inputs.grad[0], layer.weight.detach().sum(dim=0))


def test_what_is_kept() -> None:
    class Own(nn.Parameter):
        pass

    matrix = torch.ones(2, 2)
    assert not may_be_kept(matrix)  # with gradients
    with torch.no_grad():
        assert may_be_kept(matrix) and may_be_kept(nn.Parameter(matrix))
        assert not may_be_kept(Own(matrix))
        assert not may_be_kept(matrix.to("meta"))
        assert not may_be_kept(torch.empty(1, MOST_KEPT + 1))

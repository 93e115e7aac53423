"""TorchRL's loss modules take networks apart; palettes and structure survive it."""

import copy
from functools import partial

import pytest
import torch
from torch import nn

tensordict = pytest.importorskip("tensordict")
pytest.importorskip("torchrl")

from torchrl.data import OneHot  # noqa: E402
from torchrl.modules import MLP, QValueActor  # noqa: E402
from torchrl.objectives import DQNLoss, SoftUpdate  # noqa: E402

from structured_layers import (  # noqa: E402
    ChromaticLinear,
    CirculantLinear,
    HankelLinear,
    LowDisplacementRankLinear,
    MaskedLinear,
    Palette,
    SoftMaskedLinear,
    ToeplitzLinear,
)


def transitions(count: int = 32) -> tensordict.TensorDict:
    action = nn.functional.one_hot(torch.randint(2, (count,)), 2)
    following = {
        "observation": torch.randn(count, 4),
        "reward": torch.randn(count, 1),
        "done": torch.zeros(count, 1, dtype=torch.bool),
        "terminated": torch.zeros(count, 1, dtype=torch.bool),
    }
    return tensordict.TensorDict(
        {"observation": torch.randn(count, 4), "action": action, "next": following}, [count]
    )


@pytest.mark.parametrize("learn_colors", [False, True])
def test_a_shared_palette_is_trained_as_one(learn_colors: bool) -> None:
    palette = Palette(5)
    layer = partial(ChromaticLinear, palette=palette, scale=0.5, learn_colors=learn_colors)
    network = MLP(4, 2, num_cells=[8, 8], layer_class=layer)
    actor = QValueActor(network, in_keys=["observation"], spec=OneHot(2))
    objective = DQNLoss(actor, action_space="one-hot", delay_value=True)
    updater = SoftUpdate(objective, tau=0.5)
    optimizer = torch.optim.Adam(objective.parameters(), lr=1e-2)
    start, data = palette.values.detach().clone(), transitions()
    losses = []
    for _ in range(60):
        loss = objective(data)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        updater.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]
    assert all(network[i].values is palette.values for i in (0, 2, 4))
    assert (palette.values != start).all()
    flat = objective.target_value_network_params.flatten_keys(".")
    target = {name: value for name, value in flat.items() if name.endswith("0.values")}
    assert [torch.allclose(value, palette.values, atol=0.1) for value in target.values()] == [True]
    if not learn_colors:
        colors = [value for name, value in flat.items() if name.endswith("0.colors")]
        assert [torch.equal(value, network[0].colors) for value in colors] == [True]


@pytest.mark.parametrize(
    "layer",
    [
        ToeplitzLinear(5, 3),
        HankelLinear(5, 3),
        CirculantLinear(5, 3),
        LowDisplacementRankLinear(5, 3, rank=2),
        ChromaticLinear(5, 3, palette=4),
        ChromaticLinear(5, 3, palette=4, learn_colors=True),
        MaskedLinear(5, 3, mask=torch.eye(3, 5, dtype=torch.bool)),
        MaskedLinear(5, 3, learn_mask=True, num_edges=4),
        SoftMaskedLinear(5, 3),
    ],
    ids=repr,
)
def test_plain_tensors_in_the_place_of_parameters(layer: nn.Module) -> None:
    tensors = tensordict.from_module(layer).data.clone()
    for name in ("values", "bias"):
        tensors[name] += 1
    expected = copy.deepcopy(layer)
    with torch.no_grad():
        expected.values += 1
        expected.bias += 1
    inputs = torch.randn(2, 5)
    with tensors.to_module(layer):
        output, weight = layer(inputs), layer.weight
    torch.testing.assert_close(output, expected(inputs))
    torch.testing.assert_close(weight, expected.weight)
    assert isinstance(layer.values, nn.Parameter)

"""The description of a trained Sequential builds the same network again."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from structured_layers import (
    ChromaticLinear,
    CirculantLinear,
    HankelLinear,
    LatentLinear,
    LowDisplacementRankLinear,
    MaskedLinear,
    Palette,
    Policy,
    SoftMaskedLinear,
    StructuredLayersError,
    ToeplitzLinear,
    UnitActivations,
    WeightDecoder,
    load_policy,
)
from structured_layers.actions import BoxActions
from structured_layers.sequential_spec import SequentialSpec

OBSERVATIONS = np.random.default_rng(0).normal(size=(20, 5))
LAYERS = {
    "dense": nn.Linear,
    "toeplitz": ToeplitzLinear,
    "hankel": HankelLinear,
    "circulant": CirculantLinear,
    "rank 2": partial(LowDisplacementRankLinear, rank=2, family="toeplitz_hankel"),
    "chromatic": partial(ChromaticLinear, palette=4),
    "masked": partial(MaskedLinear, mask=torch.tensor([[True, False, True, True, False]] * 3)),
    "soft_masked": partial(SoftMaskedLinear, temperature=0.1),
    "latent": partial(LatentLinear, decoder=WeightDecoder(3, 5, 2, (4, 4), "silu")),
}


def box(rescale: bool = False) -> BoxActions:
    return BoxActions(np.array([-1, -3], np.float32), np.array([1, 5], np.float32), rescale)


@pytest.mark.parametrize("name", LAYERS)
def test_files_keep_every_layer(name: str, tmp_path: Path) -> None:
    network = nn.Sequential(
        nn.Hardtanh(-0.5, 0.7), LAYERS[name](5, 3), nn.ReLU(), ToeplitzLinear(3, 2, bias=False)
    )
    Policy(network, box(), spec=SequentialSpec.of(network)).save(tmp_path)
    loaded = load_policy(tmp_path)
    assert type(loaded.network[1]) is type(network[1])
    assert loaded.spec == SequentialSpec.of(network)
    with torch.no_grad():
        outputs = network(torch.from_numpy(OBSERVATIONS).float()).numpy()
    expected = outputs.clip(box().low, box().high)
    np.testing.assert_allclose(loaded.predict(OBSERVATIONS)[0], expected, atol=1e-6)


def test_palettes_are_shared_as_before() -> None:
    first, second = Palette(3), Palette(3)
    network = nn.Sequential(
        ChromaticLinear(4, 4, palette=first, scale=0.5),
        ChromaticLinear(4, 4, palette=second),
        ChromaticLinear(4, 4, palette=first),
    )
    built = SequentialSpec.of(network).build()
    assert built[0].values is built[2].values
    assert built[0].values is not built[1].values
    assert [layer.scale is None for layer in built] == [False, True, True]


def test_units_keep_their_functions(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Linear(5, 2), UnitActivations(2, torch.tensor([3, 6])))
    Policy(network, box(), spec=SequentialSpec.of(network)).save(tmp_path)
    assert load_policy(tmp_path).network[1].kinds.tolist() == [3, 6]


def test_rescaled_actions_reach_both_bounds(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Linear(1, 2))
    with torch.no_grad():
        network[0].weight.fill_(1.0)
        network[0].bias.zero_()
    Policy(network, box(rescale=True), spec=SequentialSpec.of(network)).save(tmp_path)
    actions, _ = load_policy(tmp_path).predict(np.array([[-1.0], [0.0], [1.0]]))
    assert actions.tolist() == [[-1.0, -3.0], [0.0, 1.0], [1.0, 5.0]]


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (nn.LayerNorm(4), "module 1 is a LayerNorm, which files cannot describe"),
        (ChromaticLinear(4, 4, palette=2, learn_colors=True), "module 1 still learns"),
        (MaskedLinear(4, 4, learn_mask=True, num_edges=3), r"by its harden\(\)"),
    ],
)
def test_what_cannot_be_described(module: nn.Module, message: str) -> None:
    with pytest.raises(StructuredLayersError, match=message):
        SequentialSpec.of(nn.Sequential(nn.Linear(4, 4), module))


DENSE = {"layer": "dense", "in_features": 1, "out_features": 1, "bias": True}


@pytest.mark.parametrize(
    "step",
    [
        {"activation": "dance"},
        {"activation": "tanh", "speed": 2},
        {"activation": "clip", "low": 1.0, "high": -1.0},
        {"activation": "clip", "low": 1.0},
        {"layer": "dance", "in_features": 1, "out_features": 1},
        {"layer": "dense", "in_features": 1},
        {"layer": "chromatic", "in_features": 1, "out_features": 1},
        {**DENSE, "in_features": -1},
        {**DENSE, "layer": "toeplitz", "in_features": -1},
        {**DENSE, "dtype": None},
        "abc",
        3,
    ],
)
def test_broken_descriptions(step: object) -> None:
    SequentialSpec.from_json({"steps": [DENSE]})
    with pytest.raises(StructuredLayersError):
        SequentialSpec.from_json({"steps": [DENSE, step]})


@pytest.mark.parametrize("data", [{}, ["abc"], {"steps": None}, {"steps": [], "name": "x"}, None])
def test_what_is_no_description(data: object) -> None:
    with pytest.raises(StructuredLayersError, match="not the description of a network"):
        SequentialSpec.from_json(data)

"""A zoo holds policies of one shape, splits them, and is a file that is whole or refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from zoo_cases import small_zoo

from structured_layers import StructuredLayersError, ToeplitzLinear, mlp
from structured_layers.algorithms.latent import PolicyZoo, fold_normalizer, network_outputs
from structured_layers.errors import CheckpointError


def test_a_policy_comes_out_as_it_went_in() -> None:
    networks = [mlp(3, [4], 2) for _ in range(3)]
    zoo = PolicyZoo.from_networks(networks, torch.randn(5, 3))
    inputs = torch.randn(7, 3)
    assert torch.equal(zoo.network(1)(inputs), networks[1](inputs))
    rows = torch.nn.utils.parameters_to_vector(networks[2].parameters())
    assert torch.equal(torch.cat([value[2].flatten() for value in zoo.weights.values()]), rows)
    assert len(zoo) == 3
    assert zoo.returns.isnan().all()


def test_a_file_gives_the_same_zoo(tmp_path) -> None:
    zoo = replace(small_zoo(), origin={"command": "made here"})
    zoo.save(tmp_path / "zoo.safetensors")
    again = PolicyZoo.load(tmp_path / "zoo.safetensors")
    assert again.spec == zoo.spec
    assert again.origin == {"command": "made here"}
    assert again.env == "Hopper-v5"
    for name in ("returns", "runs", "env_steps", "states", "observation_mean", "observation_std"):
        assert torch.equal(getattr(again, name), getattr(zoo, name))
    assert all(torch.equal(again.weights[name], zoo.weights[name]) for name in zoo.weights)


def test_a_damaged_file_is_refused(tmp_path) -> None:
    path = tmp_path / "zoo.safetensors"
    small_zoo().save(path)
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match="zoo.safetensors"):
        PolicyZoo.load(path)
    with pytest.raises(CheckpointError, match="nowhere"):
        PolicyZoo.load(tmp_path / "nowhere.safetensors")


@pytest.mark.parametrize("groups", ["networks", "runs"])
def test_a_split_has_every_policy_once(groups: str) -> None:
    zoo = small_zoo()
    parts = zoo.split(torch.Generator().manual_seed(1), groups=groups)
    assert sorted(torch.cat([part.returns for part in parts]).tolist()) == zoo.returns.tolist()
    again = zoo.split(torch.Generator().manual_seed(1), groups=groups)
    assert torch.equal(parts.test.returns, again.test.returns)
    shared = set(parts.train.runs.tolist()) & set(parts.test.runs.tolist())
    assert bool(shared) == (groups == "networks")


def test_the_parts_of_a_split_have_the_shares_asked_for() -> None:
    parts = small_zoo(20).split(torch.Generator().manual_seed(1), validation=0.1, test=0.3)
    assert [len(part) for part in parts] == [12, 2, 6]


def test_solved_policies_and_normalised_states() -> None:
    zoo = small_zoo()
    assert zoo.solved(9).returns.tolist() == [9, 10, 11]
    assert torch.allclose(zoo.normalized_states() * 2 + 5, zoo.states, atol=1e-5)


def test_a_folded_normaliser_changes_nothing() -> None:
    network = mlp(3, [4], 2).double().requires_grad_(False)
    own = torch.randn(3).double(), torch.rand(3).double() + 0.1
    shared = torch.randn(3).double(), torch.rand(3).double() + 0.1
    parameters = dict(network.named_parameters())
    folded = fold_normalizer(parameters, "0", own, shared)
    states = torch.randn(20, 3).double()
    stacked = {name: value[None] for name, value in folded.items()}
    found = network_outputs(network, stacked, (states - shared[0]) / shared[1])[0]
    torch.testing.assert_close(found, network((states - own[0]) / own[1]))


def nan_network():
    network = mlp(3, [4], 2)
    torch.nn.init.constant_(network[0].weight, torch.nan)
    return network


@pytest.mark.parametrize(
    ("networks", "states", "message"),
    [
        (lambda: [], torch.zeros(2, 3), "needs trained policies, got none"),
        (lambda: [mlp(3, [4], 2), mlp(3, [5], 2)], torch.zeros(2, 3), "(?s)one shape.*policy 1"),
        (lambda: [mlp(3, [4], 2), nan_network()], torch.zeros(2, 3), "of policy 1 is NaN"),
        (lambda: [mlp(3, [4], 2)], torch.zeros(0, 3), "finite states of shape"),
        (lambda: [mlp(3, [4], 2)], torch.full((2, 3), torch.nan), "finite states of shape"),
        (lambda: [mlp(3, [4], 2)], torch.zeros(2, 4), "take 3 observations, the states have 4"),
        (lambda: [torch.nn.Linear(3, 2)], torch.zeros(2, 3), "network 0 is a torch"),
    ],
)
def test_what_makes_no_zoo(networks, states, message: str) -> None:
    with pytest.raises(StructuredLayersError, match=message):
        PolicyZoo.from_networks(networks(), states)


def test_parts_that_do_not_fit() -> None:
    zoo = small_zoo()
    with pytest.raises(StructuredLayersError, match="observation_std must be positive"):
        replace(zoo, observation_std=torch.zeros(3, dtype=torch.float64))
    with pytest.raises(StructuredLayersError, match=r"runs must have shape \(12,\)"):
        replace(zoo, runs=torch.arange(3))
    with pytest.raises(StructuredLayersError, match="at least 3 runs"):
        zoo.select(torch.arange(4)).split(torch.Generator(), groups="runs")
    with pytest.raises(StructuredLayersError, match="'networks' or 'runs'"):
        zoo.split(torch.Generator(), groups="seeds")  # type: ignore[arg-type]
    with pytest.raises(StructuredLayersError, match="at least 1e.06: the best returns 11"):
        zoo.solved(1e6)


def test_a_part_has_the_states_of_its_own_policies() -> None:
    networks = [mlp(3, [4], 2) for _ in range(4)]
    owners = [0, 0, 1, 3, -1, 3]
    states = torch.arange(18.0).reshape(6, 3)
    zoo = PolicyZoo.from_networks(networks, states, state_policies=owners)
    part = zoo.select(torch.tensor([3, 0]))
    assert torch.equal(part.states, states[[0, 1, 3, 4, 5]])
    assert part.state_policies.tolist() == [1, 1, 0, -1, 0]
    with pytest.raises(
        StructuredLayersError, match="numbers of the 4 policies, or -1; got -1 to 4"
    ):
        PolicyZoo.from_networks(networks, states, state_policies=[0, 0, 1, 4, -1, 3])
    with pytest.raises(StructuredLayersError, match="one integer for each of 6 states"):
        PolicyZoo.from_networks(networks, states, state_policies=[0])


def test_unknown_returns_solve_nothing() -> None:
    zoo = PolicyZoo.from_networks([mlp(3, [4], 2)], torch.ones(2, 3))
    with pytest.raises(StructuredLayersError, match="at least 5: none is known"):
        zoo.solved(5)


def test_the_name_of_a_zoo_ends_in_safetensors(tmp_path: Path) -> None:
    with pytest.raises(StructuredLayersError, match=r"ends in .safetensors.*got zoo.json"):
        small_zoo().save(tmp_path / "zoo.json")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("share", [-0.1, 0.0, 1.0, float("nan")])
def test_shares_of_a_split(share: float) -> None:
    with pytest.raises(StructuredLayersError, match="shares between 0 and 1"):
        small_zoo().split(torch.Generator(), validation=share)


def test_structured_networks_are_refused_and_arrays_taken() -> None:
    with pytest.raises(StructuredLayersError, match=r"layer 0 is a ToeplitzLinear; pass to_dense"):
        PolicyZoo.from_networks([mlp(3, [4], 2, layer=ToeplitzLinear)], torch.ones(2, 3))
    networks = (mlp(3, [4], 2) for _ in range(2))
    zoo = PolicyZoo.from_networks(networks, np.ones((5, 3)), observation_mean=np.zeros(3))
    assert len(zoo) == 2 and zoo.states.dtype == torch.float32

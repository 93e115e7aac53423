"""Pruning on a schedule: exact numbers, dead edges that stay dead, targets that follow."""

from pathlib import Path

import pytest
import torch
from sb3_cases import make_model
from stable_baselines3 import DQN, PPO, SAC
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback

from structured_layers import StructuredLayersError
from structured_layers.integrations.sb3.callbacks import PruningScheduleCallback
from structured_layers.integrations.sb3.callbacks.networks import optimizers_of
from structured_layers.integrations.sb3.callbacks.pruning import masked_networks
from structured_layers.integrations.sb3.callbacks.pruning_schedule import (
    CubicSchedule,
    keep_largest,
)
from structured_layers.integrations.sb3.targets import target_networks
from structured_layers.layers import MaskedLinear

NET = {"net_arch": [16, 16]}
SMALL = {
    "PPO": (PPO, {"n_steps": 64, "batch_size": 32, "n_epochs": 2}),
    "SAC": (SAC, {"learning_starts": 20, "batch_size": 16, "buffer_size": 500}),
    "DQN": (DQN, {"learning_starts": 20, "batch_size": 16, "buffer_size": 500}),
}


def make(name: str, target: str = "actor", **structure: object) -> BaseAlgorithm:
    algorithm, keywords = SMALL[name]
    structure = {"layer": "masked", "target": target, **structure}
    return algorithm(
        "StructuredMlpPolicy",
        "CartPole-v1" if name == "DQN" else "Pendulum-v1",
        policy_kwargs={**NET, "structure": structure},
        seed=0,
        device="cpu",
        **keywords,
    )


def schedule(**keywords: object) -> PruningScheduleCallback:
    defaults = {"final_density": 0.25, "start": 64, "end": 256, "frequency": 64}
    return PruningScheduleCallback(**{**defaults, **keywords})


def edges(model: BaseAlgorithm) -> dict[str, int]:
    return {
        name: sum(int(layer.mask.sum()) for layer in layers.values())
        for name, layers in masked_networks(model.policy).items()
    }


def masked_parameters(model: BaseAlgorithm) -> list[tuple[MaskedLinear, torch.Tensor]]:
    networks = masked_networks(model.policy).values()
    return [(layer, ~layer.mask) for layers in networks for layer in layers.values()]


class Watch(BaseCallback):
    """Keep what the masks are at every step."""

    def __init__(self) -> None:
        super().__init__()
        self.edges: list[int] = []
        self.masks: list[list[torch.Tensor]] = []

    def _on_step(self) -> bool:
        self.edges.append(edges(self.model)["actor"])
        masks = [layer.mask.clone() for layer, _ in masked_parameters(self.model)]
        self.masks.append(masks)
        return True


def test_the_curve_is_that_of_the_paper() -> None:
    curve = CubicSchedule(start=0, end=100, frequency=10)
    initial, final = 0.0, 0.8  # sparsities
    for step in range(0, 101, 10):
        sparsity = final + (initial - final) * (1 - step / 100) ** 3
        assert curve.num_edges(step, 10_000, 2_000) == round(10_000 * (1 - sparsity))


def test_the_curve_moves_at_prunings_only() -> None:
    curve = CubicSchedule(start=10, end=35, frequency=10)
    assert [curve.last_pruning(step) for step in (9, 10, 19, 20, 34, 35, 99)] == [
        *(None, 10, 10, 20, 30, 35, 35)
    ]


def test_edges_are_ranked_over_all_layers() -> None:
    values = {"a": torch.tensor([[5.0, -4.0, 3.0]]), "b": torch.tensor([[0.1, -0.2, 6.0]])}
    masks = {"a": torch.ones(1, 3, dtype=torch.bool), "b": torch.tensor([[True, True, False]])}
    kept = keep_largest(values, masks, 3)
    assert kept["a"].tolist() == [[True, True, False]]
    assert kept["b"].tolist() == [[False, True, False]]  # one stays, and a dead one never returns


def test_more_edges_than_there_are_keeps_all_of_them() -> None:
    masks = {"a": torch.tensor([[True, False, True]])}
    assert torch.equal(keep_largest({"a": torch.rand(1, 3)}, masks, 3)["a"], masks["a"])


@pytest.mark.parametrize("name", SMALL)
def test_the_final_density_is_exact(name: str) -> None:
    model = make(name, target="all")
    model.learn(320, callback=schedule())
    possible = {
        network: sum(layer.values.numel() for layer in layers.values())
        for network, layers in masked_networks(model.policy).items()
    }
    assert len(possible) == {"PPO": 2, "SAC": 3, "DQN": 1}[name]
    assert edges(model) == {network: round(0.25 * n) for network, n in possible.items()}


def test_the_last_pruning_happens_at_the_end_of_training() -> None:
    model = make("PPO")
    model.learn(256, callback=schedule(final_density=None, num_edges=40))
    assert edges(model) == {"actor": 40}


def test_edges_fall_and_never_return() -> None:
    model, watch = make("PPO"), Watch()
    model.learn(384, callback=[schedule(), watch])
    assert sorted(watch.edges, reverse=True) == watch.edges
    assert len(set(watch.edges)) == 4  # one for each pruning; the first one prunes nothing
    for before, after in zip(watch.masks, watch.masks[1:], strict=False):
        assert not any((new & ~old).any() for old, new in zip(before, after, strict=True))


@pytest.mark.parametrize("name", SMALL)
def test_dead_edges_do_not_move(name: str) -> None:
    model = make(name)
    model.learn(256, callback=schedule(end=192))
    dead = masked_parameters(model)
    assert all(mask.any() for _, mask in dead)
    alive = [layer.values.detach()[~mask].clone() for layer, mask in dead]
    model.learn(128, reset_num_timesteps=False)
    for (layer, mask), before in zip(dead, alive, strict=True):
        assert torch.equal(~layer.mask, mask)
        assert not layer.values[mask].any()
        assert not torch.equal(layer.values[~mask], before)
        states = [
            o.state[layer.values] for o in optimizers_of(model.policy) if layer.values in o.state
        ]
        (state,) = states
        for key in ("exp_avg", "exp_avg_sq"):
            assert not state[key][mask].any()
            assert state[key][~mask].any()


def test_momentum_is_cleared_too() -> None:
    keywords = {"optimizer_class": torch.optim.SGD, "optimizer_kwargs": {"momentum": 0.9}}
    algorithm, small = SMALL["PPO"]
    policy_kwargs = {**NET, "structure": {"layer": "masked"}, **keywords}
    model = algorithm("StructuredMlpPolicy", "Pendulum-v1", policy_kwargs=policy_kwargs, **small)
    model.learn(256, callback=schedule(end=192))
    for layer, mask in masked_parameters(model):
        assert not model.policy.optimizer.state[layer.values]["momentum_buffer"][mask].any()
        assert not layer.values[mask].any()


@pytest.mark.parametrize("name", ["SAC", "DQN"])
def test_target_networks_have_the_masks(name: str) -> None:
    model = make(name, target="all")
    model.learn(320, callback=schedule())
    pairs = target_networks(model.policy)
    compared = 0
    for online, target in pairs:
        followers = dict(target.named_modules())
        for path, layer in online.named_modules():
            if isinstance(layer, MaskedLinear):
                assert not layer.mask.all()
                assert torch.equal(layer.mask, followers[path].mask)
                assert not followers[path].values[~layer.mask].any()
                compared += 1
    assert compared == {"SAC": 6, "DQN": 3}[name]


def test_a_resumed_training_goes_on_by_the_schedule(tmp_path: Path) -> None:
    whole, first = make("PPO"), make("PPO")
    counts = Watch()
    whole.learn(320, callback=[schedule(), counts])
    first.learn(128, callback=schedule())
    assert edges(first)["actor"] == counts.edges[128]
    first.save(tmp_path / "model")
    resumed = PPO.load(tmp_path / "model", env=first.get_env(), device="cpu")
    masks = [layer.mask for layer, _ in masked_parameters(first)]
    assert all(map(torch.equal, masks, [layer.mask for layer, _ in masked_parameters(resumed)]))
    watch = Watch()
    resumed.learn(192, callback=[schedule(), watch], reset_num_timesteps=False)
    assert watch.edges == counts.edges[128:]
    assert edges(resumed) == edges(whole)


def test_ars_is_pruned_too() -> None:
    model = make_model("ARS", {"layer": "masked"})
    model.learn(2_000, callback=schedule(final_density=None, num_edges=7, end=1_000))
    assert edges(model) == {"actor": 7}
    assert all(layer.num_weights >= 1 for layer, _ in masked_parameters(model))


def test_a_sparser_network_waits_for_the_curve() -> None:
    model, watch = make("PPO", num_edges=100), Watch()
    model.learn(384, callback=[schedule(final_density=None, num_edges=60), watch])
    assert watch.edges[0] == 100
    assert edges(model) == {"actor": 60}


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"final_density": None}, "either final_density or num_edges"),
        ({"num_edges": 3}, "either final_density or num_edges"),
        ({"final_density": 0.0}, "final_density must be above 0"),
        ({"initial_density": 1.5}, "initial_density must be above 0"),
        ({"final_density": "a"}, "final_density must be above 0"),
        ({"initial_density": None}, "initial_density must be above 0"),
        ({"initial_density": 0.2}, "the density would rise from 0.2 to 0.25"),
        ({"final_density": None, "num_edges": "a"}, "num_edges must be an integer"),
        ({"final_density": None, "num_edges": 7.5}, "num_edges must be an integer"),
        ({"end": 64}, "needs start < end, got start=64"),
        ({"start": -1}, "start must be an integer of at least 0"),
        ({"start": 0.5}, "start must be an integer"),
        ({"end": None}, "end must be an integer"),
        ({"frequency": 0}, "frequency must be an integer of at least 1"),
        ({"frequency": 2.5}, "frequency must be an integer of at least 1"),
    ],
)
def test_arguments_that_are_no_schedule(keywords: dict[str, object], message: str) -> None:
    with pytest.raises(StructuredLayersError, match=message):
        schedule(**keywords)


@pytest.mark.parametrize(
    ("structure", "keywords", "message"),
    [
        ({"layer": "toeplitz"}, {}, "has nothing to prune.*StructuredMlpPolicy"),
        ({"learn_mask": True, "num_edges": 50}, {}, "are learned .*leave learn_mask out"),
        ({}, {"final_density": 0.001}, "keep at least one each"),
        ({}, {"final_density": None, "num_edges": 10**6}, "ends at 1000000 edges in actor"),
        (
            {},
            {"final_density": None, "num_edges": 40, "initial_density": 0.1},
            "number of edges in actor would rise from 32 to 40",
        ),
    ],
)
def test_policies_that_cannot_be_pruned(
    structure: dict[str, object], keywords: dict[str, object], message: str
) -> None:
    model = make("PPO", **structure)
    before = {name: value.clone() for name, value in model.policy.state_dict().items()}
    with pytest.raises(StructuredLayersError, match=message):
        model.learn(64, callback=schedule(**keywords))
    after = model.policy.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in after)


def test_a_dense_policy_is_told_what_to_do() -> None:
    model = PPO("MlpPolicy", "Pendulum-v1", device="cpu")
    with pytest.raises(StructuredLayersError, match='structure=dict\\(layer="masked"\\)'):
        model.learn(64, callback=schedule())

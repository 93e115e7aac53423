"""Which learners CERL takes, and how it counts what they do."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from erl_cases import SMALL, STEPS, pendulum, small_learner
from stable_baselines3 import TD3
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import configure
from torch import nn

from structured_layers import StructuredLayersError
from structured_layers.integrations.sb3.erl import CERL
from structured_layers.layers.weight_decoder import WeightDecoder

LEARNER = {**SMALL, "policy_kwargs": {"net_arch": [4], "activation_fn": nn.Tanh}}
QUICK: dict[str, Any] = {"population_size": 3, "steps_per_generation": 2 * STEPS}
small_portfolio = partial(CERL.portfolio, TD3, "MlpPolicy", seed=0, **QUICK)
structured = partial(small_learner, "TD3", None)


def latent(decoder: nn.Module) -> dict[str, Any]:
    """Return a structure whose hidden layer is decoded."""
    return {"layer": "latent", "decoder": decoder, "target": r"actor.*\.mu\.0"}


def drawn_decoder(seed: int) -> WeightDecoder:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return WeightDecoder(4, 3, latent_size=2)


@pytest.mark.parametrize(
    ("one", "other", "message"),
    [
        ({}, {"net_arch": [6]}, "out_features=6.*out_features=4.*same net_arch"),
        ({}, {"net_arch": [4, 4]}, "out_features=4.*out_features=1"),
        ({}, {"net_arch": []}, "same net_arch"),
        ({}, {"activation_fn": nn.ReLU}, r"learner 1 has ReLU\(.*\) where learner 0 has Tanh\(\)"),
        (
            {"structure": {"layer": "low_displacement_rank", "family": "toeplitz"}},
            {"structure": {"layer": "low_displacement_rank", "family": "hankel"}},
            "family=hankel.*family=toeplitz",
        ),
        (
            {"structure": latent(drawn_decoder(0))},
            {"structure": latent(drawn_decoder(1))},
            "0.decoder_layers_0_weight of learner 1 differs.*same decoder",
        ),
        (
            {"structure": {"layer": "chromatic", "num_colors": 3}},
            {"structure": {"layer": "chromatic", "num_colors": 3}},
            "0.colors of learner 1 differs.*learn_colors",
        ),
    ],
    ids=["widths", "deeper", "shallower", "activations", "families", "decoders", "colors"],
)
def test_other_actors_are_refused(one: Any, other: Any, message: str) -> None:
    models = [structured(seed, policy_kwargs=kwargs) for seed, kwargs in enumerate((one, other))]
    environment, buffer = models[1].get_env(), models[1].replay_buffer
    with pytest.raises(StructuredLayersError, match=message):
        CERL(models, **QUICK)
    assert models[1].get_env() is environment  # nothing of a refused learner has changed
    assert models[1].replay_buffer is buffer


@pytest.mark.parametrize(
    "structure",
    [
        {"layer": "soft_masked"},
        {"layer": "chromatic", "num_colors": 3, "learn_colors": True},
        latent(drawn_decoder(0)),
    ],
    ids=["soft masks", "learned colors", "one decoder"],
)
def test_actors_that_differ_in_trained_values_share(structure: dict[str, Any]) -> None:
    kwargs = {"structure": structure}
    models = [structured(seed, policy_kwargs=kwargs) for seed in (0, 1)]
    assert CERL(models, **QUICK).learn(2 * STEPS).num_timesteps == 2 * STEPS


def test_learners_of_two_algorithms_share_if_their_actors_are_alike() -> None:
    cerl = CERL([small_learner("TD3"), small_learner("SAC")], **QUICK).learn(4 * STEPS)
    assert [model._n_updates for model in cerl.models] == [4 * STEPS] * 2


def test_the_list_of_learners_is_checked() -> None:
    model = small_learner()
    with pytest.raises(StructuredLayersError, match="a list of at least two learners, got a TD3"):
        CERL(model)
    with pytest.raises(StructuredLayersError, match="the same model twice"):
        CERL([model, small_learner(), model])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"discounts": (0.9, 2.0)}, "above 0 and at most 1, got 2.0"),
        ({"discounts": (0.0, 0.9)}, "above 0 and at most 1, got 0.0"),
        ({"discounts": (0.9, "high")}, "above 0 and at most 1, got 'high'"),
        ({"discounts": 0.9}, "discounts must be a list of numbers, got 0.9"),
        ({"learner": {"gamma": 0.9}}, "not gamma; name it by discounts="),
        ({"learner": {"seed": 1}}, "not seed; name it by seed="),
        ({"learner": 3}, "learner must be a mapping"),
    ],
)
def test_arguments_of_a_portfolio_are_checked(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(StructuredLayersError, match=message):
        small_portfolio(pendulum(), **arguments)


class Look(BaseCallback):
    """Keeps the steps at which training ends, as callbacks are told them."""

    def __init__(self) -> None:
        super().__init__()
        self.totals: list[int] = []

    def _on_training_start(self) -> None:
        self.totals.append(self.locals["total_timesteps"])

    def _on_step(self) -> bool:
        return True


def test_callbacks_are_told_where_training_ends() -> None:
    look = Look()
    cerl = small_portfolio(pendulum(), discounts=(0.9, 0.99), learner=LEARNER)
    cerl.learn(2 * STEPS, callback=look)
    cerl.learn(2 * STEPS, callback=look, reset_num_timesteps=False)
    assert look.totals == [2 * STEPS, 4 * STEPS]


def test_the_log_counts_the_episodes_of_all_learners(tmp_path: Path) -> None:
    cerl = small_portfolio(pendulum(), discounts=(0.9, 0.99), learner=LEARNER)
    cerl.models[0].set_logger(configure(str(tmp_path), ["csv"]))
    cerl.learn(4 * STEPS, log_interval=2)
    cerl.models[0].logger.close()
    names, *lines = (tmp_path / "progress.csv").read_text().splitlines()
    column = names.split(",").index("time/episodes")
    assert [line.split(",")[column] for line in lines] == ["2", "4"]
    assert (cerl.allocation.counts > 0).all()  # both acted
    cerl.learn(2 * STEPS, log_interval=None)
    assert cerl.models[0]._episode_num == 2  # counted anew

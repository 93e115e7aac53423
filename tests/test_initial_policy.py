"""Runs that start at a trained policy: what they take over, and what they refuse."""

import shutil

import numpy as np
import pytest
import torch
from run_folders import assert_same_run
from torch import nn
from torch.nn.utils import parameters_to_vector

from structured_layers import load_policy
from structured_layers.actions import BoxActions
from structured_layers.conversion import to_dense
from structured_layers.errors import StructuredLayersError
from structured_layers.integrations.evotorch.initial_policy import (
    OBSERVATIONS_SEEN,
    read_initial_policy,
)
from structured_layers.integrations.evotorch.run import Run
from structured_layers.integrations.evotorch.run_config import RunConfig
from structured_layers.layers.clustering import kmeans
from structured_layers.metrics import summarize
from structured_layers.policy import Policy
from structured_layers.specs import NetworkSpec

DRIFT = "drift_envs:Drift-v0"
HELD = {"controller": "local-search", "num_mutations": 0}


def config(**settings):
    defaults = {"env": DRIFT, "hidden": (3,), "popsize": 6, "center_evaluations": 3}
    return RunConfig(**{**defaults, "total_steps": 1000, **settings})


@pytest.fixture(scope="module")
def dense(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dense") / "run"
    Run.create(folder, config(structure="dense")).train()
    return folder


def matrices(network):
    return [m.weight for m in to_dense(network) if isinstance(m, nn.Linear)]


def start_of(folder, **settings):
    run = Run.create(folder, config(**settings))
    solution = run.search.center_solution()
    return run, run.problem.to_policy(solution, spec=run.spec)


@pytest.mark.parametrize("num_colors", [2, 5, 15])
def test_a_coloured_run_starts_at_the_best_clustering(dense, num_colors, tmp_path):
    run, policy = start_of(tmp_path / "run", init_from=str(dense), num_colors=num_colors, **HELD)
    trained = load_policy(dense).network
    weights = torch.cat([w.flatten() for w in matrices(trained)])
    centers = kmeans(weights, num_colors).float()
    expected = centers[(weights[:, None] - centers).abs().argmin(dim=1)]
    found = torch.cat([w.flatten() for w in matrices(policy.network)])
    torch.testing.assert_close(found, expected)
    assert torch.equal(policy.network[0].bias, trained[0].bias)
    assert summarize(policy.network).weights == num_colors


def test_an_edge_run_keeps_the_largest_weights(dense, tmp_path):
    _, policy = start_of(
        tmp_path / "run", structure="edges", num_edges=6, init_from=str(dense), **HELD
    )
    weights = torch.cat([w.flatten() for w in matrices(load_policy(dense).network)])
    found = torch.cat([w.flatten() for w in matrices(policy.network)])
    kept = weights.abs().topk(6).indices
    assert torch.equal(found.nonzero()[:, 0], kept.sort().values)
    assert torch.equal(found[kept], weights[kept])


def test_pruning_starts_with_all_weights_and_begins_at_once(dense, tmp_path):
    edges = {"structure": "edges", "num_edges": 6, "controller": "magnitude"}
    run, policy = start_of(tmp_path / "run", init_from=str(dense), **edges)
    trained = load_policy(dense).network
    for found, expected in zip(matrices(policy.network), matrices(trained), strict=True):
        assert torch.equal(found, expected)
    assert torch.equal(policy.network[0].bias, trained[0].bias)
    rows = []
    run.train(on_generation=rows.append)
    assert rows[1]["num_weights"] < 15  # 60 % of the steps would be over before, without a start
    assert summarize(load_policy(tmp_path / "run").network).weights == 6


def test_the_statistics_of_a_run_are_taken_over_with_their_count(dense, tmp_path):
    run, policy = start_of(tmp_path / "run", init_from=str(dense), **HELD)
    trained = load_policy(dense)
    assert np.array_equal(policy.observation_mean, trained.observation_mean)
    assert np.array_equal(policy.observation_std, trained.observation_std)
    assert 0 < run.problem.normalizer.count < 1000


def test_a_policy_folder_counts_for_many_observations(dense, tmp_path):
    run, policy = start_of(tmp_path / "run", init_from=str(dense / "policy"), **HELD)
    trained = load_policy(dense)
    np.testing.assert_allclose(policy.observation_mean, trained.observation_mean, rtol=1e-12)
    np.testing.assert_allclose(policy.observation_std, trained.observation_std, rtol=1e-9)
    assert run.problem.normalizer.count == OBSERVATIONS_SEEN


def test_all_colours_decide_as_the_trained_policy(dense, tmp_path):
    _, policy = start_of(tmp_path / "run", init_from=str(dense), num_colors=15, **HELD)
    observations = np.random.default_rng(0).normal(size=(20, 3))
    expected, _ = load_policy(dense).predict(observations)
    np.testing.assert_allclose(policy.predict(observations)[0], expected, rtol=1e-5, atol=1e-6)


def test_the_structure_is_held_and_the_run_resumes_without_the_policy(dense, tmp_path):
    source = tmp_path / "source"
    shutil.copytree(dense, source)
    settings = config(init_from=str(source), total_steps=1500, **HELD)
    undisturbed = Run.create(tmp_path / "undisturbed", settings)
    first = undisturbed.search.center_decisions()
    undisturbed.train()
    assert torch.equal(undisturbed.search.center_decisions(), first)
    stopped = Run.create(tmp_path / "stopped", settings)
    stopped.train(should_stop=iter([False, False, True]).__next__)
    shutil.rmtree(source)
    Run.resume(tmp_path / "stopped").train()
    assert_same_run(tmp_path / "stopped", tmp_path / "undisturbed")


def test_cma_es_starts_there_too(dense, tmp_path):
    settings = {"optimizer": "cmaes", "stdev": 0.05, "num_colors": 4}
    run, policy = start_of(tmp_path / "run", init_from=str(dense), **settings, **HELD)
    trained = load_policy(dense).network
    assert torch.equal(policy.network[0].bias, trained[0].bias)
    run.train()
    assert run.finished


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden": (4,)}, "is 3-4-2, that of .* 3-3-2; take the same hidden sizes"),
        ({"hidden": (3, 3)}, "is 3-3-3-2, that of .* 3-3-2"),
        (
            {"observation_normalization": False},
            "by normalised observations, .* raw ones; take --observation-normalization",
        ),
        ({"num_colors": 3, "num_edges": 8}, "go with structure chromatic and all its edges"),
    ],
)
def test_policies_that_do_not_fit_are_refused_and_leave_nothing(dense, settings, message, tmp_path):
    with pytest.raises(StructuredLayersError, match=message):
        Run.create(tmp_path / "run", config(init_from=str(dense), **settings, **HELD))
    assert list(tmp_path.iterdir()) == []


def saved(folder, **spec):
    network = NetworkSpec(3, 2, hidden=(3,), **spec)
    bounds = BoxActions(-np.ones(2, np.float32), np.ones(2, np.float32))
    Policy(
        network.build(),
        bounds,
        observation_mean=np.zeros(3),
        observation_std=np.ones(3),
        spec=network,
    ).save(folder)
    return str(folder)


@pytest.mark.parametrize(
    ("spec", "settings", "message"),
    [
        ({"activation": "relu"}, {}, "activations Tanh, that of .* ReLU"),
        ({"output_bias": True}, {}, "last layer .* has biases, .* take --output-bias"),
        ({"skip": True}, {}, "is a SkipMLP, whose edges may skip layers"),
    ],
)
def test_networks_of_another_kind_are_refused(spec, settings, message, tmp_path):
    policy = saved(tmp_path / "policy", **spec)
    with pytest.raises(StructuredLayersError, match=message):
        Run.create(tmp_path / "run", config(init_from=policy, **settings, **HELD))


def test_an_output_bias_is_taken_over(tmp_path):
    policy = saved(tmp_path / "policy", output_bias=True)
    settings = {"output_bias": True, "num_colors": 15}
    _, started = start_of(tmp_path / "run", init_from=policy, **settings, **HELD)
    trained = load_policy(policy).network
    torch.testing.assert_close(
        parameters_to_vector([m.bias for m in to_dense(started.network) if hasattr(m, "bias")]),
        parameters_to_vector([m.bias for m in trained if hasattr(m, "bias")]),
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"init_from": "x"}, "init_from goes with controller local-search"),
        ({"dense_steps": 5}, "dense_steps goes with controller local-search"),
        ({"num_mutations": 1, "controller": "random"}, "num_mutations goes with .*got .*random"),
        ({"num_mutations": -1, "controller": "local-search"}, "at least 0, got -1"),
        ({"dense_steps": 1000, **HELD}, "between 0 and total_steps=1000.*got 1000"),
        ({"dense_steps": 5, "init_from": "x", **HELD}, "leave one of the two out"),
        ({"init_vecnormalize": "x", **HELD}, "init_vecnormalize goes with init_from"),
        ({"init_from": "x", "zero_init": True, **HELD}, "two different starts"),
        ({"dense_steps": 5, "skip": True, **HELD}, "plain tanh network"),
        ({"dense_steps": 5, "num_edges": 8, **HELD}, "got structure chromatic with num_edges 8"),
        (
            {"init_from": "x", "structure": "edges", "edges_per_layer": (3, 3), **HELD},
            r"got structure edges with edges_per_layer \(3, 3\)",
        ),
        (
            {"dense_steps": 5, "structure": "edge-mask", "num_colors": 3, **HELD},
            "edge-mask without num_colors, got structure edge-mask with num_colors 3",
        ),
        ({"controller": "latent", "structure": "edges"}, "latent goes with structure chromatic"),
        ({"controller": "latent", "zero_init": True}, "without baseline and zero_init"),
        ({"controller": "latent", "num_mutations": 1}, "num_mutations goes with controller"),
        ({"controller_population": 5, **HELD}, "local-search has no population"),
    ],
)
def test_settings_without_effect_are_refused(settings, message):
    with pytest.raises(StructuredLayersError, match=message):
        config(**settings)


def test_what_is_no_policy_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    for name in ("file", "nothing"):
        with pytest.raises(StructuredLayersError, match=name):
            read_initial_policy(tmp_path / name)
    policy = saved(tmp_path / "policy")
    with pytest.raises(StructuredLayersError, match="goes with a zip"):
        read_initial_policy(policy, vecnormalize=tmp_path / "file")


def test_a_model_of_sb3_with_its_normaliser(tmp_path):
    pytest.importorskip("stable_baselines3")
    from stable_baselines3 import PPO
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.vec_env import VecNormalize

    env = VecNormalize(make_vec_env("Pendulum-v1"))
    keywords = {"net_arch": [3], "activation_fn": nn.Tanh}
    model = PPO("MlpPolicy", env, n_steps=64, batch_size=64, policy_kwargs=keywords, device="cpu")
    model.learn(128)
    model.save(tmp_path / "model.zip")
    env.save(str(tmp_path / "stats.pkl"))
    files = {"init_from": str(tmp_path / "model.zip")}
    stats = {"init_vecnormalize": str(tmp_path / "stats.pkl")}
    settings = {"env": "Pendulum-v1", "num_colors": 12, "output_bias": True, **HELD}
    with pytest.raises(StructuredLayersError, match="raw observations.*--no-observation-norm"):
        Run.create(tmp_path / "run", config(**files, **settings))
    _, policy = start_of(tmp_path / "run", **files, **stats, **settings)
    env.training = False
    other = VecNormalize(make_vec_env("CartPole-v1"))
    other.save(str(tmp_path / "other.pkl"))
    with pytest.raises(StructuredLayersError, match="cannot be loaded as a VecNormalize of this"):
        read_initial_policy(tmp_path / "model.zip", vecnormalize=tmp_path / "other.pkl")
    rms, rng = env.obs_rms, np.random.default_rng(0)
    for _ in range(5):  # within what VecNormalize does not cut off
        observation = (rms.mean + np.sqrt(rms.var) * rng.uniform(-5, 5, 3)).astype(np.float32)
        expected, _ = model.predict(env.normalize_obs(observation), deterministic=True)
        np.testing.assert_allclose(policy.predict(observation)[0], expected, rtol=1e-4, atol=1e-4)


def test_latent_weights_start_at_the_dense_ones(dense, tmp_path):
    latent, policy = start_of(
        tmp_path / "latent", init_from=str(dense), num_colors=4, controller="latent"
    )
    _, clustered = start_of(tmp_path / "held", init_from=str(dense), num_colors=4, **HELD)
    expected = {name: t.clone() for name, t in clustered.network.state_dict().items()}
    for name, tensor in policy.network.state_dict().items():
        assert torch.equal(tensor, expected[name])
    latent.train()
    assert latent.finished

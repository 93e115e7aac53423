"""Which networks and spaces a run's settings make, and that such runs train, resume and load."""

import csv
import json

import numpy as np
import pytest
import torch
from run_folders import assert_same_run
from torch import nn

from structured_layers import (
    MaskedLinear,
    SkipMLP,
    StructuredLayersError,
    load_policy,
    topology_to_vector,
)
from structured_layers.algorithms import (
    ColoredEdges,
    Coloring,
    EdgeMask,
    EdgeSubset,
    LayerwiseEdgeSubset,
    ProductSpace,
    SearchSpace,
    UnitActivationChoice,
)
from structured_layers.errors import CheckpointError
from structured_layers.integrations.cli.tables import start_table
from structured_layers.integrations.evotorch.report import write_report
from structured_layers.integrations.evotorch.run import Run
from structured_layers.integrations.evotorch.run_config import RunConfig
from structured_layers.integrations.evotorch.run_network import network_spec, seeded_network
from structured_layers.layers.activations import KINDS
from structured_layers.metrics import summarize

DRIFT = "drift_envs:Drift-v0"  # 3 observations, 2 actions

NETWORKS = {
    "edge-mask": {"structure": "edge-mask"},
    "colored-mask": {"structure": "edge-mask", "num_colors": 4, "skip": True},
    "colored-edges": {"structure": "chromatic", "num_edges": 8},
    "colored-layers": {"structure": "chromatic", "edges_per_layer": (5, 3), "num_colors": 2},
    "skip-edges": {"structure": "edges", "num_edges": 9, "skip": True},
    "layers-units": {
        "structure": "edges",
        "edges_per_layer": (5, 3),
        "skip": True,
        "unit_activations": ("tanh", "sin", "step"),
    },
    "dense-units": {"structure": "dense", "unit_activations": KINDS},
    "skip-toeplitz": {"structure": "toeplitz", "skip": True},
}
each_network = pytest.mark.parametrize("settings", NETWORKS.values(), ids=NETWORKS)


def config(**settings) -> RunConfig:
    sizes = {"popsize": 6, "center_evaluations": 3, "total_steps": 1000}
    return RunConfig(DRIFT, hidden=(3,), **sizes, **settings)


def made(**settings) -> tuple[nn.Module, SearchSpace | None]:
    settings = config(**settings)
    return seeded_network(network_spec(settings), settings, 0)


@pytest.mark.parametrize(
    ("name", "kind", "size"),
    [
        ("edge-mask", EdgeMask, 2**15),
        ("colored-mask", ColoredEdges, 5**21),
        ("colored-edges", ColoredEdges, 6435 * 3**8),
        ("colored-layers", ColoredEdges, 126 * 20 * 2**8),
        ("skip-edges", EdgeSubset, 293930),
        ("layers-units", ProductSpace, 126 * 220 * 3**3),
        ("dense-units", UnitActivationChoice, 11**3),
    ],
)
def test_settings_make_the_space(name: str, kind: type, size: int) -> None:
    _, space = made(**NETWORKS[name])
    assert type(space) is kind
    assert 10**space.log10_size == pytest.approx(size)


def test_settings_without_a_search_have_no_space() -> None:
    network, space = made(**NETWORKS["skip-toeplitz"])
    assert space is None
    assert isinstance(network, SkipMLP)


def test_plain_settings_make_the_spaces_that_they_always_made() -> None:
    assert type(made()[1]) is Coloring
    assert type(made(structure="edges", num_edges=5)[1]) is EdgeSubset
    assert made(structure="dense")[1] is None


def test_edges_are_64_unless_asked_otherwise() -> None:
    settings = RunConfig(DRIFT, structure="edges")
    assert seeded_network(network_spec(settings), settings, 0)[1].num_kept == 64
    layers = RunConfig(DRIFT, structure="edges", edges_per_layer=(32, 32))
    space = seeded_network(network_spec(layers), layers, 0)[1]
    assert isinstance(space, LayerwiseEdgeSubset)


@pytest.mark.parametrize("num_colors", [None, 4])
def test_outputs_do_not_shrink_with_the_edges(num_colors: int | None) -> None:
    """A network of few edges starts with larger weights, so that its units see as much."""

    def output_size(**settings) -> float:
        outputs = []
        for seed in range(40):
            run = RunConfig(DRIFT, hidden=(64,), num_colors=num_colors, **settings)
            network = seeded_network(network_spec(run), run, seed)[0][0]
            weight = network.weight.detach()
            outputs.append(float((weight**2).sum(dim=1).mean()))
        return float(np.mean(outputs))

    if num_colors is None:
        few = output_size(structure="edges", num_edges=100)
        full = output_size(structure="edges", edges_per_layer=(191, 127))
    else:
        few = output_size(structure="chromatic", num_edges=100)
        full = output_size(structure="chromatic")
    assert 0.5 < few / full < 2  # 0.3 if the weights stayed as they are


@each_network
def test_runs_resume_to_the_same_bits_and_their_policies_load(settings: dict, tmp_path) -> None:
    whole = Run.create(tmp_path / "whole", config(**settings))
    whole.train()
    cut = Run.create(tmp_path / "cut", config(**settings))
    cut.train(should_stop=iter([False, False, True]).__next__)
    assert cut.generation == 2
    resumed = Run.resume(tmp_path / "cut")
    assert resumed.config == whole.config
    resumed.train()
    assert_same_run(tmp_path / "cut", tmp_path / "whole")
    policy = load_policy(tmp_path / "whole")
    reference = whole.problem.to_policy(whole.best.solution, normalizer=whole.best.normalizer)
    observations = np.random.default_rng(0).normal(size=(20, 3))
    assert np.array_equal(policy.predict(observations)[0], reference.predict(observations)[0])
    assert torch.equal(topology_to_vector(policy.network), topology_to_vector(reference.network))


def test_a_run_from_before_these_settings_resumes(tmp_path) -> None:
    whole, cut = (Run.create(tmp_path / name, config(seed=3)) for name in ("whole", "cut"))
    whole.train()
    cut.train(should_stop=iter([False, True]).__next__)
    path = tmp_path / "cut" / "config.json"
    data = json.loads(path.read_text())
    for name in ("skip", "edges_per_layer", "unit_activations"):
        del data["config"][name]
    path.write_text(json.dumps(data))
    Run.resume(tmp_path / "cut").train()
    assert_same_run(tmp_path / "cut", tmp_path / "whole")


def test_settings_of_the_wrong_type_are_refused() -> None:
    data = config().to_json()
    for name, value in (
        ("skip", 1),
        ("edges_per_layer", 3),
        ("edges_per_layer", ["3"]),
        ("unit_activations", "tanh"),
        ("unit_activations", [0]),
    ):
        with pytest.raises(CheckpointError, match=f"wrong type: {name}="):
            RunConfig.from_json({**data, name: value})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_colors": 2, "structure": "edges"}, "num_colors goes with structure chromatic or"),
        ({"edges_per_layer": (2,), "structure": "dense"}, "edges_per_layer goes with structure"),
        ({"num_edges": 2, "structure": "edge-mask"}, "num_edges goes with structure edges or"),
        ({"num_edges": 4, "edges_per_layer": (2, 2)}, r"leave one of them out, got 4 and \[2, 2\]"),
        ({"unit_activations": ("tan",)}, "among tanh, .*, step, got 'tan'"),
        ({"unit_activations": "tanh"}, "a sequence of names"),
        ({"unit_activations": ()}, "at least one non-linearity"),
        ({"controller": "random", "structure": "dense"}, "or with unit_activations, got .* dense"),
        (
            {"structure": "dense", "unit_activations": ("sin",), "baseline": "mean"},
            "without unit_activations, .*; take baseline structure",
        ),
    ],
)
def test_settings_that_do_not_go_together(settings: dict, message: str) -> None:
    with pytest.raises(StructuredLayersError, match=message):
        config(**settings)


def test_a_controller_may_choose_the_activations_of_a_dense_network() -> None:
    settings = config(structure="dense", unit_activations=("sin", "abs"), baseline="structure")
    assert settings.is_searched


@each_network
def test_the_report_of_such_a_run(settings: dict, tmp_path) -> None:
    pytest.importorskip("matplotlib")
    run = Run.create(tmp_path / "run", config(**settings))
    run.train(should_stop=iter([False, True]).__next__)
    summary = write_report(tmp_path / "run")
    assert summary.size == summarize(load_policy(tmp_path / "run").network)
    assert all(picture.stat().st_size > 1000 for picture in summary.pictures)


def test_progress_counts_the_weights_of_the_mask_that_the_centre_had(tmp_path) -> None:
    run = Run.create(tmp_path / "run", config(structure="edge-mask"))
    counts = []

    def look(row: dict) -> None:
        decisions = run.search.center_population.values[0, -15:]
        counts.append(int(decisions.sum()))

    run.train(on_generation=look)
    with (tmp_path / "run" / "progress.csv").open() as file:
        written = [int(row["num_weights"]) for row in csv.DictReader(file)]
    assert written == counts
    assert len(set(counts)) > 1


@pytest.mark.parametrize(
    ("settings", "rows"),
    [
        ({}, ["3 → 3 → 2", "3 of 15 edges", "10^7.2"]),
        (NETWORKS["edge-mask"], ["3 → 3 → 2", "up to 15 of 15 edges", "10^4.5"]),
        (NETWORKS["skip-edges"], ["3 → 3 → 2, edges skip layers", "9 of 21 edges", "10^5.5"]),
        (NETWORKS["skip-toeplitz"], ["3 → 3 → 2, edges skip layers", "12 of 21 edges"]),
    ],
)
def test_the_table_at_the_start_tells_the_network_and_the_structures(
    settings: dict, rows: list[str], tmp_path
) -> None:
    table = start_table(Run.create(tmp_path / "run", config(**settings)))
    assert list(table.columns[1].cells) == rows


def test_unit_activations_change_what_a_network_computes() -> None:
    network, space = made(**NETWORKS["layers-units"])
    assert isinstance(network, SkipMLP)
    assert all(isinstance(layer, MaskedLinear) for layer in network.layers)
    shown = space.decode(space.sample(50, torch.Generator().manual_seed(0)))[:, -3:]
    assert set(shown.flatten().tolist()) == {KINDS.index(k) for k in ("tanh", "sin", "step")}

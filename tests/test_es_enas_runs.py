"""The variants of ES-ENAS as settings of a run, and structures passed on to another run."""

import csv
import json

import pytest
import torch
from run_folders import assert_same_run, snapshot

from structured_layers.algorithms.checkpoints import read_checkpoint
from structured_layers.errors import CheckpointError, StructuredLayersError
from structured_layers.integrations.cli.main import main
from structured_layers.integrations.evotorch.run import Run
from structured_layers.integrations.evotorch.run_config import RunConfig
from structured_layers.integrations.evotorch.run_files import config_digest, read_run_config
from structured_layers.integrations.evotorch.transfer import read_structures

DRIFT = "drift_envs:Drift-v0"


def config(**settings):
    defaults = {"hidden": (3,), "popsize": 6, "center_evaluations": 2, "total_steps": 1000}
    return RunConfig(**{"env": DRIFT, **defaults, **settings})


def trained(folder, settings, **options):
    run = Run.create(folder, settings)
    run.train(**options)
    return run


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


MASK = {"structure": "edge-mask"}
VARIANTS = {
    "k of n": {"num_observed": 2},
    "phases": {"phase_length": 3, "num_elites": 1},
    "pairs": {"paired_structures": True, "structure": "edges", "num_edges": 5},
    "sampled pivot": {"estimator": "forward", "center_structures": "sampled"},
    "target": {**MASK, "target_edges": 4, "objective_shift": 1000.0},
    "penalty": {**MASK, "cost": "bits", "cost_weight": 0.1},
    "limit": {**MASK, "cost": "edges", "cost_limit": 6},
    "front": {"cost": "multiplications"},
    "cmaes": {"optimizer": "cmaes", "phase_length": 2, "num_observed": 2, "num_elites": 2},
}


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_resumes_bit_for_bit(name, tmp_path):
    settings = config(**VARIANTS[name])
    assert RunConfig.from_json(json.loads(json.dumps(settings.to_json()))) == settings
    trained(tmp_path / "whole", settings)
    trained(tmp_path / "parts", settings, should_stop=iter([False, False, True]).__next__)
    assert Run.resume(tmp_path / "parts").generation == 2
    Run.resume(tmp_path / "parts").train()
    assert_same_run(tmp_path / "parts", tmp_path / "whole")
    files = [(tmp_path / folder / "pareto.csv") for folder in ("parts", "whole")]
    has_front = settings.cost is not None or settings.target_edges is not None
    assert [file.exists() for file in files] == [has_front] * 2
    if has_front:
        assert files[0].read_bytes() == files[1].read_bytes()


def test_the_front_is_written_with_every_checkpoint(tmp_path):
    run = trained(tmp_path / "run", config(**MASK, cost="edges"))
    rows = rows_of(tmp_path / "run" / "pareto.csv")
    archive = run.search.archive
    assert [float(row["return"]) for row in rows] == archive.returns.tolist()
    assert [float(row["edges"]) for row in rows] == archive.costs.tolist()
    assert all(1 <= int(row["generation"]) <= run.generation for row in rows)
    # without the alive bonus, which the report contains
    best = max(float(row["return_best"]) for row in rows_of(tmp_path / "run" / "progress.csv"))
    assert float(rows[-1]["return"]) < best


@pytest.mark.parametrize(
    "settings",
    [{"cost": "edges", "cost_limit": 5.0}, {"target_edges": 5, "objective_shift": 1000.0}],
    ids=["limit", "target"],
)
def test_the_policy_is_the_best_centre_by_the_controllers_objective(settings, tmp_path):
    run = Run.create(tmp_path / "run", config(**MASK, **settings))
    merits = []
    while not run.finished:
        run.train(should_stop=iter([False, True]).__next__)
        row = rows_of(tmp_path / "run" / "progress.csv")[-1]
        center = run.search.center_population.values[0].clone()
        edges = float(center[run.problem.num_parameters :].sum())
        value = float(row["return_center"])
        if "cost_limit" in settings:
            merits.append((edges <= 5, value if edges <= 5 else -edges, center))
        else:
            merits.append((True, (value + 1000) * min(1.0, 5 / max(edges, 1.0)), center))
    best = max(merits, key=lambda merit: merit[:2])
    assert torch.equal(run.best.solution, best[2])


def test_a_run_without_variants_is_the_run_it_was(tmp_path):
    settings = config()
    run = trained(tmp_path / "run", settings)
    search = read_checkpoint(tmp_path / "run" / "checkpoint")["search"]
    assert not {"phase", "archive", "objective"} & search.keys()
    assert run.search.phase is run.search.archive is run.search.objective is None
    assert config_digest(settings) != config_digest(config(num_elites=1))
    assert not (tmp_path / "run" / "pareto.csv").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"structure": "dense", "num_observed": 2}, "num_observed goes with a controller"),
        ({"controller": "latent", "phase_length": 2}, "phase_length goes with a controller"),
        ({"controller": "local-search", "num_elites": 1}, "what a local search compares"),
        ({"controller": "local-search", "estimator": "forward"}, "forward makes no pairs"),
        ({"controller": "local-search", "estimator": "vanilla"}, "vanilla makes no pairs"),
        ({"controller": "local-search", "optimizer": "cmaes"}, "cmaes makes no pairs"),
        ({"phase_length": 126}, "phase_length 126 is too long for a phase to end"),
        ({"cost_weight": 1.0}, "cost_weight goes with cost"),
        ({**MASK, "cost": "bits", "cost_weight": 0.0}, "cost_weight must be a positive number"),
        ({**MASK, "cost": "bits", "cost_weight": 1.0, "cost_limit": 1.0}, "leave one of them out"),
        ({"cost": "edges"}, "all structures of chromatic cost the same"),
        ({"cost": "time"}, "cost must be one of edges, bits, multiplications, got 'time'"),
        ({**MASK, "target_edges": 0}, "target_edges must be an integer of at least 1"),
        ({"target_edges": 4}, "target_edges goes with structure edge-mask"),
        ({**MASK, "target_edges": 4, "cost": "edges", "cost_limit": 3.0}, "another one"),
        ({**MASK, "target_edges": 4, "target_exponents": (0.0,)}, "two finite numbers"),
        ({"target_exponents": (0.0, -1.0)}, "target_exponents goes with target_edges"),
        ({"objective_shift": 1.0}, "objective_shift goes with target_edges"),
        ({"center_structures": "worst"}, "center_structures must be one of best, sampled"),
        ({"top": 3}, "top goes with init_topologies"),
        ({"init_topologies": "run"}, "init_topologies goes with controller fixed"),
        ({"init_topologies": "run", "controller": "fixed", "top": 0}, "top must be at least 1"),
        (
            {"init_topologies": "run", "controller": "fixed", "controller_population": 3},
            "without controller_population",
        ),
    ],
)
def test_variants_that_say_nothing_or_contradict_are_refused(settings, message):
    with pytest.raises(StructuredLayersError, match=message):
        config(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"center_structures": "sampled"}, "estimator='forward'"),
        ({"paired_structures": True, "estimator": "vanilla"}, "needs pairs"),
        ({"num_observed": 7}, "from 1 to 6, the popsize"),
    ],
)
def test_a_failing_creation_leaves_nothing_behind(settings, message, tmp_path):
    with pytest.raises(StructuredLayersError, match=message):
        Run.create(tmp_path / "run", config(**settings))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("change", [{"num_elites": "1"}, {"cost_limit": "3"}, {"top": 1.5}])
def test_settings_of_the_wrong_type_are_refused(change):
    with pytest.raises(CheckpointError, match="have the wrong type"):
        RunConfig.from_json({**config().to_json(), **change})


SOURCES = {
    "evolution": {"controller_population": 10},
    "gradient": {"controller": "policy-gradient"},
    "fixed": {"controller": "fixed", "controller_population": 8},
}


@pytest.mark.parametrize("name", SOURCES)
def test_the_best_structures_of_a_run_are_held_by_another(name, tmp_path):
    source = trained(tmp_path / "source", config(**SOURCES[name]))
    before = snapshot(tmp_path / "source")
    known = read_structures(tmp_path / "source", 3)
    assert len(known.decisions.unique(dim=0)) == 3
    assert torch.equal(known.decisions, source.search.controller.ranked(3))
    settings = config(
        controller="fixed", init_topologies=str(tmp_path / "source"), top=3, total_steps=600, seed=1
    )
    run = trained(tmp_path / "run", settings)
    proposed = run.search.population.values[:, run.problem.num_parameters :].long()
    assert torch.equal(proposed.unique(dim=0), known.decisions.unique(dim=0))
    assert snapshot(tmp_path / "source") == before
    # what is held is in the checkpoint: the other run is not needed any more
    (tmp_path / "source").rename(tmp_path / "gone")
    parts = Run.create(tmp_path / "copy", config(**{**settings.to_json(), "hidden": (3,),
        "init_topologies": str(tmp_path / "gone")}))  # fmt: skip
    parts.train(should_stop=lambda: True)
    (tmp_path / "gone").rename(tmp_path / "source")
    resumed = Run.resume(tmp_path / "copy")
    resumed.train()
    assert torch.equal(resumed.search.center_solution(), run.search.center_solution())


def test_the_best_ones_come_first(tmp_path):
    run = trained(tmp_path / "run", config(controller="fixed", controller_population=4))
    controller = run.search.controller
    ranked = controller.ranked(4)
    assert torch.equal(ranked[0], controller.best())
    members = controller.state_dict()["members"]
    scores = controller.state_dict()["scores"]
    order = [int((members == row).all(dim=1).nonzero()[0, 0]) for row in ranked]
    assert scores[order].tolist() == sorted(scores.tolist(), reverse=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden": (4,)}, "is 3-3-2, chromatic of 3 colours, that of this run 3-4-2"),
        ({"num_colors": 2}, "that of this run 3-3-2, chromatic of 2 colours"),
        ({"env": "Pendulum-v1"}, "as many observations and actions"),
        ({"num_edges": 7}, "between equal search spaces: .* has 15 decisions"),
        ({"top": 100}, "knows .* structures by their returns and 100 were asked for"),
    ],
)
def test_structures_of_another_shape_are_refused(change, message, tmp_path):
    trained(tmp_path / "source", config(controller_population=4))
    change = {"num_colors": 3, **change}
    given = {"controller": "fixed", "init_topologies": str(tmp_path / "source"), "top": 2}
    with pytest.raises(StructuredLayersError, match=message):
        Run.create(tmp_path / "run", config(**{**given, **change}))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("kinds", [("sin", "cos"), ("relu", "tanh"), None])
def test_structures_of_other_activations_are_refused(kinds, tmp_path):
    settings = {"structure": "edges", "num_edges": 5}
    units = {"unit_activations": ("tanh", "relu"), "controller_population": 4}
    trained(tmp_path / "source", config(**settings, **units))
    given = {"controller": "fixed", "init_topologies": str(tmp_path / "source"), "top": 2}
    message = "network" if kinds is None else f"is tanh relu, that of this run {' '.join(kinds)};"
    with pytest.raises(StructuredLayersError, match=message):
        Run.create(tmp_path / "run", config(**settings, **given, unit_activations=kinds))
    assert not (tmp_path / "run").exists()


def test_runs_that_know_no_or_few_structures_say_so(tmp_path):
    trained(tmp_path / "dense", config(structure="dense"))
    with pytest.raises(StructuredLayersError, match="searched no structures"):
        read_structures(tmp_path / "dense", 1)
    trained(tmp_path / "random", config(controller="random"))
    assert len(read_structures(tmp_path / "random", 1).decisions) == 1
    with pytest.raises(StructuredLayersError, match="knows 1 structures .* --top 1"):
        read_structures(tmp_path / "random", 5)
    with pytest.raises(CheckpointError, match="does not exist"):
        read_structures(tmp_path / "nowhere", 5)


def test_the_command_line_holds_the_structures_of_a_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    tiny = ["--hidden", "3", "--popsize", "6", "--center-evaluations", "2", "--total-steps", "600"]
    assert main(["train", DRIFT, *tiny, "--out", "one", "--phase-length", "1"]) == 0
    options = ["--init-topologies", "one", "--top", "2", "--out", "two"]
    assert main(["train", DRIFT, *tiny, *options]) == 0
    settings = read_run_config(tmp_path / "two")
    assert (settings.controller, settings.top, settings.init_topologies) == ("fixed", 2, "one")
    capsys.readouterr()

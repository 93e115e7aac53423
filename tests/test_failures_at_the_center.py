"""Failed evaluations of the centre, whose fitness is not their own, say nothing about it."""

import csv

import pytest
import torch

from structured_layers import mlp
from structured_layers.algorithms import ES
from structured_layers.integrations.evotorch import PolicyProblem
from structured_layers.integrations.evotorch.run import Run
from structured_layers.integrations.evotorch.run_config import RunConfig

POPSIZE, CENTERS = 20, 10
WARNING = "ignore:.*has no native task"


def search_with_failures(**options):
    problem = PolicyProblem("drift_envs:Troubled-v0", mlp(3, [], 2), seed=0)
    return ES(problem, popsize=POPSIZE, num_center_evaluations=CENTERS, seed=0, **options)


@pytest.mark.filterwarnings(WARNING)
def test_the_centre_is_the_mean_of_those_that_did_not_fail():
    search = search_with_failures()
    search.step()
    centers = search.center_population.evals.as_subclass(torch.Tensor)
    failed = centers[:, 3] > 0
    assert 0 < failed.sum() < CENTERS
    assert search.center_kept().tolist() == (~failed).tolist()
    assert search.status["center_eval"] == float(centers[~failed, 0].mean())


@pytest.mark.filterwarnings(WARNING)
def test_the_estimator_compares_with_those_that_did_not_fail(monkeypatch):
    search, told = search_with_failures(estimator="forward", baseline=None), []
    tell = search._weights.tell
    monkeypatch.setattr(
        search._weights, "tell", lambda f, center: (told.append(center), tell(f, center))
    )
    search.step()
    centers = search.center_population.evals.as_subclass(torch.Tensor)
    assert float(told[0]) == float(centers[centers[:, 3] == 0, 0].mean())


def all_centers_fail(monkeypatch, problem):
    evaluate = problem._evaluate_all

    def evaluated(batch):
        evaluate(batch)
        evals = batch.evals.as_subclass(torch.Tensor).clone()
        evals[-CENTERS:, 3] = 1
        batch.set_evals(evals[:, :1].flatten(), evals[:, 1:])

    monkeypatch.setattr(problem, "_evaluate_all", evaluated)


@pytest.mark.filterwarnings(WARNING)
def test_where_all_failed_there_is_a_number_but_no_best_centre(tmp_path, monkeypatch):
    config = RunConfig(
        "drift_envs:Drift-v0", hidden=(3,), popsize=4, center_evaluations=CENTERS,
        structure="dense", total_steps=100,
    )  # fmt: skip
    run = Run.create(tmp_path / "run", config)
    all_centers_fail(monkeypatch, run.problem)
    run.train()
    assert run.best.solution is None
    with (run.folder / "progress.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows
    assert all(torch.tensor(float(row["return_center"])).isfinite() for row in rows)

"""What a run remembers of its structures, and that killing it does not change that."""

import csv
import shutil

import pytest
import torch
from run_folders import assert_same_run, snapshot

from structured_layers import CheckpointError
from structured_layers.algorithms import Coloring, EdgeMask
from structured_layers.integrations.evotorch.history import NUM_SNAPSHOTS, History, read_history
from structured_layers.integrations.evotorch.progress import COLUMNS, QUANTILES, ProgressFile
from structured_layers.integrations.evotorch.run import Run
from structured_layers.integrations.evotorch.run_config import RunConfig

STEPS = 6 * 30  # of a generation


def config(**settings):
    sizes = {"popsize": 4, "center_evaluations": 2, "total_steps": 9 * STEPS}
    return RunConfig("drift_envs:Drift-v0", hidden=(3,), **{**sizes, **settings})


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    Run.create(folder, config()).train()
    return folder


def test_a_snapshot_says_what_was_proposed_most(tmp_path):
    space = Coloring(3, num_colors=4)
    history = History(tmp_path, space, total_steps=1000)
    history.observe(torch.tensor([[0, 1, 2], [0, 1, 3], [0, 3, 3], [1, 1, 3]]))
    history.take(1, 10, torch.tensor([0.5, -1.0]), torch.tensor([3, 2, 1]))
    (shot,) = read_history(tmp_path, until=1)
    assert (shot.generation, shot.env_steps) == (1, 10)
    assert shot.weights.tolist() == [0.5, -1.0]
    assert shot.decisions.tolist() == [3, 2, 1]
    assert shot.values.tolist() == [0, 1, 3]
    assert shot.shares.tolist() == [0.75, 0.75, 0.75]


def test_counting_begins_anew_after_a_snapshot(tmp_path):
    history = History(tmp_path, EdgeMask(1), total_steps=NUM_SNAPSHOTS * 10)
    for generation, steps in enumerate((4, 8, 12), start=1):
        history.observe(torch.tensor([[generation % 2]]))
        history.take(generation, steps, torch.zeros(1), torch.zeros(1, dtype=torch.int64))
    shots = read_history(tmp_path, until=3)
    assert [shot.generation for shot in shots] == [1, 3]  # 4 and 8 are in the first hundredth
    assert [shot.shares.tolist() for shot in shots] == [[1.0], [0.5]]


def test_a_long_run_has_a_hundred_snapshots_and_a_megabyte(tmp_path):
    space, generator = Coloring(943, num_colors=17), torch.Generator().manual_seed(0)
    history = History(tmp_path, space, total_steps=40_000_000)
    proposals = space.sample(2, generator)
    for generation in range(1, 405):
        history.observe(proposals)
        history.take(generation, generation * 99_000, torch.zeros(58), proposals[0])
    files = list((tmp_path / "history").iterdir())
    assert len(files) == NUM_SNAPSHOTS
    assert sum(path.stat().st_size for path in files) < 2**20


@pytest.mark.parametrize("stop", range(1, 6))
def test_a_run_that_goes_back_writes_the_same_history(stop, undisturbed, tmp_path):
    folder = tmp_path / "run"
    calls = iter([False] * stop + [True])
    Run.create(folder, config()).train(checkpoint_every=100, should_stop=calls.__next__)
    saved = {name: (folder / name).read_bytes() for name in ("progress.csv",)}
    checkpoint = tmp_path / "checkpoint"
    shutil.copytree(folder / "checkpoint", checkpoint)
    Run.resume(folder).train()
    # as a kill leaves it: rows and snapshots of later generations than the checkpoint
    shutil.rmtree(folder / "checkpoint")
    shutil.copytree(checkpoint, folder / "checkpoint")
    (folder / "history" / ".snapshot-00000099.safetensors.1.tmp").write_text("half")
    run = Run.resume(folder)
    assert (folder / "progress.csv").read_bytes() == saved["progress.csv"]
    assert len(read_history(folder, until=10**6)) == stop
    run.train()
    assert_same_run(folder, undisturbed)


def test_a_generation_that_fails_is_not_counted(tmp_path, monkeypatch, undisturbed):
    run = Run.create(tmp_path / "run", config())
    append = ProgressFile.append
    failures = iter([False, True] + [False] * 100)

    def failing(self, row):
        if next(failures):
            raise OSError("no room")
        append(self, row)

    monkeypatch.setattr(ProgressFile, "append", failing)
    with pytest.raises(Exception, match="no room"):
        run.train()
    run.train()
    assert_same_run(tmp_path / "run", undisturbed)


def test_a_run_without_a_search_has_no_history(tmp_path):
    Run.create(tmp_path / "run", config(structure="dense", total_steps=STEPS)).train()
    assert not (tmp_path / "run" / "history").exists()


def test_quantiles_lie_between_each_other(undisturbed):
    with (undisturbed / "progress.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            values = [float(row[name]) for name in QUANTILES]
            assert values == sorted(values)
            assert values[-1] <= float(row["return_best"])
            assert values[0] <= float(row["return_mean"]) <= values[-1]


def test_a_run_begun_with_fewer_columns_goes_on_with_those(tmp_path):
    path = tmp_path / "progress.csv"
    earlier = COLUMNS[: -len(QUANTILES)]
    path.write_text(",".join(earlier) + "\n")
    progress = ProgressFile(path)
    progress.append({name: 1 for name in COLUMNS})
    assert progress.read() == [dict.fromkeys(earlier, "1")]


def test_a_damaged_snapshot_is_an_error_that_names_it(undisturbed, tmp_path):
    shutil.copytree(undisturbed, tmp_path / "run")
    first = min((tmp_path / "run" / "history").iterdir())
    first.write_bytes(first.read_bytes()[:-3])
    with pytest.raises(CheckpointError, match=first.name):
        read_history(tmp_path / "run", until=10**6)


def test_resuming_leaves_other_files_in_the_folder_alone(tmp_path):
    folder = tmp_path / "run"
    Run.create(folder, config(total_steps=STEPS)).train()
    (folder / "history" / "notes.txt").write_text("mine")
    before = snapshot(folder / "history")
    Run.resume(folder)
    assert snapshot(folder / "history") == before

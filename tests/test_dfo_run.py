"""``python -m benchmarks.dfo``: runs that go on, records, pictures and the page."""

import csv
import json
from pathlib import Path

import pytest

from benchmarks.dfo import runner
from benchmarks.dfo.__main__ import main
from benchmarks.dfo.chosen_steps import STDEV_INIT, STEP_RULE
from benchmarks.dfo.methods import METHODS, chosen_steps
from benchmarks.dfo.page import END, PAGE, START, write_page
from benchmarks.dfo.record import CASES, PROFILES, RECORD
from benchmarks.dfo.runner import Job, code_fingerprint, read_outcome, run_jobs
from benchmarks.dfo.tuning import TUNING, mean_log_gaps, tuning_jobs
from benchmarks.machine import RESULTS, ROOT

JOBS = [
    Job(method, "07", "stochastic", 2, 3, steps=chosen_steps(method))
    for method in ("forward-orthogonal", "nelder-mead")
]
QUICK = ["--problems", "07", "11", "--seeds", "2", "--budget", "3", "--processes", "0"]


def test_a_second_run_reads_what_the_first_one_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run_jobs(JOBS, processes=0, cache=tmp_path)
    monkeypatch.setattr(runner, "run_job", None)  # nothing is left to run
    assert run_jobs(JOBS, processes=0, cache=tmp_path) == first


def test_other_code_starts_anew(tmp_path: Path) -> None:
    run_jobs(JOBS[:1], processes=0, cache=tmp_path)
    assert read_outcome(JOBS[0], tmp_path, code_fingerprint()) is not None
    assert read_outcome(JOBS[0], tmp_path, "other") is None
    assert read_outcome(JOBS[1], tmp_path, code_fingerprint()) is None


def test_another_process_changes_nothing(tmp_path: Path) -> None:
    here = run_jobs(JOBS, processes=0, cache=None)
    there = run_jobs(JOBS, processes=1, cache=tmp_path)
    assert [outcome.traces for outcome in there] == [outcome.traces for outcome in here]


@pytest.fixture(scope="module")
def quick_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    cache = tmp_path_factory.mktemp("dfo")
    assert main([*QUICK, "--cache", str(cache)]) == 0
    return cache / "part"


def test_a_part_of_the_suite_is_recorded_beside_the_cache(quick_run: Path) -> None:
    record = json.loads((quick_run / RECORD).read_text())
    assert record["methods"] == list(METHODS)
    assert record["num_cases"] == 8
    assert record["rankings"]["all"]["num_blocks"] == 8
    assert record["rankings"]["by function"]["num_blocks"] == 2
    assert len(record["verdict"]) == 8
    assert {"commit", "machine", "versions", "command"} <= record.keys()
    pictures = {path.name for path in quick_run.glob("*.png")}
    assert pictures == {
        "dfo_critical_difference.png",
        "dfo_critical_difference_settings.png",
        "dfo_data_profiles.png",
        "dfo_performance_profiles.png",
    }


def read_table(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def test_tables_hold_every_case_and_curve(quick_run: Path) -> None:
    cases = read_table(quick_run / CASES)
    assert len(cases) == 8 * len(METHODS)
    assert {row["setting"]: row["runs"] for row in cases if row["method"] == "bfgs"} == {
        "smooth": "1",
        "nondifferentiable": "1",
        "deterministic-noise": "1",
        "stochastic": "2",
    }
    profiles = read_table(quick_run / PROFILES)
    assert len(profiles) == 4 * 3 * (51 + 33)
    for method in METHODS:
        shares = [float(row[method]) for row in profiles[:51]]
        assert shares == sorted(shares)


def test_the_page_takes_over_the_record(quick_run: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{START}\nold\n{END}\nafter\n")
    assert write_page(page, quick_run, check=True) == 1
    assert write_page(page, quick_run, check=False) == 0
    assert write_page(page, quick_run, check=True) == 0
    text = page.read_text()
    assert text.startswith("before\n") and text.endswith("\nafter\n")
    assert "Over all estimators, with the 2 functions as blocks" in text
    assert "| cma-es |" in text


def test_the_committed_page_is_up_to_date() -> None:
    assert write_page(ROOT / PAGE, RESULTS, check=True) == 0


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (["--methods", "cma-es", "snes"], "at least 3 --methods"),
        (["--problems", "07", "--settings", "smooth"], "at least 2 cases"),
        (["--seeds", "0"], "must be at least 1"),
        (["--problems", "54"], "invalid choice: '54'"),
    ],
)
def test_wrong_arguments_are_explained(
    wrong: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(wrong)
    assert message in capsys.readouterr().err


def test_tuning_ranks_every_candidate_once_per_case() -> None:
    jobs = tuning_jobs(seeds=1, simplex_gradients=2)
    assert len(jobs) == len(set(jobs))
    few = [job for job in jobs if job.problem == "beale" and job.setting == "smooth"]
    few = [job for job in few if job.method in ("forward-gaussian", "snes")]
    gaps = mean_log_gaps(few, run_jobs(few, processes=0, cache=None))
    assert len(gaps) == 48 + 4
    assert min(gaps.values()) == -7.0  # whoever found f_L


@pytest.mark.skipif(not (RESULTS / TUNING).exists(), reason="the tuning is not recorded")
def test_the_chosen_steps_are_the_best_of_the_record() -> None:
    table = json.loads((RESULTS / TUNING).read_text())["candidates"]
    best = {name: min(rows, key=lambda row: row["mean_log10_gap"]) for name, rows in table.items()}
    numbers = best.pop("gradient sensing")
    assert {key: numbers[key] for key in vars(STEP_RULE)} == vars(STEP_RULE)
    assert {name: row["stdev_init"] for name, row in best.items()} == STDEV_INIT

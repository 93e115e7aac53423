"""``python -m benchmarks.dfo``: runs that go on, records, pictures and the page."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.dfo import runner, tuning
from benchmarks.dfo.__main__ import main
from benchmarks.dfo.chosen_steps import STDEV_INIT, STEP_RULE
from benchmarks.dfo.methods import METHODS, chosen_steps
from benchmarks.dfo.options import parse, pictures_folder, record_folder
from benchmarks.dfo.orthogonality import is_power_of_two, largest_cosine
from benchmarks.dfo.page import PAGE, markers, write_page
from benchmarks.dfo.record import CASES, PROFILES, RECORD, answers
from benchmarks.dfo.runner import Job, code_fingerprint, read_outcome, run_jobs
from benchmarks.dfo.scores import Case
from benchmarks.dfo.tuning import TUNING, mean_log_gaps, tuning_jobs
from benchmarks.machine import RESULTS, ROOT
from structured_layers.errors import StructuredLayersError

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


@pytest.mark.parametrize("content", ['{"job": ', "{}", "[]", "null", "\x00"])
def test_a_broken_file_is_run_again(tmp_path: Path, content: str) -> None:
    first = run_jobs(JOBS[:1], processes=0, cache=tmp_path)
    JOBS[0].path(tmp_path).write_text(content)
    (again,) = run_jobs(JOBS[:1], processes=0, cache=tmp_path)
    assert again.traces == first[0].traces
    assert read_outcome(JOBS[0], tmp_path, code_fingerprint()) == again


@pytest.mark.parametrize("package", ["torch", "numpy", "scipy", "evotorch", "cmaes"])
def test_another_version_of_a_package_starts_anew(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, version = code_fingerprint(), runner.installed_version
    monkeypatch.setattr(
        runner, "installed_version", lambda name: "0" if name == package else version(name)
    )
    assert code_fingerprint() != before
    assert version("no-such-package") is None


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
    whole, orthogonal = record["verdict"].values()  # 07 and 11 have two and four variables
    assert len(whole["sentences"]) == 8
    assert whole == orthogonal
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
    sections = ["\nold\n".join(markers(section)) for section in ("dfo", "hadamard")]
    page.write_text("\n".join(["before", *sections, "after", ""]))
    assert write_page(page, quick_run, check=True) == 1
    assert write_page(page, quick_run, check=False) == 0
    assert write_page(page, quick_run, check=True) == 0
    text = page.read_text()
    assert text.startswith("before\n") and text.endswith("\nafter\n")
    assert "Over all estimators, with the 2 functions as blocks" in text
    assert "**All problems, 8 cases:**" in text
    assert "**Problems with n a power of two, 8 cases:**" in text
    assert "| cma-es |" in text
    assert "On 16 of the 53 problems n is a power of two (2, 4, 8)" in text


def test_the_committed_page_is_up_to_date() -> None:
    assert write_page(ROOT / PAGE, RESULTS, check=True) == 0


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (["--methods", "cma-es", "snes"], "at least 3 --methods"),
        (["--problems", "07", "--settings", "smooth"], "at least 2 cases"),
        (["--seeds", "0"], "must be at least 1"),
        (["--problems", "54"], "invalid choice: '54'"),
        (["--methods", "bfgs", "bfgs", "bfgs"], "--methods names bfgs more than once"),
        (["--problems", "01", "01", "--settings", "smooth"], "--problems names 01 more than once"),
        (["tune", "--problems", "01"], "tune takes no --problems, only --seeds, --budget"),
        (["pictures", "--seeds", "3"], "pictures takes no --seeds, only --out, --pictures"),
        (["page", "--methods", "bfgs"], "page takes no --methods, only --out, --check"),
        (["--check"], "run takes no --check"),
    ],
)
def test_wrong_arguments_are_explained(
    wrong: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(wrong)
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "different",
    [
        ["--budget", "20"],
        ["--seeds", "19"],
        ["--problems", "01", "02"],
        ["--settings", "smooth"],
        ["--methods", "bfgs", "snes", "pgpe"],
        ["tune", "--seeds", "1"],
        ["tune", "--budget", "2"],
    ],
)
def test_what_differs_from_the_whole_leaves_its_record_alone(different: list[str]) -> None:
    options = parse([*different, "--cache", "cache"])
    assert record_folder(options) == Path("cache/part")
    if options.action == "run":
        assert pictures_folder(options) == Path("cache/part")


@pytest.mark.parametrize("whole", [[], ["--budget", "100", "--seeds", "10"], ["pictures"]])
def test_the_whole_goes_into_the_documentation(whole: list[str]) -> None:
    options = parse(whole)
    assert record_folder(options) == RESULTS
    assert pictures_folder(options) == ROOT / "docs" / "assets"


def test_pictures_lie_beside_a_record_of_ones_own() -> None:
    for action in ("run", "pictures"):
        options = parse([action, "--out", "mine"])
        assert record_folder(options) == pictures_folder(options) == Path("mine")


def test_a_part_of_the_tuning_is_written_beside_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = Job("snes", "beale", "smooth", 1, 2, "held-out", steps=0.3)
    monkeypatch.setattr(tuning, "tuning_jobs", lambda seeds, budget: [job])
    size = ["--seeds", "1", "--budget", "2", "--processes", "0"]
    assert main(["tune", *size, "--cache", str(tmp_path)]) == 0
    written = json.loads((tmp_path / "part" / TUNING).read_text())
    assert (written["seeds"], written["simplex_gradients"]) == (1, 2)


def test_pictures_without_a_record_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StructuredLayersError, match="there is no record in .*dfo`, or name"):
        main(["pictures", "--out", str(tmp_path)])


def test_hadamard_blocks_are_orthogonal_for_powers_of_two_alone() -> None:
    dimensions = range(2, 13)
    orthogonal = [n for n in dimensions if largest_cosine(n) < 1e-12]
    assert orthogonal == [n for n in dimensions if is_power_of_two(n)] == [2, 4, 8]
    assert largest_cosine(9) == pytest.approx(7 / 9)


def test_a_verdict_counts_the_problems_that_it_names() -> None:
    gaps = np.random.default_rng(0).lognormal(size=(8, len(METHODS)))
    cases = [
        Case("smooth", str(n), f"f{n}", n, n, {method: [] for method in METHODS})
        for n in (2, 3, 4, 5, 8, 9, 11, 12)
    ]
    found = answers(cases, gaps, METHODS)
    whole, orthogonal = found["all problems"], found["problems with n a power of two"]
    assert (whole["num_cases"], orthogonal["num_cases"]) == (8, 3)
    assert (
        orthogonal
        == answers([c for c in cases if c.dimension in (2, 4, 8)], gaps[[0, 2, 4]], METHODS)[
            "all problems"
        ]
    )
    assert answers(cases, gaps[:, :3], METHODS[:3]) == {}  # not all nine combinations


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

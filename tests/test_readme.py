"""The README says what is true: its code runs, its commands and links exist, its tables are new."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tyro
from markdown_blocks import (
    PAGES,
    ROOT,
    commands,
    extras,
    local_links,
    make_targets,
    run_python_blocks,
)

from structured_layers.integrations.cli import main as structured_layers
from structured_layers.integrations.cli.compress import Compress
from structured_layers.integrations.cli.evaluate import Evaluate
from structured_layers.integrations.cli.report import Report
from structured_layers.integrations.cli.resume import Resume
from structured_layers.integrations.cli.train import Train

README = ROOT / "README.md"
SUBCOMMANDS = {
    "train": Train,
    "resume": Resume,
    "evaluate": Evaluate,
    "report": Report,
    "compress": Compress,
}
BIN = ".venv/bin/"
TABLE_PAGES = (
    "README.md",
    "docs/how_small.md",
    "docs/results.md",
    "docs/layers/learned.md",
    "docs/layers/speed.md",
    "docs/gradient_sensing.md",
    "docs/controllers.md",
    "docs/better_search.md",
    "docs/erl.md",
    "docs/es_enas_results.md",
    "docs/latent_evolution.md",
    "docs/simulation.md",
    "docs/search_results.md",
    "docs/weight_autoencoders.md",
)
TABLES = ROOT / "benchmarks" / "readme_tables.py"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_exist(page: Path) -> None:
    for words in commands(page):
        program, arguments = words[0].removeprefix(BIN), words[1:]
        if program == "make":
            assert set(arguments) <= make_targets() | {"PYTHON=python3.12"}, words
        elif program == "structured-layers":
            tyro.cli(SUBCOMMANDS[arguments[0]], args=arguments[1:])
        elif program in ("python", "python3"):
            check_python(arguments)
        else:
            assert program in ("export", "git", "pre-commit", "ray", "tensorboard"), words


def check_python(arguments: list[str]) -> None:
    if arguments[:3] == ["-m", "pip", "install"]:
        named = re.search(r"\[(.*)\]", arguments[-1])[1].split(",")
        assert set(named) <= extras()
        assert (ROOT / "constraints.txt").exists()
    elif arguments[0] != "-m":
        assert (ROOT / arguments[0]).is_file(), arguments


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_link_targets_exist(page: Path) -> None:
    for target in local_links(page):
        path = target.partition("#")[0]
        assert not path or (page.parent / path).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("target", ["demo", "test"])
def test_lines_without_make_are_the_makefiles(target: str) -> None:
    assert recipe(target) in [" ".join(words) for words in commands(README)]


def recipe(target: str) -> str:
    """Return the one command of a target as the README spells it."""
    makefile = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    line = re.search(rf"^{target}: .*\n\t(.*)$", makefile, re.MULTILINE)[1]
    pytest_line = re.search(r"^PYTEST := (.*)$", makefile, re.MULTILINE)[1]
    line = line.replace("$(PYTEST)", pytest_line).replace("$(BIN)/", BIN).replace('"', "")
    return " ".join(line.split())


def test_extras_are_the_makefiles() -> None:
    named = re.search(r"^EXTRAS := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1]
    assert any(f".[{named}]" in words for words in commands(README))


def test_python_blocks_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tiny = {"--total-steps": "1", "--num-actors": "0"}
    lines = [w for w in commands(README) if w[1:3] == ["train", "HalfCheetah-v5"]]
    assert len(lines) == 3
    for line in lines:
        words = [tiny.get(before, word) for before, word in zip(line, line[1:], strict=False)]
        assert structured_layers([*words, "--popsize", "2", "--center-evaluations", "1"]) == 0
    (tmp_path / "benchmarks").symlink_to(ROOT / "benchmarks")  # whose policies are read
    run_python_blocks(README)


def test_tables_are_up_to_date() -> None:
    result = tables("--check")
    assert result.returncode == 0, result.stdout + result.stderr


def test_tables_follow_the_records(tmp_path: Path) -> None:
    copy_pages(tmp_path)
    for seed in (0, 1):
        write_record(tmp_path, seed)
    assert tables("--check", "--root", str(tmp_path)).returncode == 1
    assert tables("--root", str(tmp_path)).returncode == 0
    assert tables("--check", "--root", str(tmp_path)).returncode == 0
    row = (
        "| Swimmer-v5 | chromatic | none (linear) | 8 of 16 | 50.0% | 340.0 ± 2.0; 341.0 ± 2.0 "
        "| 4,070,000 | 2 (0, 1) |"
    )
    for page in ("README.md", "docs/results.md"):
        assert row in (tmp_path / page).read_text()
    assert (tmp_path / "docs/assets/swimmer-1_weights.png").read_bytes() == b"picture"


def test_one_seed_is_said_as_one_seed(tmp_path: Path) -> None:
    copy_pages(tmp_path)
    write_record(tmp_path, seed=3)
    tables("--root", str(tmp_path))
    assert "| one (3) |" in (tmp_path / "README.md").read_text()


def test_speeds_are_in_the_tables(tmp_path: Path) -> None:
    copy_pages(tmp_path)
    speed = {
        **ORIGIN,
        "ratios": {"of raw mj_step": 0.912, "EvoTorch GymNE": 9.04},
        "controller_share": 0.021,
        "steps_per_second": {"search": [3.0, 1.0, 2.0], "raw mj_step": 4.0},
    }
    (tmp_path / "benchmarks/results").mkdir(parents=True)
    (tmp_path / "benchmarks/results/rollout_throughput.json").write_text(json.dumps(speed))
    imports = {**ORIGIN, "torch_ms": 1234.5, "structured_layers_ms": 21.4}
    (tmp_path / "benchmarks/results/import_time.json").write_text(json.dumps(imports))
    tables("--root", str(tmp_path))
    text = (tmp_path / "README.md").read_text()
    assert "| search | 2 |" in text
    assert "The search reaches 0.91 of raw mj_step, 9.0 times EvoTorch GymNE." in text
    assert "take 2.1% of the time." in text
    assert "takes 21 ms after `import torch`, which takes 1,234 ms." in text


def test_goals_stand_beside_what_was_measured(tmp_path: Path) -> None:
    copy_pages(tmp_path)
    rates = {"against": "bare mj_step", "ours": [9.0, 8.0], "other": [10.0]}
    rows = [
        {"row": "Swimmer", **rates, "value": 0.85, "goal": 0.75},
        {"row": "Hopper", **rates, "value": 0.85, "goal": 0.92},
        {"row": "falls", **rates, "value": 1.17, "goal": 1.15, "lower_is_better": True},
        {"row": "Peer", **rates, "value": 7.0, "goal": 7, "times": True},
        {"row": "memory", "against": "GB", "ours": [0.4], "value": 0.4, "goal": 1.0}
        | {"lower_is_better": True},
    ]
    speed = {**ORIGIN, "ratios": {}, "steps_per_second": {}, "rows": rows}
    (tmp_path / "benchmarks/results").mkdir(parents=True)
    (tmp_path / "benchmarks/results/rollout_throughput.json").write_text(json.dumps(speed))
    tables("--root", str(tmp_path))
    text = (tmp_path / "docs/results.md").read_text()
    assert "| Swimmer | bare mj_step | 8 | 10 | 0.85 | ≥ 0.75 | yes |" in text
    assert "| Hopper | bare mj_step | 8 | 10 | 0.85 | ≥ 0.92 | **no** |" in text
    assert "| falls | bare mj_step | 8 | 10 | 1.17 | ≤ 1.15 | **no** |" in text
    assert "| Peer | bare mj_step | 8 | 10 | 7.00 times | ≥ 7.00 times | yes |" in text
    assert "| memory | GB |  |  | 0.40 | ≤ 1.00 | yes |" in text


def test_a_page_needs_every_marker_once(tmp_path: Path) -> None:
    copy_pages(tmp_path)
    page = tmp_path / "docs/how_small.md"
    page.write_text(page.read_text().replace("results:start paper", "results:start papers"))
    result = tables("--root", str(tmp_path))
    assert result.returncode == 1
    assert "how_small.md needs <!-- results:start NAME -->" in result.stderr
    assert "'papers'" in result.stderr and "'paper'" in result.stderr


ORIGIN = {
    "command": "a command",
    "commit": "0" * 40,
    "machine": "a machine",
    "versions": {"torch": "1"},
}


def copy_pages(root: Path) -> None:
    (root / "docs" / "layers").mkdir(parents=True)
    for page in TABLE_PAGES:
        shutil.copy(ROOT / page, root / page)


def write_record(root: Path, seed: int) -> None:
    folder = root / "benchmarks" / "results" / f"swimmer-{seed}"
    folder.mkdir(parents=True)
    record = {
        **ORIGIN,
        "command": f"structured-layers train Swimmer-v5 --hidden 0 --seed {seed}",
        "env": "Swimmer-v5",
        "structure": "chromatic",
        "hidden": [],
        "seed": seed,
        "env_steps": 4_070_000,
        "training_seconds": 100.0,
        "weights": 8,
        "biases": 0,
        "dense_weights": 16,
        "paper_compression": 0.5,
        "bits": {"paper": 304},
        "num_episodes": 100,
        "return_mean": 340.0 + seed,
        "return_std": 2.0,
        "return_min": 330.0,
        "return_max": 350.0,
    }
    (folder / "record.json").write_text(json.dumps(record))
    (folder / "weights.png").write_bytes(b"picture")


def tables(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(TABLES), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)

"""The pages of the documentation say what is true: their code runs, their tables are complete."""

import dataclasses
import re
from pathlib import Path

import pytest
from markdown_blocks import ROOT, run_python_blocks

from structured_layers.integrations.cli import main as structured_layers
from structured_layers.integrations.cli.train import Train
from structured_layers.integrations.evotorch.progress import COLUMNS
from structured_layers.integrations.simulators import TASKS

DOCS = ROOT / "docs"
TINY = [
    *("train", "Swimmer-v5", "--hidden", "0", "--num-colors", "8", "--out", "runs/demo"),
    *("--total-steps", "1", "--popsize", "2", "--center-evaluations", "1"),
]


@pytest.fixture(scope="module")
def folder_with_a_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert structured_layers(TINY) == 0
    return folder


@pytest.mark.parametrize("page", sorted(path.name for path in DOCS.glob("*.md")))
def test_python_blocks_run(
    page: str, folder_with_a_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder_with_a_run)
    run_python_blocks(DOCS / page)


def test_runs_lists_every_flag_with_its_default() -> None:
    rows = re.findall(r"^\| `--([a-z-]+)` \| (.*?) \|", (DOCS / "runs.md").read_text(), re.M)
    fields = {f.name.replace("_", "-"): f for f in dataclasses.fields(Train) if f.name != "env"}
    assert [name for name, _ in rows] == list(fields)
    for name, written in rows:
        default = fields[name].default
        if default is not None:  # what stands for None is said in words
            assert written == spelled(default), name


def spelled(default: object) -> str:
    if isinstance(default, bool):
        return "on" if default else "off"
    if isinstance(default, tuple):
        return " ".join(str(part) for part in default)
    return f"{default:,}" if isinstance(default, int) else str(default)


def test_runs_lists_every_column() -> None:
    text = (DOCS / "runs.md").read_text()
    assert [name for name in COLUMNS if f"| `{name}` |" not in text] == []


def test_simulators_lists_every_task() -> None:
    text = (DOCS / "simulators.md").read_text()
    assert [name for name in TASKS if name not in text] == []

"""The comparison on scikit-learn's digits: it runs, and learned structures are worth learning."""

import json
import runpy
import subprocess
import sys
from pathlib import Path
from statistics import mean
from typing import Any

import pytest
import torch

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "examples" / "digits.py"


def test_the_example_prints_every_network(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, str(EXAMPLE), "--epochs", "1"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    rows = [line.split() for line in result.stdout.splitlines()[1:]]
    assert {row[0]: int(row[1]) for row in rows} == {
        "dense": 9472,
        "toeplitz": 328,
        "colors-random": 19,
        "colors-learned": 19,
        "edges-random": 500,
        "edges-learned": 500,
    }


@pytest.mark.parametrize("structure", ["colors", "edges"])
def test_learned_structures_beat_random_ones_after_few_epochs(structure: str) -> None:
    example = runpy.run_path(str(EXAMPLE))
    digits, args = example["load"](), example["Args"](epochs=15)
    accuracies = []
    for name in (f"{structure}-learned", f"{structure}-random"):
        torch.manual_seed(0)
        model = example["fit"](example["NETWORKS"][name](), digits, args)
        accuracies.append(example["accuracy"](model, digits))
    # Twice the standard error of a difference on 450 digits.
    assert accuracies[0] - accuracies[1] > 2 * (0.5 / 450) ** 0.5


def limits_from_accuracies(benchmark: dict[str, Any], record: dict[str, Any]) -> dict[str, bool]:
    results = record["results"].items()
    return benchmark["limits_of"]({name: mean(result["accuracies"]) for name, result in results})


def test_the_committed_record_keeps_all_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    benchmark = runpy.run_path(str(ROOT / "benchmarks" / "digits.py"))
    record = json.loads((ROOT / "benchmarks" / "results" / "digits.json").read_text())
    assert record["limits"] == limits_from_accuracies(benchmark, record)
    assert len(record["limits"]) == 3
    assert all(limit is True for limit in record["limits"].values())


def test_the_benchmark_writes_its_record(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    benchmark = runpy.run_path(str(ROOT / "benchmarks" / "digits.py"))
    benchmark["main"](num_seeds=1, epochs=1, folder=tmp_path)
    record = json.loads((tmp_path / "digits.json").read_text())
    assert record["results"]["colors-clustered"]["weights"] == 19
    assert len(record["results"]) == 11
    assert record["limits"] == limits_from_accuracies(benchmark, record)
    assert "learned edges above random ones" in capsys.readouterr().out

"""Every example runs to its end, from its own file and with the smallest of budgets."""

import subprocess
import sys
from pathlib import Path

import pytest
from markdown_blocks import ROOT

EXAMPLES = ROOT / "examples"
SHORT = ["--popsize", "2", "--generations", "1", "--episodes", "1", "--episode-length", "10"]
CASES = {
    "replace_linear_layer.py": (["--steps", "2"], "ChromaticLinear"),
    "es_halfcheetah.py": (SHORT, "over 1 fresh episodes"),
    "es_minitaur.py": (SHORT, "over 1 fresh episodes"),
    "es_enas_swimmer.py": ([*SHORT, "--center-evaluations", "1", "--out", "policy"], "policy: ret"),
    "latent_evolution.py": ([*SHORT, "--search", "ga"], "59 trained values decode to"),
    "weight_autoencoder.py": (
        ["--steps", "2", "--policies", "1", "--episodes", "1", "--episode-length", "10"],
        "11 times fewer numbers",
    ),
    "own_controller.py": (
        ["--popsize", "2", "--generations", "1", "--episode-length", "10"],
        "best structure",
    ),
    "erl.py": (
        ["--total-steps", "20", "--population-size", "2", "--episodes", "1"]
        + ["--episode-length", "10", "--layer", "toeplitz"],
        "20 steps of the learner",
    ),
    "digits.py": (["--epochs", "1"], "colors-learned"),
    "sb3_ppo.py": (["--total-steps", "256", "--episodes", "1"], "20 weights in the actor"),
    "cleanrl_ppo.py": (["--total-steps", "1024"], "20 weights, mean return"),
    "torchrl_ppo.py": (["--total-steps", "512", "--batch-steps", "512"], "259 weights, mean"),
    "pgpe_toeplitz.py": ([*SHORT, "--env", "Hopper-v5", "--popsize", "4"], "Hopper-v5: return"),
}


def test_every_example_is_run() -> None:
    assert sorted(CASES) == sorted(path.name for path in EXAMPLES.glob("*.py"))


@pytest.mark.parametrize("name", CASES)
def test_example(name: str, tmp_path: Path) -> None:
    arguments, expected = CASES[name]
    result = subprocess.run(
        [sys.executable, str(EXAMPLES / name), *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert expected in result.stdout


def test_a_controller_of_ones_own_is_short() -> None:
    text = (EXAMPLES / "own_controller.py").read_text()
    body = text[text.index("class HillClimbing") : text.index("def main")]
    assert len([line for line in body.splitlines() if line.strip()]) <= 20


@pytest.mark.parametrize("name", CASES)
def test_example_is_short(name: str) -> None:
    assert len((EXAMPLES / name).read_text().splitlines()) < 120

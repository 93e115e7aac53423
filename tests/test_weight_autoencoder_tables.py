"""The page on weight autoencoders says what its record says; a case of the benchmark runs."""

import sys
from pathlib import Path

import pytest
import torch
from markdown_blocks import ROOT
from zoo_cases import small_zoo

MODULES = (
    "autoencoder_cases", "autoencoder_pictures", "autoencoder_tables", "hopper_zoo",
    "hopper_zoo_file", "weight_autoencoders", "zoo_returns",
)  # fmt: skip
TINY = {"steps": 2, "refine": 1, "shown": 2, "episodes": 1, "episode_length": 5}
ORIGIN = {
    "command": "python x.py", "commit": "0" * 40, "machine": "a machine", "versions": {},
    "solved": 1000.0, "options": {"shown": 24, "episodes": 5},
    "zoo": {
        "policies": 3, "runs": 2, "solved": 1, "returns": [1.0, 2.0, 3.0, 4.0, 5.0], "env_steps": 7,
    },
}  # fmt: skip


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    yield
    for name in MODULES:
        sys.modules.pop(name, None)


def case(layers: str, method: str, ratio: float, compression: float) -> dict:
    """Return a case in which three test policies of return 100 keep about that share of it."""
    test = {"input": [100.0] * 3, "decoded": [0.0, 100 * ratio, 200.0], "refined": [100.0] * 3}
    return {
        "selection": "all", "groups": "networks", "layers": layers, "aligned": False,
        "sizes": dict.fromkeys(layers.split("+"), 32), "method": method, "test": test,
        "compression": compression, "seconds": 601.0,
    }  # fmt: skip


def parts_of(cases: list[dict]) -> dict[str, str]:
    from autoencoder_tables import autoencoder_parts

    record = {**ORIGIN, "cases": {str(i): found for i, found in enumerate(cases)}}
    return {name: "\n".join(lines) for name, lines in autoencoder_parts(record).items()}


def test_nothing_is_recorded() -> None:
    from autoencoder_tables import autoencoder_parts

    assert set(map("\n".join, autoencoder_parts(None).values())) == {"Nothing is recorded yet.\n"}


@pytest.mark.parametrize(
    ("ratio", "compression", "verdict"),
    [
        (0.90, 8.0, "0.90 | 1.00 | by the encoder and refined |"),
        (0.89, 8.0, "0.89 | 1.00 | refined |"),
    ],
)
def test_the_goal_of_a_layer(ratio: float, compression: float, verdict: str) -> None:
    parts = parts_of([case("0", "autoencoder", ratio, compression)])
    assert f"| all | networks | a layer at ≥ 8 ×: median ≥ 0.9 | {verdict}" in parts["verdict"]
    assert "took 601 s on one core; goal, at most 600 s on two: not reached" in parts["verdict"]


def test_what_compresses_too_little_does_not_count() -> None:
    parts = parts_of([case("0", "autoencoder", 1, 7.9), case("0+2", "autoencoder", 0.69, 4.0)])
    assert "a layer at" not in parts["verdict"]
    assert "all layers at ≥ 4 ×: median ≥ 0.7 | 0.69 | 1.00 | refined |" in parts["verdict"]


def test_methods_stand_beside_each_other() -> None:
    parts = parts_of([case("0", "PCA", 0.4, 11), case("0", "autoencoder", 0.8, 11)])
    row = "| `0` | 32 | 11.0 × | as they are | 0.80 (0.40 to 1.40) | 1.00 (1.00 to 1.00) | 0.40 ("
    assert row in parts["all-networks"]
    assert parts["all-runs"] == "Nothing is recorded yet.\n"


@pytest.mark.parametrize(("method", "aligned"), [("autoencoder", True), ("PCA", False)])
def test_a_case_runs(tmp_path: Path, method: str, aligned: bool) -> None:
    from autoencoder_cases import Case
    from weight_autoencoders import run_case

    small_zoo(hidden=(32,), inputs=11, outputs=3).save(tmp_path / "zoo.safetensors")
    planned = Case("all", "runs", (("0", 64), ("2", 16)), aligned, method)
    found = run_case(planned, tmp_path / "zoo.safetensors", TINY)
    assert {len(found["test"][kind]) for kind in ("input", "decoded", "refined")} == {2}
    assert found["compression"] == (352 + 96) / 80
    assert ("looks" in found) == (method == "autoencoder")
    assert planned.name == f"all-runs-0+2-64+16-{'aligned' if aligned else 'as-is'}-{method}"


def test_cases_have_names_of_their_own() -> None:
    from autoencoder_cases import planned_cases

    names = [planned.name for planned in planned_cases()]
    assert len(names) == len(set(names)) == 4 * 3 * 2 * 3 + 3 * 2 + 3 * 3 * 2 * 3


def test_policies_that_do_the_same_count_once() -> None:
    from hopper_zoo_file import different

    outputs = torch.tensor([[[0.5]], [[0.51]], [[0.9]], [[7.0]], [[9.0]]])
    assert different(outputs).tolist() == [True, False, True, True, False]


def test_a_run_gives_policies_on_the_shared_normaliser(tmp_path: Path) -> None:
    from hopper_zoo import SPEC
    from hopper_zoo_file import folded_weights, read_runs, shared_normalizer

    from structured_layers.files import write_tensors

    draws = torch.Generator().manual_seed(0)
    entry = {
        "weights": torch.randn(483, generator=draws),
        "observation_mean": torch.randn(11, generator=draws).double(),
        "observation_std": torch.rand(11, generator=draws).double() + 0.5,
        "env_steps": torch.tensor(7),
    }
    for seed in (3, 4):
        tensors = {f"0.{name}": value + (seed == 4) for name, value in entry.items()}
        write_tensors(tmp_path / f"seed{seed:02d}.safetensors", tensors)
    policies = read_runs(tmp_path)
    assert [int(policy["run"]) for policy in policies] == [3, 4]
    mean, std = shared_normalizer()
    rows = folded_weights(policies, (mean, std))
    network, states = SPEC.build(), torch.randn(5, 11, generator=draws).double()

    def act(row: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
        torch.nn.utils.vector_to_parameters(row, network.parameters())
        return network(inputs.float()).detach()

    for policy, row in zip(policies, rows, strict=True):
        own = (states - policy["observation_mean"]) / policy["observation_std"]
        found = act(row, (states - mean) / std)
        torch.testing.assert_close(found, act(policy["weights"], own), atol=1e-4, rtol=1e-4)

"""``structured-layers compress``."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("stable_baselines3")
pytest.importorskip("sb3_contrib")

from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecNormalize

from structured_layers.integrations.cli import main


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """A small model with a normalizer."""
    env = VecNormalize(make_vec_env("CartPole-v1", n_envs=2, seed=0))
    arguments: dict[str, Any] = {"n_steps": 32, "batch_size": 32, "n_epochs": 1}
    model = PPO("MlpPolicy", env, device="cpu", policy_kwargs={"net_arch": [8]}, **arguments).learn(
        64
    )
    model.save(tmp_path / "model.zip")
    env.save(str(tmp_path / "stats.pkl"))
    return tmp_path


def run(folder: Path, *words: str) -> int:
    files = [str(folder / "model.zip"), "--out", str(folder / "out")]
    quick = "--env CartPole-v1 --device cpu --episodes 2 --num-envs 2 --states 32 --updates 5"
    algorithm = [] if "--algo" in words else ["--algo", "ppo"]
    return main(["compress", *files, *quick.split(), *algorithm, *words])


def test_one_structure(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stats = str(trained / "stats.pkl")
    code = run(trained, "--vecnormalize", stats, "--num-colors", "3", "--fine-tune-steps", "64")
    assert code == 0
    printed = capsys.readouterr()
    assert "chromatic-3" in printed.out and printed.err == ""
    loaded = PPO.load(trained / "out" / "model.zip", device="cpu")
    assert loaded.policy.structure["num_colors"] == 3
    assert (trained / "out" / "vecnormalize.pkl").exists()
    rows = json.loads((trained / "out" / "compression.json").read_text())["rows"]
    assert [row["name"] for row in rows] == ["dense", "chromatic-3"]
    assert rows[0]["tuned"] is None and rows[1]["tuned"] is not None
    assert run(trained, "--num-colors", "3") == 2
    assert "holds model.zip, vecnormalize.pkl, compression.json" in capsys.readouterr().err


def test_a_sweep_and_a_missing_normalizer(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(trained, "--sweep") == 0
    printed = capsys.readouterr()
    assert "trained with a VecNormalize" in " ".join(printed.err.split())
    names = {path.name for path in (trained / "out").iterdir()}
    assert {"sweep.json", "sweep.csv", "return_against_bits.png", "toeplitz"} <= names


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--algo", "sac"], "seems to be a model of PPO, not of SAC; give --algo ppo"),
        (["--device", "banana"], "--device must be auto or a device of PyTorch"),
        (["--seed", "-1"], "seed must be an integer of at least 0, got -1"),
        (["--fine-tune-steps", "8", "--learning-rate", "-1"], "finite number above 0, got -1.0"),
        (["--learning-rate", "0.1"], "--learning-rate goes with --fine-tune-steps"),
        (["--replay-buffer", "b.pkl", "--fine-tune-steps", "8"], "PPO has none"),
        (["--env", "Pendulum-v1"], "spaces do not match"),
        (["--env", "NoSuchEnv-v0"], "NoSuchEnv-v0 cannot be made"),
        (["--layer", "toeplitz", "--num-colors", "4"], "--num-colors goes with --layer chromatic"),
        (["--sweep", "--rank", "4"], "--rank goes without --sweep"),
        (["--num-colors", "1000"], "num_colors must be between 1 and 48"),
        (["--target", "decoder"], "action_net"),
        (["--vecnormalize", "nowhere.pkl"], "nowhere.pkl does not exist"),
        (["--num-envs", "0"], "num_envs must be at least 1"),
    ],
)
def test_errors_are_one_line(
    trained: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(trained, *words) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: ") and message in error
    assert not (trained / "out").exists()


def test_a_zip_of_another_version_says_which(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = trained / "old" / "model.zip"
    old.parent.mkdir()
    with zipfile.ZipFile(trained / "model.zip") as source, zipfile.ZipFile(old, "w") as made:
        for name in source.namelist():
            content = source.read(name)
            if name == "system_info.txt":
                content = b"- Python: 3.6.9\n- Stable-Baselines3: 1.2.0\n- Gym: 0.19.0\n"
            if name == "data":
                content = content.replace(b"policy_class", b"policy_klass")
            made.writestr(name, content)
    assert run(old.parent) == 2
    error = " ".join(capsys.readouterr().err.split())
    assert "saved with Python: 3.6.9, Stable-Baselines3: 1.2.0, Gym: 0.19.0" in error
    assert "here are Stable-Baselines3 2." in error


def test_no_zip(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (trained / "model.zip").write_bytes(b"nothing")
    assert run(trained) == 2
    assert "is no zip" in capsys.readouterr().err
    (trained / "model.zip").unlink()
    assert run(trained) == 2
    assert "does not exist" in capsys.readouterr().err

"""The files that ``structured-layers compress`` reads, and those that it must not overwrite."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("stable_baselines3")
pytest.importorskip("sb3_contrib")

import sb3_contrib
import stable_baselines3
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.save_util import load_from_zip_file

from structured_layers import StructuredLayersError
from structured_layers.integrations.cli import main
from structured_layers.integrations.cli.compress_output import check_output
from structured_layers.integrations.cli.sb3_models import CLASSES
from structured_layers.integrations.cli.sb3_origin import algorithm_of

REPLAY: dict[str, Any] = {"learning_starts": 10, "buffer_size": 200, "batch_size": 8}
OFF_POLICY = ("crossq", "ddpg", "dqn", "qrdqn", "sac", "td3", "tqc")
DISCRETE = ("dqn", "maskable_ppo", "qrdqn")


def untrained(name: str, **keywords: Any) -> Any:
    package, cls = CLASSES[name]
    algorithm = getattr(stable_baselines3 if package == "stable_baselines3" else sb3_contrib, cls)
    policy = "MlpLstmPolicy" if name == "ppo_lstm" else "MlpPolicy"
    env = "CartPole-v1" if name in DISCRETE else "Pendulum-v1"
    kwargs = {} if name == "ars" else {"policy_kwargs": {"net_arch": [4]}}
    replay = REPLAY if name in OFF_POLICY else {}
    return algorithm(policy, env, device="cpu", **{**kwargs, **replay, **keywords})


def run(zip_file: Path, algo: str, out: Path, *words: str) -> int:
    quick = "--layer toeplitz --env Pendulum-v1 --device cpu --episodes 1 --states 8 --updates 1"
    files = [str(zip_file), "--algo", algo, "--out", str(out)]
    return main(["compress", *files, *quick.split(), *words])


def last_line(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().err.strip().splitlines()[-1]


@pytest.mark.parametrize("name", CLASSES)
def test_a_zip_tells_its_algorithm(name: str, tmp_path: Path) -> None:
    untrained(name).save(tmp_path / "model.zip")
    data, _, _ = load_from_zip_file(tmp_path / "model.zip", device="cpu")
    assert algorithm_of(data) == name


def test_a_custom_policy_tells_its_algorithm_too() -> None:
    class Own(sb3_contrib.tqc.policies.TQCPolicy):
        pass

    assert algorithm_of({"policy_class": Own, "target_entropy": -1.0}) == "tqc"
    assert algorithm_of({"policy_class": Own.__base__.__base__, "clip_range": 0.2}) == "ppo"
    assert algorithm_of({"gamma": 0.9}) is None


@pytest.mark.parametrize(("saved", "algo"), [("sac", "tqc"), ("td3", "ddpg"), ("a2c", "ppo")])
def test_the_wrong_algorithm_is_refused(
    saved: str, algo: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    untrained(saved).save(tmp_path / "model.zip")
    assert run(tmp_path / "model.zip", algo, tmp_path / "out") == 2
    assert f"give --algo {saved}" in last_line(capsys)


def test_own_files_stay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    untrained("ppo").save(tmp_path / "best_model.zip")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "vecnormalize.pkl").write_bytes(b"mine")
    assert run(tmp_path / "best_model.zip", "ppo", tmp_path) == 2
    assert "best_model.zip lies where the output goes" in last_line(capsys)
    assert run(tmp_path / "best_model.zip", "ppo", tmp_path / "other") == 2
    assert "holds a vecnormalize.pkl already; choose another --out" in last_line(capsys)
    assert (tmp_path / "other" / "vecnormalize.pkl").read_bytes() == b"mine"
    assert run(tmp_path / "best_model.zip", "ppo", tmp_path / "best_model.zip" / "out") == 2
    assert "best_model.zip is a file, but --out needs a folder" in last_line(capsys)


@pytest.mark.parametrize("name", ["sweep.csv", "return_against_bits.png", "toeplitz/model.zip"])
def test_a_sweep_overwrites_nothing_and_goes_on(name: str, tmp_path: Path) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
    with pytest.raises(StructuredLayersError, match=rf"holds a {Path(name).name} already"):
        check_output(tmp_path, (), sweep=True)
    check_output(tmp_path, (), sweep=False)
    (tmp_path / "sweep.json").touch()
    check_output(tmp_path, (Path("elsewhere.zip"), None), sweep=True)
    for taken in (tmp_path / "toeplitz" / "model.zip", tmp_path / "model.zip"):
        with pytest.raises(StructuredLayersError, match="lies where the output goes"):
            check_output(tmp_path, (taken,), sweep=True)
    check_output(tmp_path, (tmp_path / "ppo" / "model.zip",), sweep=True)


def test_models_that_cannot_be_fine_tuned(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    noise = NormalActionNoise(np.zeros(1), np.ones(1))
    untrained("td3", train_freq=(1, "episode")).save(tmp_path / "whole.zip")
    noisy = untrained("td3", action_noise=noise)
    noisy.action_noise = stable_baselines3.common.noise.VectorizedActionNoise(noise, 2)
    noisy.save(tmp_path / "noisy.zip")
    for name, count in (("whole", 1), ("noisy", 2)):
        words = ("--fine-tune-steps", "8", "--num-envs", "3")
        assert run(tmp_path / f"{name}.zip", "td3", tmp_path / "out", *words) == 2
        assert f"--num-envs {count}" in last_line(capsys)
        assert not (tmp_path / "out").exists()


def test_a_replay_buffer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = untrained("td3").learn(20)
    model.save(tmp_path / "model.zip")
    model.save_replay_buffer(tmp_path / "buffer.pkl")
    words = ("--fine-tune-steps", "8", "--num-envs", "1")
    assert run(tmp_path / "model.zip", "td3", tmp_path / "without", *words) == 0
    assert "zips hold no replay buffer" in capsys.readouterr().err
    words = (*words, "--replay-buffer", str(tmp_path / "buffer.pkl"))
    assert run(tmp_path / "model.zip", "td3", tmp_path / "with", *words) == 0
    assert capsys.readouterr().err == ""
    shutil.copy(tmp_path / "model.zip", tmp_path / "buffer.pkl")
    assert run(tmp_path / "model.zip", "td3", tmp_path / "wrong", *words) == 2
    assert "cannot be loaded as a replay buffer" in last_line(capsys)
    untrained("dqn").save_replay_buffer(tmp_path / "buffer.pkl")
    assert run(tmp_path / "model.zip", "td3", tmp_path / "wrong", *words) == 2
    assert "is the replay buffer of another environment" in last_line(capsys)

"""Where a run of the benchmark of ERL says that it comes from, and what it goes on with."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from markdown_blocks import ROOT


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    module = importlib.import_module("erl")
    monkeypatch.setattr(module, "describe_origin", lambda command, _: {"command": command})
    yield module
    for name in ("erl", "erl_methods", "erl_learners", "folder_digest"):
        sys.modules.pop(name, None)


def arguments(**changes: Any) -> argparse.Namespace:
    usual = {"total_steps": 200_000, "num_episodes": 100, "autoencoder": None}
    return argparse.Namespace(**{**usual, **changes})


def test_a_record_names_its_command_and_autoencoder(benchmark: Any, tmp_path: Path) -> None:
    (tmp_path / "decoder").write_bytes(b"abc")
    usual = benchmark._origin("td3", 1, arguments(autoencoder=tmp_path))
    assert usual["command"] == "python benchmarks/erl.py --only td3 --seeds 1"
    assert usual["autoencoder"] is None
    other = benchmark._origin(
        "erl-latent", 0, arguments(autoencoder=tmp_path, total_steps=5, num_episodes=2)
    )
    assert other["command"].endswith(
        f"--seeds 0 --autoencoder {tmp_path} --total-steps 5 --num-episodes 2"
    )
    assert list(other["autoencoder"]) == ["decoder"]
    assert other["autoencoder"]["decoder"].startswith("ba7816bf")  # SHA-256 of abc


def test_a_run_goes_on_with_what_it_began_with_only(benchmark: Any, tmp_path: Path) -> None:
    class Loaded:
        def load(self, folder: Path) -> None:
            self.folder = folder

    origin = benchmark._origin("td3", 0, arguments())
    progress = benchmark._resume(Loaded(), tmp_path, origin)
    assert progress["curve"] == []
    (tmp_path / "progress.json").write_text(json.dumps({**progress, "saved": "odd"}))
    trained = Loaded()
    benchmark._resume(trained, tmp_path, origin)
    assert trained.folder == tmp_path / "odd"
    with pytest.raises(SystemExit, match="another total_steps"):
        other = benchmark._origin("td3", 0, arguments(total_steps=5))
        benchmark._resume(Loaded(), tmp_path, other)

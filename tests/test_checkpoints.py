"""A checkpoint is whole or not there, and gives back what was written."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from structured_layers import CheckpointError, StructuredLayersError
from structured_layers import files as files_module
from structured_layers.algorithms import checkpoints
from structured_layers.algorithms.checkpoints import read_checkpoint, write_checkpoint
from structured_layers.files import MAX_JSON, json_digest

STATE = {
    "center": torch.tensor([1.0, -0.0, torch.inf, torch.nan]),
    "double": torch.tensor([0.1], dtype=torch.float64),
    "empty": torch.empty(0, 3, dtype=torch.int64),
    "scalar": torch.tensor(-torch.inf, dtype=torch.float64),
    "transposed": torch.arange(6).view(2, 3).T,
    "generator": torch.Generator().manual_seed(5).get_state(),
    "problem": {
        "env_steps": 2**53 + 1,
        "seconds": 0.1 + 0.2,
        "name": "Swimmer-v5 ä",
        "nothing": None,
        "done": True,
        "sizes": [1, 2.5, "three"],
        "normalizer": {"sum": torch.ones(2), "count": 3},
        "center": torch.zeros(2),
        "empty": {},
    },
}


def assert_same(actual: object, expected: object) -> None:
    if isinstance(expected, dict):
        assert isinstance(actual, dict)
        assert list(actual) == list(expected)
        for key, value in expected.items():
            assert_same(actual[key], value)
    elif isinstance(expected, torch.Tensor):
        assert (actual.dtype, actual.shape) == (expected.dtype, expected.shape)
        assert actual.contiguous().numpy().tobytes() == expected.contiguous().numpy().tobytes()
    else:
        assert (type(actual), actual) == (type(expected), expected)


def files(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def test_everything_comes_back_as_it_was(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "new" / "folder", STATE, number=7)
    assert_same(read_checkpoint(tmp_path / "new" / "folder"), STATE)


def test_tensors_of_one_storage_are_apart_afterwards(tmp_path: Path) -> None:
    shared = torch.arange(4.0)
    write_checkpoint(tmp_path, {"a": shared, "b": shared, "c": shared[1:3]}, number=0)
    state = read_checkpoint(tmp_path)
    state["a"].zero_()
    assert_same(state, {"a": torch.zeros(4), "b": shared, "c": shared[1:3]})


def test_writing_changes_nothing_of_the_state(tmp_path: Path) -> None:
    state = {"a": {"b": torch.ones(2)}}
    write_checkpoint(tmp_path, state, number=0)
    assert_same(state, {"a": {"b": torch.ones(2)}})


def test_a_new_checkpoint_replaces_the_old_one(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, {"value": torch.zeros(1)}, number=1)
    write_checkpoint(tmp_path, {"value": torch.ones(1)}, number=2)
    assert files(tmp_path) == ["state-2.safetensors", "state.json"]
    assert_same(read_checkpoint(tmp_path), {"value": torch.ones(1)})


@pytest.mark.parametrize("failing", ["state-2.safetensors", "state.json"])
def test_a_write_that_fails_leaves_the_old_checkpoint(
    failing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_checkpoint(tmp_path, STATE, number=1)
    replace = os.replace

    def fail(source: Path, target: Path) -> None:
        if target.name == failing:
            raise OSError("no space left")
        replace(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", fail)
        with pytest.raises(OSError, match="no space left"):
            write_checkpoint(tmp_path, {"value": torch.ones(1)}, number=2)
    assert_same(read_checkpoint(tmp_path), STATE)
    assert not list(tmp_path.glob(".*"))


def test_a_death_between_the_two_files_leaves_the_old_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def die(*arguments: object) -> None:
        raise Killed

    write_checkpoint(tmp_path, STATE, number=1)
    with monkeypatch.context() as patched:
        patched.setattr(checkpoints, "write_sealed_json", die)
        with pytest.raises(Killed):
            write_checkpoint(tmp_path, {"value": torch.ones(1)}, number=2)
    assert_same(read_checkpoint(tmp_path), STATE)
    write_checkpoint(tmp_path, {"value": torch.ones(1)}, number=3)
    assert files(tmp_path) == ["state-3.safetensors", "state.json"]


def test_a_death_before_the_old_file_is_gone_leaves_the_new_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Path, missing_ok: bool = False) -> None:
        if not missing_ok:
            raise OSError("killed")
        if self.exists():
            os.unlink(self)

    write_checkpoint(tmp_path, {"value": torch.zeros(1)}, number=1)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", fail)
        with pytest.raises(OSError, match="killed"):
            write_checkpoint(tmp_path, STATE, number=2)
    assert_same(read_checkpoint(tmp_path), STATE)


def test_the_same_number_twice(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, STATE, number=1)
    write_checkpoint(tmp_path, {"value": torch.ones(1)}, number=1)
    assert_same(read_checkpoint(tmp_path), {"value": torch.ones(1)})


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def edit(folder: Path, **changes: object) -> None:
    write(folder / "state.json", {**json.loads((folder / "state.json").read_text()), **changes})


def drop(folder: Path, key: str) -> None:
    path = folder / "state.json"
    data = json.loads(path.read_text())
    del data[key]
    write(path, data)


def write(path: Path, data: dict[str, object]) -> None:
    """Write JSON whose checksum is right, or the one that is given."""
    seal = "" if data["seal"] == "" else json_digest(data)
    path.write_text(json.dumps({**data, "seal": seal}))


def replace_by_pipe(path: Path) -> None:
    """Whoever opens it waits for a writer that never comes."""
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "state.json").unlink(), "state.json does not exist, so this is not a"),
        (lambda f: cut(f / "state-1.safetensors"), "state-1.safetensors is missing, cut off"),
        (lambda f: flip(f / "state-1.safetensors"), "checksum is wrong"),
        (lambda f: (f / "state-1.safetensors").unlink(), "state-1.safetensors is missing"),
        (lambda f: (f / "state.json").write_text('{"format": '), "cut off or not JSON"),
        (lambda f: (f / "state.json").write_bytes(b""), "cut off or not JSON"),
        (lambda f: edit(f, format="structured-layers policy"), "not a structured-layers checkp"),
        (lambda f: (f / "state.json").write_text("null"), "is not a structured-layers checkpoint"),
        (lambda f: edit(f, version=3), "has version 3, .* up to 2; upgrade structured-layers"),
        (lambda f: drop(f, "version"), "has version None"),
        (lambda f: drop(f, "sha256"), "not a whole checkpoint: 'sha256' is missing"),
        (lambda f: drop(f, "state"), "'state' is missing"),
        (lambda f: edit(f, state={"a": {"$tensor": "lost"}}), "'lost' is missing"),
        (lambda f: edit(f, tensors="../state-1.safetensors"), "is no name of a tensor file"),
        (lambda f: edit(f, seal=""), "state.json was changed, .* its checksum is wrong"),
        (lambda f: (f / "state.json").write_text("[" * 100_000), "cut off or not JSON"),
        (lambda f: os.truncate(f / "state.json", 2**34), "has 17179869184 bytes, at most"),
        (lambda f: os.truncate(f / "state-1.safetensors", 2**34), "the file has 17179869184"),
        (lambda f: replace_by_pipe(f / "state.json"), "it is no regular file"),
        (lambda f: replace_by_pipe(f / "state-1.safetensors"), "it is no regular file"),
    ],
)
def test_bad_files(damage: Callable[[Path], object], message: str, tmp_path: Path) -> None:
    write_checkpoint(tmp_path, {"value": torch.ones(3)}, number=1)
    damage(tmp_path)
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(tmp_path)


def grow(path: Path, size: int) -> None:
    """Let the last tensor's entry, and the file, be so large: both fit each other."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header["value"] |= {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text)
    os.truncate(path, 8 + len(text) + size)


@pytest.mark.parametrize("size", [100, 200 * 2**30])
def test_a_file_that_says_itself_that_it_is_larger_is_not_read(
    size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_checkpoint(tmp_path, {"value": torch.ones(3)}, number=1)
    grow(tmp_path / "state-1.safetensors", size)
    monkeypatch.setattr(files_module, "load", None)
    with pytest.raises(CheckpointError, match=f"{size} bytes of numbers, 12 belong to it"):
        read_checkpoint(tmp_path)


def test_a_file_without_a_known_size_that_does_not_fit_into_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(data: bytes) -> None:
        raise MemoryError

    write_checkpoint(tmp_path, {"value": torch.ones(3)}, number=1)
    drop(tmp_path, "bytes")
    assert_same(read_checkpoint(tmp_path), {"value": torch.ones(3)})
    monkeypatch.setattr(files_module, "load", fail)
    with pytest.raises(CheckpointError, match="state-1.safetensors is missing, cut off or not"):
        read_checkpoint(tmp_path)


def test_what_would_not_be_read_is_not_written(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, STATE, number=1)
    with pytest.raises(StructuredLayersError, match="bytes, at most 1048576 are read"):
        write_checkpoint(tmp_path, {"text": "x" * MAX_JSON}, number=2)
    assert_same(read_checkpoint(tmp_path), STATE)


def test_a_half_written_json_file_is_noticed_wherever_it_ends(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, STATE, number=1)
    path = tmp_path / "state.json"
    data = path.read_bytes()
    for length in np.linspace(0, len(data) - 2, 30).astype(int):
        path.write_bytes(data[:length])
        with pytest.raises(CheckpointError):
            read_checkpoint(tmp_path)


@pytest.mark.parametrize("value", [float("nan"), object(), np.float32(1)])
def test_a_state_that_json_cannot_hold_is_not_written(value: object, tmp_path: Path) -> None:
    write_checkpoint(tmp_path, STATE, number=1)
    with pytest.raises((TypeError, ValueError)):
        write_checkpoint(tmp_path, {"value": value}, number=2)
    assert_same(read_checkpoint(tmp_path), STATE)

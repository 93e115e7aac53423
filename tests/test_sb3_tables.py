"""Tables and sentences about Stable-Baselines3 policies say what their records hold."""

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from markdown_blocks import ROOT, blocks

pytest.importorskip("stable_baselines3")

FOUR_COLORS = {"layer": "chromatic", "num_colors": 4, "learn_colors": True}


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import sb3_pages

    return sb3_pages


def write_run(results: Path, task: str, label: str, seed: int, mean: float, **fields: Any) -> None:
    folder = results / "sb3" / f"{task}-{label}-seed{seed}"
    folder.mkdir(parents=True)
    record = {
        "task": task, "env": "An-v0", "algo": "ppo", "structure": None, "net_arch": None,
        "seed": seed, "env_steps": 1_000_000, "training_seconds": 300.0, "machine": "a machine",
        "num_episodes": 100, "return_mean": mean, "return_std": 1.0, "weights": 5568,
        "biases": 134, "bits": {"paper": 1, "entropy": 182_464},
    }  # fmt: skip
    curve = fields.pop("curve", [(5_000, mean)])
    (folder / "record.json").write_text(json.dumps({**record, **fields}))
    lines = ["env_steps,return_mean,return_std", *(f"{s},{m},0" for s, m in curve)]
    (folder / "progress.csv").write_text("\n".join(lines) + "\n")


def write_sweep(results: Path, name: str, returns: dict[str, tuple[dict[str, Any], float]]) -> None:
    folder = results / "sb3" / name
    folder.mkdir(parents=True)
    rows = [
        {
            "name": row, "structure": structure, "weights": 20, "biases": 3,
            "bits": {"paper": 9, "entropy": 10 + place}, "seconds": 1.0,
            "projected": None if row == "dense" else {"mean": -0.1, "std": 1.0},
            "distilled": {"mean": 0.5 * mean if row != "dense" else 1000.0, "std": 1.0},
            "tuned": {"mean": mean, "std": 4.0},
        }
        for place, (row, (structure, mean)) in enumerate(returns.items())
    ]  # fmt: skip
    settings = {"fine_tune_steps": 200_000, "num_episodes": 16}
    data = {"format": "structured-layers sweep", "version": 1, "settings": settings, "rows": rows}
    (folder / "sweep.json").write_text(json.dumps(data))
    origin = {"command": "a command", "model": "halfcheetah-long-dense-seed0"}
    (folder / "origin.json").write_text(json.dumps(origin))


def chromatic(num_colors: int, **keywords: Any) -> dict[str, Any]:
    return {"layer": "chromatic", "num_colors": num_colors, **keywords}


def test_pages_stand_without_any_record(pages: ModuleType, tmp_path: Path) -> None:
    parts = pages.how_small_parts(tmp_path)
    assert parts["sweep"] == ["No sweep is recorded yet.", ""]
    for task in ("scratch", "cartpole", "pendulum", "mountaincar", "overhead"):
        assert parts[task] == ["Nothing is recorded yet.", ""]
    assert parts["picture"] == parts["colors"] == parts["paper"] == []
    assert pages.readme_parts(tmp_path)["compression"] == ["Nothing is recorded yet.", ""]
    assert pages.pictures(tmp_path) == {}


def test_an_unfinished_sweep_is_left_out(pages: ModuleType, tmp_path: Path) -> None:
    missing = ["No sweep is recorded yet.", ""]
    write_sweep(tmp_path, "halfcheetah-sweep", {"dense": ({"layer": "dense"}, 1.0)})
    assert pages.how_small_parts(tmp_path)["sweep"] == missing  # its model is not there
    write_run(tmp_path, "halfcheetah-long", "dense", 0, 1.0)
    assert pages.how_small_parts(tmp_path)["sweep"] != missing
    (tmp_path / "sb3/halfcheetah-sweep/origin.json").unlink()
    assert pages.how_small_parts(tmp_path)["sweep"] == missing


def test_a_record_without_sizes_is_named(pages: ModuleType, tmp_path: Path) -> None:
    write_run(tmp_path, "pendulum", "dense", 0, 1.0)
    path = tmp_path / "sb3" / "pendulum-dense-seed0" / "record.json"
    record = json.loads(path.read_text())
    del record["bits"]
    path.write_text(json.dumps(record))
    with pytest.raises(SystemExit, match="pendulum-dense-seed0.*has no sizes"):
        pages.how_small_parts(tmp_path)


def test_a_sweep_is_printed_and_judged(pages: ModuleType, tmp_path: Path) -> None:
    write_run(tmp_path, "halfcheetah-long", "dense", 0, 8150.0)
    returns = {
        "dense": ({"layer": "dense"}, 2000.0),
        "chromatic-17": (chromatic(17), 980.0),
        "chromatic-3": (chromatic(3), 899.0),
    }
    write_sweep(tmp_path, "halfcheetah-sweep", returns)
    fixed = {"chromatic-3-fixed": (chromatic(3, learn_colors=False), 400.0)}
    write_sweep(tmp_path, "halfcheetah-fixed-colors", fixed)
    parts = {name: "\n".join(lines) for name, lines in pages.how_small_parts(tmp_path).items()}
    assert "980.0 ± 4.0     49.0%" in parts["sweep"]  # the table that the command prints
    assert "200,000 steps of fine-tuning, 20% of those" in parts["sweep"]
    assert "divided by 4.0" in parts["sweep"]
    colors = parts["colors"]
    assert "| 17 | 20 | 0.0% | 49.0% | 98.0% |  |" in colors
    assert "| 3 | 20 | 0.0% | 45.0% | 89.9% | 40.0% |" in colors
    assert (
        "17 colors 98.0% (goal 97%, reached); 3 colors 89.9% (goal 90%, **not reached**)" in colors
    )
    assert "it has 2,000 after them. Of that, 17 colors 49.0%; 3 colors 45.0%." in colors
    assert (
        "the nearest weights keep 0%, after distillation it is 47%, after fine-tuning 94%" in colors
    )
    assert "3 colors 899 ± 4 learned, 400 ± 4 fixed." in colors
    assert "17 colors reach 980 ± 4 here (goal 5,500, **not reached**)" in parts["paper"]
    (readme,) = ("\n".join(lines) for lines in pages.readme_parts(tmp_path).values())
    assert "| chromatic-17 | 20 | 11 | 980 ± 4 | 98.0% | 49.0% |" in readme


def test_widths_and_seeds_stand_together(pages: ModuleType, tmp_path: Path) -> None:
    for seed, mean in enumerate((900.0, 1000.0, 1100.0)):
        write_run(tmp_path, "halfcheetah", "dense", seed, mean)
    sizes = {"weights": 7, "structure": FOUR_COLORS, "net_arch": [64, 64]}
    for seed in (0, 1):
        write_run(tmp_path, "halfcheetah", "4", seed, 940.0, **sizes)
    for width in (128, 16):
        write_run(tmp_path, "halfcheetah", f"{width}", 0, 500.0, net_arch=[width, width])
    lines = pages.how_small_parts(tmp_path)["scratch"]
    assert [line.split(" | ")[1] for line in lines[2:6]] == [
        "16, 16",
        "64, 64",
        "128, 128",
        "64, 64",
    ]
    assert "| 900.0; 1,000.0; 1,100.0 | 1,000.0 ± 57.7 | 100.0% |" in lines[3]
    assert lines[5].endswith("| 940.0; 940.0 | 940.0 ± 0.0 | 94.0% |")
    sentence = "(means over 2 and 3 seeds): 94.0% (goal 95%, **not reached**)."
    assert any(sentence in line for line in lines)


def test_steps_to_solve_cartpole(pages: ModuleType, tmp_path: Path) -> None:
    write_run(tmp_path, "cartpole", "dense", 0, 500.0, curve=[(5_000, 400.0), (10_000, 480.0)])
    for seed, (label, at) in enumerate(
        (("toeplitz", 15_000), ("circulant", 25_000), ("hankel", 0))
    ):
        curve = [(at, 500.0)] if at else [(5_000, 100.0)]
        structure = {"layer": label}
        write_run(tmp_path, "cartpole", label, seed, 500.0, structure=structure, curve=curve)
    lines = pages.how_small_parts(tmp_path)["cartpole"]
    assert [line.split(" | ")[-1] for line in lines[2:6]] == [
        "10,000 |", "25,000 |", "never |", "15,000 |",
    ]  # fmt: skip
    assert "circulant 2.50 (**not reached**)" in lines[-2]
    assert "hankel not solved by every seed (**not reached**)" in lines[-2]
    assert "toeplitz 1.50 (reached)" in lines[-2]


def test_who_is_behind_dense(pages: ModuleType, tmp_path: Path) -> None:
    for label, means in {"dense": (-200.0, -180.0), "hankel": (-260.0, -240.0)}.items():
        structure = None if label == "dense" else {"layer": label}
        for seed, mean in enumerate(means):
            write_run(tmp_path, "pendulum", label, seed, mean, structure=structure)
    for seed, mean in enumerate((-210.0, -190.0)):
        write_run(tmp_path, "pendulum", "t", seed, mean, structure={"layer": "toeplitz"})
    lines = pages.how_small_parts(tmp_path)["pendulum"]
    assert lines[3].endswith("| -60.0 ± 14.1 |")
    assert lines[4].endswith("| -10.0 ± 14.1 |")
    assert lines[-2].endswith("one standard error of the difference: hankel.")


@pytest.mark.parametrize(
    ("overhead", "verdict"), [(0.05, "Not kept: none."), (0.2, "**Not kept**")]
)
def test_overhead_is_judged(
    pages: ModuleType, tmp_path: Path, overhead: float, verdict: str
) -> None:
    speeds = {
        "dense": {"steps_per_second": 1000.0, "overhead": 0.0},
        "toeplitz": {"steps_per_second": 900.0, "overhead": overhead},
    }
    record = {
        "setting": "s",
        "machine": "m",
        "allowed_overhead": 0.1,
        "algorithms": {"SAC": speeds},
    }
    (tmp_path / "sb3_overhead.json").write_text(json.dumps(record))
    lines = pages.how_small_parts(tmp_path)["overhead"]
    assert lines[2] == "| SAC | dense | 1,000 |  |  |"
    assert lines[3] == f"| SAC | toeplitz | 900 | {overhead:+.1%} | 10% |"
    assert verdict in lines[-2]


def test_the_frontier_is_drawn(pages: ModuleType, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    write_run(tmp_path, "halfcheetah", "dense", 0, 900.0)
    write_run(tmp_path, "halfcheetah", "128", 0, 800.0, net_arch=[128, 128], bits={"entropy": 9**6})
    small = {"structure": FOUR_COLORS, "bits": {"entropy": 15_000}}
    write_run(tmp_path, "halfcheetah", "4", 0, 850.0, **small)
    import sb3_pictures

    groups = sb3_pictures.grouped(pages.read_sb3_records(tmp_path), "halfcheetah")
    assert [p.name for p in sb3_pictures.frontier(groups)] == [
        "chromatic, 4 colors, learned, 64, 64", "dense, 64, 64",
    ]  # fmt: skip
    path = sb3_pictures.plot_frontier(groups, tmp_path / "sb3" / "frontier.png")
    assert path.read_bytes().startswith(b"\x89PNG")
    assert pages.pictures(tmp_path) == {"sb3_frontier.png": path.read_bytes()}
    shown = "![Return against bits, trained from scratch](assets/sb3_frontier.png)"
    assert shown in pages.how_small_parts(tmp_path)["scratch"]


def test_the_sizes_of_a_record_are_counted_again(pages: ModuleType, tmp_path: Path) -> None:
    import sb3_run
    from stable_baselines3 import PPO

    structure = {"layer": "chromatic", "num_colors": 4}
    kwargs = {"net_arch": [8], "structure": structure}
    PPO("StructuredMlpPolicy", "CartPole-v1", policy_kwargs=kwargs, device="cpu").save(
        tmp_path / "model.zip"
    )
    (tmp_path / "record.json").write_text('{"algo": "ppo", "policy_weights": 5}')
    sb3_run.rewrite_sizes(tmp_path)
    record = json.loads((tmp_path / "record.json").read_text())
    assert record.keys() == {"algo", "weights", "biases", "bits"}
    assert (record["weights"], record["biases"]) == (4 + 2, 8 + 2)


def test_the_page_trains_as_the_record_does(
    pages: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # MuJoCo logs its warnings where it runs
    from sb3_run import ALGORITHMS as TRAINERS
    from sb3_settings import TASKS

    task = TASKS["halfcheetah-long"]
    page = ROOT / "docs" / "how_small.md"
    build, learn = [b.text for b in blocks(page) if b.language in ("python", "py")][:2]
    names: dict[str, Any] = {}
    exec(build, names)
    model, env = names["model"], names["env"]
    assert (env.num_envs, env.get_attr("spec")[0].id) == (task.num_envs, task.env)
    assert f"model.learn({task.total_steps:_})" in learn
    wanted = dict(task.keywords)
    rate = wanted.pop("learning_rate")
    assert model.lr_schedule(1.0) == pytest.approx(rate)
    assert model.lr_schedule(0.0) == pytest.approx(task.learning_rate_ends_at)
    assert {key: getattr(model, key) for key in wanted} == wanted
    assert env.gamma == model.gamma and isinstance(model, TRAINERS[task.algo])

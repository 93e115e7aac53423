"""Reports: every picture that the records allow, one page that needs nothing else."""

import csv
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch

from structured_layers import CheckpointError, StructuredLayersError
from structured_layers.integrations.cli import main
from structured_layers.integrations.evotorch import run_pictures
from structured_layers.integrations.evotorch.full_report import write_comparison, write_run_report
from structured_layers.integrations.evotorch.progress import COLUMNS, QUANTILES
from structured_layers.integrations.evotorch.run import Run
from structured_layers.integrations.evotorch.run_comparison import group_names
from structured_layers.integrations.evotorch.run_config import RunConfig
from structured_layers.metrics import partition_entropy

DRIFT = "drift_envs:Drift-v0"
RETURNS = ["learning_curve", "best_per_interval"]
NETWORK = ["weights", "graph"]
OVER_TIME = ["displacement_ranks", "structure_changes"]


def config(env: str = DRIFT, **settings) -> RunConfig:
    sizes = {"popsize": 4, "center_evaluations": 2, "total_steps": 800, "hidden": (3,)}
    return RunConfig(env, **{**sizes, **settings})


def trained(folder: Path, settings: RunConfig) -> Path:
    Run.create(folder, settings).train()
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("runs")
    settings = {
        "evolution": config(),
        "seed": config(seed=1),
        "random": config(controller="random"),
        "edges": config(
            structure="edges", num_edges=6, skip=True, unit_activations=("tanh", "sin")
        ),
        "mask": config(structure="edge-mask"),
        "few": config(num_edges=2, num_colors=2),
        "bits": config(structure="edge-mask", num_colors=2, cost="bits"),
        "clustered": config(controller="local-search", num_colors=2, dense_steps=400),
        "dense": config(structure="dense"),
    }
    return {name: trained(folder / name, config) for name, config in settings.items()}


class Sources(HTMLParser):
    """Collects what a page refers to, and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.sources += [value or "" for name, value in attributes if name in ("src", "href")]


def sources_of(page: Path) -> Sources:
    parser = Sources()
    parser.feed(page.read_text(encoding="utf-8"))
    return parser


@pytest.mark.parametrize(
    ("name", "pictures"),
    [
        ("evolution", [*RETURNS, *NETWORK, "edge_frequencies", "entropies", *OVER_TIME]),
        ("edges", [*RETURNS, *NETWORK, "edge_frequencies", *OVER_TIME]),
        (
            "mask",
            [*RETURNS, "return_against_edges", *NETWORK, "edge_frequencies", *OVER_TIME],
        ),
        ("dense", [*RETURNS, *NETWORK]),
    ],
)
def test_a_run_has_its_pictures_in_one_page(name, pictures, runs, tmp_path):
    report = write_run_report(runs[name], tmp_path / "out")
    assert [path.stem for path in report.pictures] == pictures
    assert report.page == tmp_path / "out" / "index.html"
    page = sources_of(report.page)
    assert len(page.sources) == len(pictures)
    assert all(source.startswith("data:image/png;base64,iVBOR") for source in page.sources)
    assert not page.tags & {"script", "link", "iframe"}
    assert "http" not in re.sub(r"base64,[^\"]*", "", report.page.read_text())
    assert report.notes == ()


def test_without_history_a_run_reports_what_it_can(runs, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(runs["evolution"], folder)
    shutil.rmtree(folder / "history")
    earlier = COLUMNS[: -len(QUANTILES)]
    with (folder / "progress.csv").open(newline="") as file:
        rows = [{name: row[name] for name in earlier} for row in csv.DictReader(file)]
    with (folder / "progress.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, earlier, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    report = write_run_report(folder)
    assert [path.stem for path in report.pictures] == [*RETURNS, *NETWORK]
    assert report.page == folder / "report" / "index.html"
    assert "recorded no history" in report.notes[0]


def test_a_pareto_archive_is_drawn(runs, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(runs["evolution"], folder)
    (folder / "pareto.csv").write_text("edges,return,generation\n3,1.5,1\n5,2.5,2\n")
    report = write_run_report(folder)
    assert "return_against_edges" in [path.stem for path in report.pictures]
    (folder / "pareto.csv").write_text("edges,return\nmany,1.5\n")
    with pytest.raises(CheckpointError, match=r"pareto\.csv is no Pareto archive"):
        write_run_report(folder)


def seen(monkeypatch, name):
    """What a function that draws pictures of a run is called with."""
    calls = []
    draw = getattr(run_pictures, name)

    def remember(*arguments, **options):
        calls.append((arguments, options))
        return draw(*arguments, **options)

    monkeypatch.setattr(run_pictures, name, remember)
    return calls


def test_chance_is_that_of_the_runs_own_structures(runs, tmp_path, monkeypatch):
    calls = seen(monkeypatch, "plot_over_steps")
    write_run_report(runs["few"], tmp_path)
    (panel,) = calls[0][0][1]
    few = [-1] * 13
    one, two = (partition_entropy(torch.tensor([*few, *pair])) for pair in ([0, 0], [0, 1]))
    assert panel.band == (one, two)  # of 15 edges two exist, of one colour or of both
    assert "Missing edges count as one more colour" in (tmp_path / "index.html").read_text()
    write_run_report(runs["evolution"], tmp_path)
    assert "Missing edges" not in (tmp_path / "index.html").read_text()


def test_the_past_of_a_search_begins_behind_its_dense_phase(runs, tmp_path, monkeypatch):
    calls = {n: seen(monkeypatch, n) for n in ("plot_best_per_interval", "plot_edge_frequencies")}
    write_run_report(runs["clustered"], tmp_path)
    with (runs["clustered"] / "dense" / "progress.csv").open(newline="") as file:
        start = int(list(csv.DictReader(file))[-1]["env_steps"])
    assert start >= 400
    assert set(calls["plot_best_per_interval"][0][1]["starts"].values()) == {start}
    assert calls["plot_edge_frequencies"][0][1]["start"] == start


@pytest.mark.parametrize(
    ("name", "title", "has_centre"),
    [("bits", "Return against cost", False), ("mask", "Return against edges", True)],
)
def test_sizes_are_captioned_by_what_is_drawn(name, title, has_centre, runs, tmp_path):
    page = write_run_report(runs[name], tmp_path).page.read_text()
    (caption,) = re.findall(f"<h2>{title}</h2>\n<p>(.*)</p>", page)
    assert ("centre" in caption) == has_centre
    assert ("no other one beats" in caption) == (name == "bits")


def test_weights_are_counted_beside_the_edges_that_share_them(runs, tmp_path, capsys):
    assert main(["report", str(runs["few"]), "--out", str(tmp_path)]) == 0
    assert "2 of 15 edges" in capsys.readouterr().out
    page = write_run_report(runs["bits"], tmp_path).page.read_text()
    assert re.search(r"2 on \d+ of 15 edges", page)
    assert "6 of 21 edges" in write_run_report(runs["edges"], tmp_path).page.read_text()


def test_a_report_asks_for_a_run(capsys):
    assert main(["report"]) == 2
    assert "report needs the folder of a run" in capsys.readouterr().err


def test_several_runs_side_by_side(runs, tmp_path):
    folders = [runs[name] for name in ("evolution", "seed", "random", "mask")]
    report = write_comparison(folders, tmp_path / "deep" / "out")
    assert [path.stem for path in report.pictures] == [
        "runs", "run_panels", "best_per_interval", "return_against_bits",
    ]  # fmt: skip
    page = report.page.read_text()
    for folder in folders:
        assert str(folder) in page
    assert len(report.summaries) == 4


def test_runs_of_different_tasks_are_compared_with_a_note(runs, tmp_path):
    other = trained(tmp_path / "other", config(env="drift_envs:Drift-v0", env_config={}))
    path = other / "config.json"
    data = json.loads(path.read_text())
    data["config"]["env"] = "drift_envs:Troubled-v0"
    path.write_text(json.dumps(data))
    report = write_comparison([runs["evolution"], other], tmp_path / "out")
    assert [path.stem for path in report.pictures] == ["run_panels"]
    assert "different tasks" in report.notes[0]
    assert report.notes[0] in report.page.read_text()


@pytest.mark.parametrize("names", [["evolution"], ["evolution", "evolution"], []])
def test_a_comparison_needs_different_runs(names, runs, tmp_path):
    with pytest.raises(StructuredLayersError, match="needs two runs or more, each of them once"):
        write_comparison([runs[name] for name in names], tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ([{}, {"seed": 1}], [f"{DRIFT}, chromatic"] * 2),
        ([{}, {"controller": "random"}], ["regularized-evolution", "random"]),
        ([{"num_colors": 2}, {"num_colors": 3}], ["num colors 2", "num colors 3"]),
        ([{}, {"slope": True}], ["no slope", "slope"]),
        ([{}, {"num_colors": 3}], ["no num colors", "num colors 3"]),
        ([{"hidden": ()}, {"hidden": (3, 2)}], ["hidden none", "hidden 3 2"]),
    ],
)
def test_runs_are_named_by_what_differs(settings, names):
    configs = [config(**each) for each in settings]
    assert group_names(configs, [Path("a"), Path("b")]) == names


def test_runs_that_differ_in_much_are_named_by_their_folders():
    other = config(popsize=6, stdev=0.2, learning_rate=0.1, num_episodes=2, slope=True)
    assert group_names([config(), other], [Path("runs/a"), Path("runs/b")]) == ["a", "b"]


def test_the_command_line_takes_several_runs(runs, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["report", str(runs["evolution"]), str(runs["random"])]) == 0
    assert (tmp_path / "report" / "index.html").exists()
    assert "report/index.html" in capsys.readouterr().out
    assert main(["report", str(runs["dense"]), "--out", "elsewhere"]) == 0
    assert (tmp_path / "elsewhere" / "index.html").exists()


def test_a_report_folder_that_cannot_be_made_is_a_clear_error(runs, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StructuredLayersError, match="cannot be written"):
        write_run_report(runs["dense"], tmp_path / "file" / "out")


def test_titles_and_folders_are_escaped(runs, tmp_path):
    folder = tmp_path / "<b>&run"
    shutil.copytree(runs["dense"], folder)
    page = write_run_report(folder).page.read_text()
    assert "&lt;b&gt;&amp;run" in page
    assert "<b>" not in page

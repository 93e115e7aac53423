"""The pictures of analyses show the numbers that they are given."""

from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from torch import nn

from structured_layers import (
    ChromaticLinear,
    MaskedLinear,
    SkipMLP,
    StructuredLayersError,
    UnitActivations,
)
from structured_layers.metrics import random_partition_entropies
from structured_layers.plots import (
    plot_best_per_interval,
    plot_edge_frequencies,
    plot_learning_curve,
    plot_network_graph,
    plot_over_steps,
    plot_return_against_edges,
    plot_run_panels,
    plot_runs,
)
from structured_layers.plots.best_per_interval import best_per_interval
from structured_layers.plots.figure import COLORS, color
from structured_layers.plots.learning_curve import MAX_BARS
from structured_layers.plots.network_graph import MAX_UNITS, count_edges
from structured_layers.plots.over_steps import Panel
from structured_layers.plots.return_against_bits import Point, plot_return_against_bits


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that were saved, in order."""
    saved = []
    savefig = Figure.savefig

    def remember(self: Figure, *arguments: object, **options: object) -> None:
        saved.append(self)
        savefig(self, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", remember)
    return saved


def rows(count: int, updates: int = 0) -> list[dict[str, float]]:
    quantiles = ("q05", "q25", "q50", "q75", "q95")
    return [
        {
            "env_steps": 1000 * (i + 1),
            "return_center": 10.0 * i,
            "return_mean": 8.0 * i,
            "return_best": 12.0 * i,
            "controller_updates": min(i + 1, updates),
            **{f"return_{name}": 5.0 * i + place for place, name in enumerate(quantiles)},
        }
        for i in range(count)
    ]


def labels_of(axes: object) -> list[str]:
    """The names in the legend of axes, or of a figure."""
    if isinstance(axes, Figure):
        return [text.get_text() for text in axes.legends[0].get_texts()]
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_the_candidates_are_bands(tmp_path: Path, drawn: list[Figure]) -> None:
    plot_learning_curve(rows(3), tmp_path / "curve.png")
    (axes,) = drawn[0].axes
    wide, narrow = (band.get_datalim(axes.transData) for band in axes.collections)
    assert (wide.y0, wide.y1) == (0, 14)
    assert (narrow.y0, narrow.y1) == (1, 13)
    assert labels_of(drawn[0])[:2] == ["nine tenths of the candidates", "half of the candidates"]


@pytest.mark.parametrize(("count", "height"), [(MAX_BARS, 1.0), (MAX_BARS + 1, 0.03)])
def test_many_updates_are_ticks(
    count: int, height: float, tmp_path: Path, drawn: list[Figure]
) -> None:
    plot_learning_curve(rows(count, updates=count), tmp_path / "curve.png")
    (bars,) = (c for c in drawn[0].axes[0].collections if isinstance(c, LineCollection))
    assert {path.vertices[1, 1] for path in bars.get_paths()} == {height}


def test_the_dense_phase_is_a_line_of_its_own(tmp_path: Path, drawn: list[Figure]) -> None:
    plot_learning_curve(rows(3), tmp_path / "curve.png", phase_rows=rows(2))
    assert "centre of the dense phase" in labels_of(drawn[0])


def test_intervals_hold_their_ends_and_leave_gaps() -> None:
    longer = [row for row in rows(40) if row["env_steps"] not in (3000, 4000)]
    best, edges = best_per_interval(longer, "return_best")
    assert edges == [2000 * i for i in range(21)]
    assert best[0] == 12.0
    assert np.isnan(best[1])
    assert best[2:] == [12.0 * i for i in range(5, 40, 2)]


def test_intervals_begin_where_the_search_does() -> None:
    late = [{"env_steps": 50_000 + row["env_steps"], "return_best": 1.0} for row in rows(40)]
    best, edges = best_per_interval(late, "return_best", start=50_000)
    assert best == [1.0] * 20
    assert edges == [50_000 + 2000 * i for i in range(21)]


def test_few_generations_are_intervals_themselves(tmp_path: Path, drawn: list[Figure]) -> None:
    short = [{"env_steps": 7000, "return_best": 1.0}, {"env_steps": 8000, "return_best": 2.0}]
    curves = {"a": (rows(40), "return_best"), "b": (short, "return_best")}
    plot_best_per_interval(curves, tmp_path / "best.png", starts={"b": 6000})
    (axes,) = drawn[0].axes
    b = axes.patches[1].get_data()
    assert (b.values.tolist(), b.edges.tolist()) == ([1, 2], [6000, 7000, 8000])
    assert axes.get_xlim() == (0, 40_000)


def test_the_best_of_intervals_is_drawn(tmp_path: Path, drawn: list[Figure]) -> None:
    curves = {"a": (rows(20), "return_best"), "b": (rows(20), "return_center")}
    plot_best_per_interval(curves, tmp_path / "best.png")
    a, b = (patch.get_data() for patch in drawn[0].axes[0].patches)
    np.testing.assert_array_equal(a.values, [12.0 * i for i in range(20)])
    np.testing.assert_array_equal(b.values, [10.0 * i for i in range(20)])
    assert (a.edges[0], a.edges[-1]) == (0, 20_000)


def test_frequencies_have_a_row_for_each_edge(tmp_path: Path, drawn: list[Figure]) -> None:
    certainty = np.array([[0.0, 0.2, 0.4], [0.6, 0.8, 1.0]])
    plot_edge_frequencies(
        [10, 30], certainty, tmp_path / "f.png", label="2 |p − ½|", layer_sizes=[1, 2]
    )
    top, bottom, bar = drawn[0].axes
    np.testing.assert_allclose(top.lines[0].get_ydata(), [0.2, 0.8])
    np.testing.assert_array_equal(bottom.collections[0].get_array(), certainty.T)
    assert bottom.yaxis_inverted()
    assert bar.get_ylabel() == "2 |p − ½|"
    assert not top.lines[0].get_clip_on()  # the last of a few markers lies on the edge


def test_frequencies_begin_where_the_search_does(tmp_path: Path, drawn: list[Figure]) -> None:
    plot_edge_frequencies(
        [60, 80], np.ones((2, 3)), tmp_path / "f.png", label="p", layer_sizes=[3], start=40
    )
    mesh = drawn[0].axes[1].collections[0].get_coordinates()
    assert mesh[0, :, 0].tolist() == [40, 60, 80]
    assert drawn[0].axes[1].get_xlim() == (40, 80)


def test_panels_share_their_steps(tmp_path: Path, drawn: list[Figure]) -> None:
    panels = [Panel("bits", {"mine": [1.0, 2.0]}, (0.5, 1.5), "chance"), Panel("b", {"b": [3, 3]})]
    plot_over_steps([10, 20], panels, tmp_path / "p.png")
    first, second = drawn[0].axes
    assert set(labels_of(first)) == {"mine", "chance"}
    assert second.get_legend() is None
    assert second.lines[0].get_xydata().tolist() == [[10, 3], [20, 3]]


@pytest.mark.parametrize(
    ("network", "edges"),
    [
        (MaskedLinear(3, 1, mask=torch.tensor([[True, False, True]])), 2),
        (ChromaticLinear(3, 1, palette=1, colors=torch.tensor([[0, -1, 0]])), 2),
        (nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 2)), 12),
        (SkipMLP(2, [3, 2], 1, activation=UnitActivations), 6 + 10 + 7),
    ],
    ids=["masked", "chromatic", "dense", "skip"],
)
def test_a_graph_has_every_edge_once(
    network: nn.Module, edges: int, tmp_path: Path, drawn: list[Figure]
) -> None:
    plot_network_graph(network, tmp_path / "graph.png")
    lines = [c for c in drawn[0].axes[0].collections if isinstance(c, LineCollection)]
    assert sum(len(c.get_segments()) for c in lines) == edges == count_edges(network)


def test_a_graph_names_the_activations_of_units(tmp_path: Path, drawn: list[Figure]) -> None:
    units = UnitActivations(2, kinds=torch.tensor([0, 4]))
    network = nn.Sequential(MaskedLinear(2, 2), units, MaskedLinear(2, 1))
    plot_network_graph(network, tmp_path / "graph.png")
    texts = [text.get_text() for text in drawn[0].axes[0].texts]
    assert texts == ["inputs", "hidden 1", "outputs", "0", "1", "0", "tanh", "sin"]


def test_a_graph_does_not_number_what_would_overlap(tmp_path: Path, drawn: list[Figure]) -> None:
    plot_network_graph(nn.Linear(MAX_UNITS + 1, 2), tmp_path / "graph.png")
    texts = [text.get_text() for text in drawn[0].axes[0].texts]
    assert texts == ["inputs", "outputs", "0", "1"]


def test_a_graph_needs_a_linear_layer(tmp_path: Path) -> None:
    with pytest.raises(StructuredLayersError, match="has no linear layer to draw"):
        plot_network_graph(nn.Tanh(), tmp_path / "graph.png")


def test_an_archive_is_a_staircase(tmp_path: Path, drawn: list[Figure]) -> None:
    plot_return_against_edges([(5, 1.0)], tmp_path / "r.png", archive=[(7, 3.0), (4, 2.0)])
    axes = drawn[0].axes[0]
    assert axes.lines[0].get_xydata().tolist() == [[4, 2], [7, 3]]
    assert axes.collections[0].get_offsets().tolist() == [[5, 1]]


def test_seeds_of_a_group_have_one_color_and_one_name(tmp_path: Path, drawn: list[Figure]) -> None:
    plot_runs({"a": [rows(2), rows(3)], "b": [rows(2)]}, tmp_path / "runs.png")
    axes = drawn[0].axes[0]
    assert labels_of(axes) == ["a (2 seeds)", "b"]
    assert [line.get_color() for line in axes.lines] == [COLORS[0], COLORS[0], COLORS[1]]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7])
def test_every_run_has_a_panel(count: int, tmp_path: Path, drawn: list[Figure]) -> None:
    names = [f"run {i}" for i in range(count)]
    plot_run_panels(dict.fromkeys(names, rows(3)), tmp_path / "panels.png")
    assert [axes.get_title() for axes in drawn[0].axes] == names
    columns = min(count, 3)
    for axes in drawn[0].axes[-columns:]:  # those below which there is none
        assert axes.xaxis.get_tick_params()["labelbottom"]


@pytest.mark.parametrize(
    ("sizes", "labels"), [((410, 440), {"410", "440"}), ((100, 9000), {"100", "200", "5k"})]
)
def test_sizes_are_written_as_numbers(
    sizes: tuple[int, int], labels: set[str], tmp_path: Path, drawn: list[Figure]
) -> None:
    points = [Point(str(bits), bits, 1.0, 0.1) for bits in sizes]
    plot_return_against_bits(points, tmp_path / "bits.png")
    axis = drawn[0].axes[0].xaxis
    assert labels <= {text.get_text() for text in axis.get_ticklabels()}
    assert {text.get_text() for text in axis.get_ticklabels(minor=True)} <= {""}


def test_colors_start_over() -> None:
    assert color(len(COLORS)) == color(0)
    assert len(set(COLORS)) == len(COLORS)


def test_random_partitions_are_reproducible_and_as_theory_says() -> None:
    entropies = random_partition_entropies(943, 17)
    np.testing.assert_array_equal(entropies, random_partition_entropies(943, 17))
    # Miller's correction: the mean falls short of log₂ M by (M − 1) / (2 N ln 2)
    expected = np.log2(17) - 16 / (2 * 943 * np.log(2))
    standard_error = entropies.std() / len(entropies) ** 0.5
    assert abs(entropies.mean() - expected) < 4 * standard_error


@pytest.mark.parametrize("sizes", [(0, 2), (3, 0), (3, True), (3.0, 2)])
def test_impossible_random_partitions_are_refused(sizes: tuple) -> None:
    with pytest.raises(StructuredLayersError, match="must be an integer of at least 1"):
        random_partition_entropies(*sizes)

"""The pictures are drawn, and show each shared weight in a colour of its own."""

import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib import pyplot
from matplotlib.figure import Figure
from torch import nn

from structured_layers import (
    ChromaticLinear,
    MaskedLinear,
    MissingDependencyError,
    StructuredLayersError,
    ToeplitzLinear,
    mlp,
)
from structured_layers.plots import figure as figures
from structured_layers.plots import plot_learning_curve, plot_weights
from structured_layers.plots.weights import _distinct_colors
from structured_layers.specs import NetworkSpec


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


def pixels(path: Path) -> np.ndarray:
    """The picture as (height, width, 3) bytes."""
    return (pyplot.imread(path)[..., :3] * 255).round().astype(np.uint8)


def colors_of(image: np.ndarray) -> set[str]:
    codes = np.unique(image.reshape(-1, 3).astype(int) @ [1 << 16, 1 << 8, 1])
    return {f"#{code:06x}" for code in codes}


def color_at(figure: Figure, image: np.ndarray, row: int, column: int) -> list[int]:
    """The colour of an entry of the first matrix."""
    x, y = figure.axes[0].transData.transform((column, row)) / figure.bbox.size
    height, width, _ = image.shape
    return image[round((1 - y) * height), round(x * width)].tolist()


@pytest.mark.parametrize(
    ("hidden", "num_colors"), [((32,), 17), ((), 8), ((), 20), ((32,), 50), ((), 102)]
)
def test_chromatic_networks_show_every_color(
    hidden: tuple[int, ...], num_colors: int, tmp_path: Path, drawn: list[Figure]
) -> None:
    network = NetworkSpec(17, 6, hidden, "chromatic", num_colors=num_colors).build()
    path = plot_weights(network, tmp_path / "weights.png", title="HalfCheetah-v5")
    assert path == tmp_path / "weights.png"
    assert set(_distinct_colors(num_colors)) <= colors_of(pixels(path))
    assert drawn[0].get_suptitle() == "HalfCheetah-v5"
    titles = [axes.get_title() for axes in drawn[0].axes]
    assert titles == ["layer 1", "layer 2"][: len(hidden) + 1]


@pytest.mark.parametrize("num_colors", [8, 50, 100])
def test_the_key_lists_every_shared_weight_and_fits_the_picture(
    num_colors: int, tmp_path: Path, drawn: list[Figure]
) -> None:
    network = NetworkSpec(17, 6, (), "chromatic", num_colors=num_colors).build()
    plot_weights(network, tmp_path / "weights.png")
    (legend,) = drawn[0].legends
    labels = [float(text.get_text()) for text in legend.get_texts()]
    np.testing.assert_allclose(labels, network[0].values.detach(), atol=6e-4)
    key, page = legend.get_window_extent(), drawn[0].bbox
    assert key.height <= page.height
    assert key.x0 >= drawn[0].axes[0].get_window_extent().x1
    assert key.x1 <= page.x1 + 1


def test_the_key_says_which_weights_no_edge_has(drawn: list[Figure], tmp_path: Path) -> None:
    layer = ChromaticLinear(4, 2, palette=3, colors=torch.tensor([[0, 2, 0, 2], [2, 0, 2, 0]]))
    plot_weights(layer, tmp_path / "weights.png")
    labels = [text.get_text() for text in drawn[0].legends[0].get_texts()]
    assert ["unused" in label for label in labels] == [False, True, False]


@pytest.mark.parametrize(
    "layer", [partial(ChromaticLinear, palette=3), partial(ChromaticLinear, palette=101)]
)
def test_no_key_for_several_palettes_or_for_too_many_colors(
    layer: partial, tmp_path: Path, drawn: list[Figure]
) -> None:
    network = mlp(11, [11], 11, layer=layer)
    plot_weights(network, tmp_path / "weights.png")
    assert not drawn[0].legends


@pytest.mark.parametrize("n", [1, 8, 20, 21, 50, 100])
def test_colors_are_distinct(n: int) -> None:
    assert len(set(_distinct_colors(n))) == n


@pytest.mark.parametrize("layer", [nn.Linear, ToeplitzLinear, MaskedLinear])
def test_other_networks_show_their_values(
    layer: type[nn.Module], tmp_path: Path, drawn: list[Figure]
) -> None:
    plot_weights(mlp(8, [5], 1, layer=layer), tmp_path / "weights.png")
    first, second, bar = drawn[0].axes
    assert (first.get_xlabel(), first.get_ylabel()) == ("8 inputs", "5 outputs")
    assert second.get_ylabel() == "1 output"
    assert bar.get_ylabel() == "weight"


@pytest.mark.parametrize(
    "layer",
    [
        MaskedLinear(3, 1, mask=torch.tensor([[True, False, True]])),
        ChromaticLinear(3, 1, palette=1, colors=torch.tensor([[0, -1, 0]])),
    ],
    ids=["masked", "chromatic"],
)
def test_removed_edges_stay_white(layer: nn.Module, tmp_path: Path, drawn: list[Figure]) -> None:
    nn.init.ones_(layer.values)
    image = pixels(plot_weights(layer, tmp_path / "weights.png"))
    left, middle, right = (color_at(drawn[0], image, 0, column) for column in range(3))
    assert middle == [255, 255, 255]
    assert left == right != middle


def test_a_picture_of_a_large_network_stays_small(tmp_path: Path, drawn: list[Figure]) -> None:
    plot_weights(mlp(348, [256], 17, layer=ToeplitzLinear), tmp_path / "weights.png")
    assert max(drawn[0].get_size_inches()) < 30


@pytest.mark.parametrize("module", [nn.Tanh(), nn.Sequential()])
def test_a_module_without_linear_layers_is_refused(module: nn.Module, tmp_path: Path) -> None:
    with pytest.raises(StructuredLayersError, match="has no linear layer to draw"):
        plot_weights(module, tmp_path / "weights.png")
    assert not list(tmp_path.iterdir())


def curve(updates: list[int]) -> list[dict[str, str]]:
    """Rows of text, as ``csv.DictReader`` gives them."""
    return [
        {
            "env_steps": str(1000 * (i + 1)),
            "return_center": str(10.0 * i),
            "return_mean": str(8.0 * i),
            "return_best": "nan" if i == 1 else str(12.0 * i),
            "controller_updates": str(count),
        }
        for i, count in enumerate(updates)
    ]


def test_a_learning_curve_marks_the_updates_of_the_controller(
    tmp_path: Path, drawn: list[Figure]
) -> None:
    path = plot_learning_curve(curve([1, 1, 2, 4]), tmp_path / "curve.png", title="Swimmer-v5")
    assert pixels(path).std() > 0
    (axes,) = drawn[0].axes
    assert axes.get_title() == "Swimmer-v5"
    lines = {line.get_label(): line.get_xydata().tolist() for line in axes.get_lines()}
    assert lines["centre"] == [[1000, 0], [2000, 10], [3000, 20], [4000, 30]]
    labels = [text.get_text() for text in drawn[0].legends[0].get_texts()]
    assert labels[-1] == "updates of the controller (3)"
    ticks = [path.vertices[0, 0] for path in axes.collections[0].get_paths()]
    assert ticks == [1000, 3000, 4000]


def test_a_search_without_a_controller_has_no_ticks(tmp_path: Path, drawn: list[Figure]) -> None:
    plot_learning_curve(curve([0, 0]), tmp_path / "curve.png")
    (axes,) = drawn[0].axes
    assert not axes.collections
    assert len(drawn[0].legends[0].get_texts()) == 3


def test_the_key_of_a_learning_curve_covers_nothing(tmp_path: Path, drawn: list[Figure]) -> None:
    plot_learning_curve(curve([1, 1]), tmp_path / "curve.png")
    axes, (key,) = drawn[0].axes[0], drawn[0].legends
    assert key.get_window_extent().y1 <= axes.get_tightbbox().y0


def test_a_single_generation_is_visible(tmp_path: Path, drawn: list[Figure]) -> None:
    plot_learning_curve(curve([0]), tmp_path / "curve.png")
    assert {line.get_marker() for line in drawn[0].axes[0].get_lines()} == {"o"}


def test_figures_do_not_reach_pyplot(tmp_path: Path) -> None:
    before = pyplot.get_fignums()
    plot_weights(nn.Linear(2, 2), tmp_path / "weights.png")
    plot_learning_curve(curve([0, 1]), tmp_path / "curve.png")
    assert pyplot.get_fignums() == before


def test_a_missing_matplotlib_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "structured-layers\[plots\]"'):
        figures.new_figure(1, 1)

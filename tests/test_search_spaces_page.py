"""The page of search spaces: its table holds the sizes that the code computes."""

from functools import partial

import pytest
from markdown_blocks import ROOT
from torch.nn import Tanh

from structured_layers import ChromaticLinear, MaskedLinear, Palette, SkipMLP, UnitActivations, mlp
from structured_layers.algorithms import SearchSpace, search_spaces

PAGE = (ROOT / "docs" / "search_spaces.md").read_text()

# Observations, hidden sizes and actions of the papers' networks in today's environments.
NETWORKS = {
    "Swimmer, linear": (8, [], 2),
    "Swimmer, 32": (8, [32], 2),
    "Reacher, 32": (10, [32], 2),
    "Hopper, 32": (11, [32], 3),
    "HalfCheetah and Walker2d, 32": (17, [32], 6),
    "HalfCheetah and Walker2d, 41": (17, [41], 6),
    "HalfCheetah and Walker2d, 41+41": (17, [41, 41], 6),
    "Ant, 32": (105, [32], 8),
}


def size(space: SearchSpace) -> str:
    return f"10^{space.log10_size:.1f}"


def row(name: str) -> str:
    observations, hidden, actions = NETWORKS[name]
    palette = Palette(max(observations, actions))
    colored = mlp(observations, hidden, actions, layer=partial(ChromaticLinear, palette=palette))
    masked, skipping, units = (
        make(observations, hidden, actions, layer=MaskedLinear, activation=activation)
        for make, activation in ((mlp, Tanh), (SkipMLP, Tanh), (mlp, UnitActivations))
    )
    edges = sum(m.mask.numel() for m in masked.modules() if isinstance(m, MaskedLinear))
    is_wide = edges > 64
    cells = [
        f"{palette.num_colors}: {size(SearchSpace.of(colored))}",
        size(SearchSpace.of(masked, num_kept=64)) if is_wide else "–",
        size(SearchSpace.of(masked, num_kept=[32, 32])) if len(hidden) == 1 else "–",
        size(SearchSpace.of(skipping, num_kept=64)) if is_wide else "–",
        size(SearchSpace.of(units, num_kept=64)) if is_wide else "–",
        size(SearchSpace.of(masked, num_kept="any")),
        size(SearchSpace.of(colored, num_kept="any")),
    ]
    return f"| {name} | {edges} | {' | '.join(cells)} |"


@pytest.mark.parametrize("name", NETWORKS)
def test_the_table_holds_the_sizes(name: str) -> None:
    assert row(name) in PAGE.splitlines()


def test_the_page_names_every_space() -> None:
    names = [name for name in search_spaces.__all__ if f"`{name}`" not in PAGE]
    assert names == []

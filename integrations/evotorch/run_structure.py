"""Checks of the settings that say which network a run trains."""

from __future__ import annotations

from typing import TYPE_CHECKING

from structured_layers.algorithms.search_spaces.unit_activation_choice import check_kinds
from structured_layers.errors import StructuredLayersError

if TYPE_CHECKING:
    from .run_config import RunConfig

SEARCHED = ("chromatic", "edges", "edge-mask")
"""Structures of which a controller proposes members."""

WHERE_SEARCHED = "chromatic, edges or edge-mask, or with unit_activations"


def check_structure(config: RunConfig) -> None:
    """Refuse settings of a structure that another one has no use for.

    Raises:
        StructuredLayersError: naming the setting.
    """
    structure, is_searched = config.structure, config.is_searched
    for name, allowed, where in (
        ("num_colors", structure in ("chromatic", "edge-mask"), "chromatic or edge-mask"),
        ("num_edges", structure in ("chromatic", "edges"), "edges or chromatic"),
        ("edges_per_layer", structure in ("chromatic", "edges"), "edges or chromatic"),
        ("controller", is_searched, WHERE_SEARCHED),
        ("controller_population", is_searched, WHERE_SEARCHED),
    ):
        if getattr(config, name) is not None and not allowed:
            raise StructuredLayersError(
                f"{name} goes with structure {where}, got structure {structure}"
            )
    if config.num_edges is not None and config.edges_per_layer is not None:
        raise StructuredLayersError(
            f"num_edges counts the edges of all layers and edges_per_layer those of each one; "
            f"leave one of them out, got {config.num_edges} and {list(config.edges_per_layer)}"
        )
    if config.unit_activations is not None:
        check_kinds(config.unit_activations)
    for name, given in (
        ("skip", config.skip),
        ("unit_activations", config.unit_activations is not None),
    ):
        if given and not config.hidden:
            raise StructuredLayersError(f"{name} goes with hidden layers, got a linear policy")

"""Checks of a run's settings that several of them have to pass together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from structured_layers.errors import StructuredLayersError

if TYPE_CHECKING:
    from .run_config import RunConfig


KEEPING = ("local-search", "latent")
"""Controllers that go on from a given structure."""

STARTING = (*KEEPING, "magnitude")
"""Controllers that begin at a trained policy; magnitude trains a dense network itself."""


def _check_latent(config: RunConfig) -> None:
    """Refuse what latent weights cannot choose, or would leave without use."""
    is_plain = config.num_edges is None and config.edges_per_layer is None
    if config.structure != "chromatic" or not is_plain or config.unit_activations is not None:
        raise StructuredLayersError(
            "controller latent goes with structure chromatic, all its edges and no unit_activations"
        )
    if config.baseline is not None or (config.zero_init and not config.dense_steps):
        raise StructuredLayersError("controller latent goes without baseline and zero_init")


def _check_magnitude(config: RunConfig) -> None:
    """Refuse what the removal of small weights cannot do, or would leave without use."""
    if (
        config.structure != "edges"
        or config.edges_per_layer is not None
        or config.unit_activations is not None
        or config.baseline is not None
    ):
        raise StructuredLayersError(
            "controller magnitude goes with structure edges and num_edges, without "
            "edges_per_layer, unit_activations and baseline"
        )


def check_controller(config: RunConfig) -> None:
    """Refuse settings that the controller has no use for.

    Raises:
        StructuredLayersError: naming the setting.
    """
    controller = config.controller or "regularized-evolution"
    has_population = controller in ("regularized-evolution", "fixed")
    if config.controller_population is not None and not has_population:
        raise StructuredLayersError(f"the controller {controller} has no population")
    for name, allowed in (
        ("controller_algorithm", ("policy-gradient",)),
        ("num_mutations", ("regularized-evolution", "local-search")),
    ):
        if getattr(config, name) is not None and controller not in allowed:
            raise StructuredLayersError(
                f"{name} goes with controller {' or '.join(allowed)}, got controller {controller}"
            )
    if config.num_mutations is not None and config.num_mutations < 0:
        raise StructuredLayersError(f"num_mutations must be at least 0, got {config.num_mutations}")


def check_start(config: RunConfig) -> None:
    """Refuse a start at a policy that the controller would not keep to.

    Raises:
        StructuredLayersError: naming the setting.
    """
    for name, given, allowed in (
        ("init_from", config.init_from is not None, STARTING),
        ("dense_steps", config.dense_steps != 0, KEEPING),
    ):
        if given and config.controller not in allowed:
            raise StructuredLayersError(
                f"{name} goes with controller {' or '.join(allowed)}, got controller "
                f"{config.controller or 'regularized-evolution'}"
            )
    if config.controller == "latent":
        _check_latent(config)
    if config.controller == "magnitude":
        _check_magnitude(config)
    _check_dense_phase(config)
    _check_initial_policy(config)
    if config.dense_steps or config.init_from is not None:
        _check_place_for_dense_weights(config)


def _check_dense_phase(config: RunConfig) -> None:
    """Refuse a dense phase of no length or of all, and a share of edges without one."""
    if not 0 < config.dense_share <= 1:
        raise StructuredLayersError(f"dense_share must lie in (0, 1], got {config.dense_share}")
    if config.dense_share != 1 and not (config.dense_steps and config.structure == "chromatic"):
        raise StructuredLayersError(
            f"dense_share goes with dense_steps and structure chromatic, got dense_steps "
            f"{config.dense_steps} and structure {config.structure}"
        )
    if not 0 <= config.dense_steps < config.total_steps:
        raise StructuredLayersError(
            f"dense_steps must lie between 0 and total_steps={config.total_steps}, in which they "
            f"count, got {config.dense_steps}"
        )


def _check_initial_policy(config: RunConfig) -> None:
    """Refuse two starts in one run."""
    if config.dense_steps and config.init_from is not None:
        raise StructuredLayersError(
            "init_from is a policy that was trained before and dense_steps trains one; leave one "
            "of the two out"
        )
    if config.init_vecnormalize is not None and config.init_from is None:
        raise StructuredLayersError("init_vecnormalize goes with init_from")
    if config.zero_init and config.init_from is not None:
        raise StructuredLayersError("zero_init and init_from are two different starts; take one")


def _check_place_for_dense_weights(config: RunConfig) -> None:
    """Refuse networks that cannot take over dense weights, before any step is spent on these."""
    if config.skip or config.unit_activations is not None:
        raise StructuredLayersError(
            "init_from and dense_steps go with a plain tanh network, without skip and "
            "unit_activations"
        )
    is_colored = config.structure == "chromatic" or config.num_colors is not None
    removes_edges = config.structure == "edge-mask" or config.num_edges is not None
    if config.edges_per_layer is not None or (is_colored and removes_edges):
        names = ("num_colors", "num_edges", "edges_per_layer")
        given = [f"{n} {v}" for n in names if (v := getattr(config, n)) is not None]
        raise StructuredLayersError(
            f"init_from and dense_steps go with structure chromatic and all its edges, with edges "
            f"and num_edges, or with edge-mask without num_colors, got structure "
            f"{config.structure} with {', '.join(given)}"
        )

"""Pictures of training and of structure; needs the extra ``plots``."""

from .best_per_interval import plot_best_per_interval
from .edge_frequencies import plot_edge_frequencies
from .learning_curve import plot_learning_curve
from .network_graph import plot_network_graph
from .over_steps import plot_over_steps
from .return_against_edges import plot_return_against_edges
from .runs import plot_run_panels, plot_runs
from .weights import plot_weights

__all__ = [
    "plot_best_per_interval",
    "plot_edge_frequencies",
    "plot_learning_curve",
    "plot_network_graph",
    "plot_over_steps",
    "plot_return_against_edges",
    "plot_run_panels",
    "plot_runs",
    "plot_weights",
]

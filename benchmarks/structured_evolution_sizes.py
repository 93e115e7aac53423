"""Parameters of the structured-evolution networks beside those that were published.

    python benchmarks/structured_evolution_sizes.py

Prints a table for the spaces of this machine's environments. Numbers differ where v5 has other
observations than the paper's version, and in three cells that no network of the described kind has.
"""

from __future__ import annotations

import sys

from markdown_tables import table

from structured_layers.algorithms import structured_evolution_network
from structured_layers.integrations.evotorch.spaces import actions_of
from structured_layers.integrations.simulators import make_simulator

# Choromanski et al. 2018, Table 1: orthogonal, Hadamard, unstructured
PUBLISHED = {
    "Swimmer-v5": (253, 253, 1408),
    "Ant-v5": (362, 254, 4896),
    "HalfCheetah-v5": (266, 254, 2174),
    "Hopper-v5": (257, 254, 1536),
    "Humanoid-v5": (636, 510, 13664),
    "Walker2d-v5": (266, 254, 1824),
    "Pusher-v5": (273, 255, 2048),
    "Reacher-v5": (256, 256, 1189),
    "MountainCarContinuous-v0": (246, 246, 1184),
    "Pendulum-v1": (247, 247, 1216),
}


def main() -> int:
    """Print the table."""
    rows = []
    for env, published in PUBLISHED.items():
        with make_simulator(env, capacity=1) as simulator:
            observations = simulator.observation_size
            outputs = actions_of(simulator.action_space).num_outputs
        ours = [
            structured_evolution_network(variant, observations, outputs, directions=directions)
            for variant, directions in (
                ("STST", "orthogonal"),
                ("STST", "hadamard"),
                ("UNUN", "orthogonal"),
            )
        ]
        cells = [
            f"{network.num_parameters} ({'+'.join(map(str, network.hidden))}) / {theirs}"
            for network, theirs in zip(ours, published, strict=True)
        ]
        rows.append((env, f"{observations} / {outputs}", *cells))
    header = ("environment", "spaces", "orthogonal, ours / published", "Hadamard", "unstructured")
    print("\n".join(table(header, rows)))
    return 0


if __name__ == "__main__":
    sys.exit(main())

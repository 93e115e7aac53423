"""A controller of one's own: hill climbing over the structures of a policy.

    python examples/own_controller.py

It proposes small changes of the best structure that it has seen. ESENAS asks it for a structure for
every candidate and tells it what they reached.
"""

import argparse
from functools import partial

import torch

from structured_layers import ChromaticLinear, Palette, mlp
from structured_layers.algorithms import ESENAS, Controller, SearchSpace
from structured_layers.integrations.evotorch import PolicyProblem


class HillClimbing(Controller):
    def __init__(self, space, *, seed=None):
        super().__init__(space, seed=seed)
        self._best = space.sample(1, self.generator)[0]
        self._objective = torch.tensor(-torch.inf)

    def propose(self, n):
        return self.space.mutate(self._best.expand(n, -1), self.generator)

    def best(self):
        return self._best.clone()

    def _observe(self, decisions, objectives):
        if objectives.max() > self._objective:
            self._best, self._objective = decisions[objectives.argmax()], objectives.max()

    def _state(self):
        return {"best": self._best, "objective": self._objective}

    def _load_state(self, state):
        self._best, self._objective = state["best"], state["objective"]


def main() -> None:
    """Search a coloring of Swimmer's linear policy."""
    parser = argparse.ArgumentParser(description="Search with a controller of one's own.")
    parser.add_argument("--popsize", type=int, default=16)
    parser.add_argument("--generations", type=int, default=10)
    parser.add_argument("--episode-length", type=int, default=1000)
    args = parser.parse_args()

    layer = partial(ChromaticLinear, palette=Palette(8))
    network = mlp(8, [], 2, layer=layer, output_bias=False)
    space = SearchSpace.of(network)
    problem = PolicyProblem(
        "Swimmer-v5", network, search_space=space, episode_length=args.episode_length, seed=0
    )
    search = ESENAS(problem, HillClimbing(space, seed=0), popsize=args.popsize, seed=0)
    search.run(args.generations)
    print(f"mean return {search.status['mean_eval']:.1f}, best structure")
    print(search.center_decisions().reshape(2, 8))


if __name__ == "__main__":
    main()

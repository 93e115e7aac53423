"""The part that every search shares: whole steps only, and a state to go on from."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from evotorch import Problem, SolutionBatch
from evotorch.algorithms.searchalgorithm import SearchAlgorithm, SinglePopulationAlgorithmMixin
from torch import Tensor

from structured_layers.errors import StructuredLayersError
from structured_layers.interruptions import interrupts_held

from .offspring import Described
from .saved_states import check_kind, take_up_whole
from .search_checks import check_fitnesses, problem_records, restore_problem_records


class ResumableSearch(SearchAlgorithm, SinglePopulationAlgorithmMixin):
    """A search of which a step that fails leaves nothing behind; abstract.

    A subclass says what a generation is, which batches it keeps, and what its state holds.
    """

    _batches: tuple[str, ...] = ("_population",)  # attributes with the last generation's batches
    _population: SolutionBatch | None
    _generator: torch.Generator

    @property
    def population(self) -> SolutionBatch | None:
        """The candidates of the last generation."""
        return self._population

    @abstractmethod
    def _generation(self) -> None:
        """Ask for candidates, evaluate them, learn from them."""

    @abstractmethod
    def _kind(self) -> dict[str, Any]:
        """Return which search a state belongs to."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Return everything that later generations depend on, the problem's state included."""

    @abstractmethod
    def _take_up(self, state: Mapping[str, Any]) -> None:
        """Take up a state of this kind of search."""

    def _step(self) -> None:
        before, records = self.state_dict(), problem_records(self.problem)
        batches = {name: getattr(self, name) for name in self._batches}
        try:
            self._generation()
        except BaseException:  # go on as if the generation had not begun
            with interrupts_held():
                self.load_state_dict(before)
                restore_problem_records(self.problem, records)
                for name, batch in batches.items():
                    setattr(self, name, batch)
                if self._steps_count:
                    self.update_status({"iter": self._steps_count, **self.problem.status})
            raise

    def _fitnesses(
        self, batch: SolutionBatch, described: Described | None, *, num_perturbed: int
    ) -> Tensor:
        """Evaluate a batch and return its fitnesses (n,), to be maximised.

        Args:
            batch: its values are filled in.
            described: how its first candidates follow from a few numbers; None if they do not.
            num_perturbed: how many of the first rows feed statistics of observations.
        """
        describe_next = getattr(self.problem, "describe_next", None)
        if describe_next is not None:
            describe_next(described, num_perturbed=num_perturbed)
        try:
            self.problem.evaluate(batch)
        finally:
            if describe_next is not None:
                describe_next(None)  # it may have failed before the description was used
        # a plain copy: EvoTorch hands out read-only tensors
        evals: Tensor = batch.evals[:, 0].as_subclass(Tensor).clone()
        check_fitnesses(evals)
        return evals if self.problem.senses[0] == "max" else -evals

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what :meth:`state_dict` returned.

        Raises:
            StructuredLayersError: it is the state of another kind of search, or not a whole one;
                nothing has changed.
        """
        check_kind("search", self._kind(), state.get("search"))
        take_up_whole("search", self._take_up, self.state_dict(), state)
        self.clear_status()  # it keeps what was asked for before

    def _check_not_begun(self) -> None:
        if self._steps_count:
            raise StructuredLayersError(
                f"a search starts somewhere before its first step, and this one took "
                f"{self._steps_count}"
            )

    def _common_state(self) -> dict[str, Any]:
        """Return the part of the state that every search has."""
        state = {
            "search": self._kind(),
            "step_count": self._steps_count,
            "generator": self._generator.get_state(),
        }
        if hasattr(self.problem, "state_dict"):
            state["problem"] = self.problem.state_dict()
        return state

    def _take_up_common(self, state: Mapping[str, Any]) -> None:
        """Take up what :meth:`_common_state` returned."""
        self._steps_count = int(state["step_count"])
        self._generator.set_state(state["generator"])
        if "problem" in state:
            self.problem.load_state_dict(state["problem"])


def drawn_seed(problem: Problem) -> int:
    """Draw a seed as EvoTorch's own searches do: from the problem's generator, else torch's."""
    return int(torch.randint(2**63 - 1, (), generator=problem.generator))


def seeded_generator(problem: Problem, seed: int | None) -> torch.Generator:
    """Return a search's own generator; None lets the problem draw its seed."""
    return torch.Generator().manual_seed(drawn_seed(problem) if seed is None else int(seed))


def kept_rows(problem: Problem, population: SolutionBatch) -> Tensor:
    """Return which evaluated candidates count, (n,): all that did not fail, as the problem says.

    A failed one has a fitness that is not its own. If all failed, all count.
    """
    failed = torch.zeros(len(population), dtype=torch.bool)
    if hasattr(problem, "failed"):
        failed = problem.failed(population)
    return torch.ones_like(failed) if bool(failed.all()) else ~failed

"""A run: a folder in which a search trains, survives being killed, and leaves its policy."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Unpack

from torch.utils.tensorboard import SummaryWriter

from structured_layers.algorithms.checkpoints import read_checkpoint, write_checkpoint
from structured_layers.errors import CheckpointError, StructuredLayersError
from structured_layers.files import DAMAGE, remove_temporary_files
from structured_layers.interruptions import interrupts_held

from .best_center import BestCenter
from .dense_phase import train_dense_phase
from .generation_record import progress_row, record_structures
from .history import History
from .initial_policy import begin_as_configured
from .progress import ProgressFile
from .run_config import RunConfig
from .run_files import (
    config_digest,
    locked,
    new_folder,
    read_run_config,
    write_run_config,
    writing,
)
from .run_network import num_edges_left
from .run_parts import build
from .run_results import write_results
from .transfer import hold_as_configured
from .workers import Workers

Row = dict[str, Any]


class Run:
    """A run's folder: ``config.json``, ``progress.csv``, ``checkpoint/``, ``policy/``, ``report/``.

    With a search for structures ``history/`` holds snapshots of them; where these have a cost,
    ``pareto.csv`` is the front of return and cost; ``dense/`` is the run of a dense phase.

    Make one with :meth:`create` or :meth:`resume`, then :meth:`train`.
    The policy in ``policy/`` is the centre of the generation with the best ``return_center`` so
    far, or what the controller's objective makes of it: never a single lucky candidate, but still
    the best of many; evaluate it again.

    Args:
        folder: the run's folder.
        config: its settings.
        **workers: who evaluates, see :class:`~.workers.Workers`.
    """

    def __init__(self, folder: Path, config: RunConfig, **workers: Unpack[Workers]) -> None:
        """Build the search; nothing is read or written yet."""
        self.folder, self.config, self._workers = folder, config, workers
        self._parts = build(config, **workers)
        self.spec, self.problem, self.search = self._parts
        self.best = BestCenter()
        space = self.problem.search_space
        self.history = None if space is None else History(folder, space, config.total_steps)
        self.seconds = 0.0
        self.saved_generation = 0
        self._is_whole = True  # not half way into a generation, or back out of it

    @classmethod
    def create(cls, folder: str | Path, config: RunConfig, **workers: Unpack[Workers]) -> Run:
        """Start a run in a new folder.

        Raises:
            StructuredLayersError: the folder exists, or the settings do not work; then no folder is
                left behind.
        """
        folder = Path(folder)
        if folder.exists():
            raise StructuredLayersError(
                f"{folder} exists; choose another --out, remove it, or go on with "
                f"`structured-layers resume {folder}`"
            )
        run = cls(folder, config, **workers)
        begin_as_configured(config, run.problem, run.search)
        hold_as_configured(config, run._parts)
        with new_folder(folder) as temporary:
            write_run_config(temporary, config)
            ProgressFile(temporary / "progress.csv")
            write_checkpoint(temporary / "checkpoint", run._saved_state(temporary), number=0)
        return run

    @classmethod
    def resume(cls, folder: str | Path, **workers: Unpack[Workers]) -> Run:
        """Go on with a run, to the same numbers as if it had never stopped.

        Raises:
            CheckpointError: not a run, or one that is cut off, or of a newer or earlier version.
            StructuredLayersError: another process is training it.
        """
        folder = Path(folder)
        config = read_run_config(folder, to_resume=True)
        with locked(folder):
            state = read_checkpoint(folder / "checkpoint")
            if not isinstance(state, dict) or state.get("config") != config_digest(config):
                raise CheckpointError(
                    f"{folder}/checkpoint is not of this run: its settings are not those of "
                    "config.json, which must stay as they are"
                )
            run = cls(folder, config, **workers)
            run._restore(state)
        return run

    def _restore(self, state: dict[str, Any]) -> None:
        """Go back to the checkpoint, and cut off what came after it."""
        try:
            self._load_state(state)
            mark = {**state["progress"], "bytes": int(state["progress"]["bytes"])}
        except DAMAGE as error:
            raise CheckpointError(
                f"{self.folder}/checkpoint is not of this run: {type(error).__name__}: {error}"
            ) from error
        self.progress.cut(mark)
        if self.history is not None:
            self.history.drop_after(self.generation)
        self.saved_generation = self.generation
        remove_temporary_files(self.folder)

    @property
    def progress(self) -> ProgressFile:
        """The run's ``progress.csv``."""
        return ProgressFile(self.folder / "progress.csv")

    @property
    def generation(self) -> int:
        """Finished generations."""
        return int(self.search.step_count)

    @property
    def finished(self) -> bool:
        """Whether the run took all its steps and, if it removes edges, has its policy of few."""
        took_all = self.generation > 0 and self.problem.env_steps >= self.config.total_steps
        # edges go behind a generation: few long ones end before one is evaluated with the last size
        size = self.best.size
        return took_all and (size is None or size <= num_edges_left(self.config))

    def train(
        self,
        *,
        checkpoint_every: int = 10,
        on_generation: Callable[[Row], None] | None = None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """Train until the steps are used up or ``should_stop`` says so, then save.

        An exception out of a generation saves the state before it, Ctrl-C held back, and goes on.

        Args:
            checkpoint_every: generations between two checkpoints.
            on_generation: receives every new row of ``progress.csv``.
            should_stop: asked after every generation.

        Raises:
            EvaluationError: too many candidates of a generation failed.
            StructuredLayersError: another process is training this run, or has done so; or the
                folder cannot be written any more, which leaves the last checkpoint as it is.
        """
        if checkpoint_every < 1:
            raise StructuredLayersError(
                f"checkpoint_every must be at least 1, got {checkpoint_every}"
            )
        how = (checkpoint_every, on_generation, should_stop)
        with self._exclusive():
            if train_dense_phase(self, self._workers, *how):
                self._train(*how)

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        """Hold the folder's lock, and refuse a run that somebody else has taken further."""
        with locked(self.folder):
            self._check_whole()
            rows = self.progress.read()
            if len(rows) != self.generation:
                raise StructuredLayersError(
                    f"{self.folder} has gone on to generation {len(rows)} since it was opened at "
                    f"generation {self.generation}; resume it again"
                )
            yield

    def _train(
        self,
        checkpoint_every: int,
        on_generation: Callable[[Row], None] | None,
        should_stop: Callable[[], bool],
    ) -> None:
        progress = self.progress
        with writing(self.folder, self.saved_generation):
            writer = SummaryWriter(str(self.folder / "tensorboard"), purge_step=self.generation + 1)
        try:
            while not self.finished and not should_stop():
                row = self._generation(progress)
                with writing(self.folder, self.saved_generation):
                    for name, value in row.items():
                        writer.add_scalar(f"train/{name}", value, self.generation)
                if self.generation % checkpoint_every == 0:
                    self.save()
                if on_generation is not None:
                    on_generation(row)
        finally:
            try:
                if self._is_whole:
                    self.save()
            finally:
                with writing(self.folder, self.saved_generation):
                    writer.close()

    def _generation(self, progress: ProgressFile) -> Row:
        """Take one step of the search; if it fails, put everything back as it was before.

        The row is part of the generation, so that no checkpoint is ahead of ``progress.csv``.
        """
        before = copy.deepcopy(self._state())
        normalizer, center = copy.deepcopy(self.problem.normalizer), self.search.center_solution()
        size = getattr(self.search, "num_kept", None)  # of a search that removes edges
        self._is_whole, start = False, time.perf_counter()
        try:
            self.search.step()
            self.seconds += time.perf_counter() - start
            row = progress_row(self.search, self.problem, self.seconds)
            centers = self.search.center_population
            # if all of them failed, the return is not the centre's
            if centers is not None and not self.problem.failed(centers).all():
                merit = self.search.center_merit(center, row["return_center"])
                self.best.offer(merit, center, normalizer, size)
            with writing(self.folder, self.saved_generation):
                if self.history is not None:
                    record_structures(self.history, self.search, self.problem)
                progress.append(row)
        except BaseException:
            with interrupts_held():
                self._load_state(before)
                self._is_whole = True
            raise
        self._is_whole = True
        return row

    def save(self) -> None:
        """Write the checkpoint and the policy.

        Raises:
            StructuredLayersError: they cannot be written; what was there before is whole.
        """
        self._check_whole()
        with interrupts_held():
            with writing(self.folder, self.saved_generation):
                self.progress.sync()  # no checkpoint may outlive the rows before it
                state = self._saved_state(self.folder)
                write_checkpoint(self.folder / "checkpoint", state, number=self.generation)
            self.saved_generation = self.generation
            with writing(self.folder, self.saved_generation):
                write_results(self.folder, self._parts, self.best)

    def _check_whole(self) -> None:
        if not self._is_whole:
            raise StructuredLayersError(
                f"this run was interrupted while its state was put back; its checkpoint of "
                f"generation {self.saved_generation} is whole: go on with Run.resume"
            )

    def _state(self) -> dict[str, Any]:
        history = {} if self.history is None else {"history": self.history.state_dict()}
        return {
            "search": self.search.state_dict(),
            "best": self.best.state_dict(),
            "seconds": self.seconds,
            **history,
        }

    def _saved_state(self, folder: Path) -> dict[str, Any]:
        """Return the state, and what it says of the other files beside it."""
        progress = ProgressFile(folder / "progress.csv").mark(self.generation)
        return {**self._state(), "config": config_digest(self.config), "progress": progress}

    def _load_state(self, state: dict[str, Any]) -> None:
        self.search.load_state_dict(state["search"])
        self.best.load_state_dict(state["best"])
        self.seconds = float(state["seconds"])
        if self.history is not None and "history" in state:  # earlier runs kept none
            self.history.load_state_dict(state["history"])

    def close(self) -> None:
        """Stop the actors."""
        if self.problem.actors is not None:
            self.problem.kill_actors()

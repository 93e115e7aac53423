"""``structured-layers compress``: a trained Stable-Baselines3 policy made compact."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from rich.console import Console

from structured_layers.errors import MissingDependencyError, StructuredLayersError

from .compress_output import check_output, make_folder
from .options import Count, optional
from .sb3_models import Algorithm, load_env, load_model, load_replay_buffer

Layer = Literal[
    "chromatic",
    "circulant",
    "hankel",
    "low_displacement_rank",
    "masked",
    "soft_masked",
    "toeplitz",
]
Model = Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="MODEL.ZIP")]


@dataclass(frozen=True)
class Compress:
    """Make a trained Stable-Baselines3 policy compact: distil it, fine-tune it, evaluate it.

    With --sweep, under every structure, with a table and a picture of return against bits. Models,
    normalizers and replay buffers of Stable-Baselines3 are pickles, which run code when they are
    opened: open only files that you trust.
    """

    model: Model
    """What model.save of Stable-Baselines3 wrote."""
    algo: Annotated[Algorithm, tyro.conf.arg(help_behavior_hint="(required)")]
    """The algorithm that trained it."""
    env: Annotated[str, tyro.conf.arg(metavar="ENV", help_behavior_hint="(required)")]
    """Gymnasium id of its environment."""
    out: Annotated[Path, tyro.conf.arg(metavar="FOLDER", help_behavior_hint="(required)")]
    """Folder for the compact model or the sweep. Nothing is overwritten; an unfinished sweep goes
    on."""
    vecnormalize: Annotated[Path | None, optional("STATS.PKL", "no normalizer")] = None
    """What VecNormalize.save wrote. A policy that was trained with one is useless without it."""
    replay_buffer: Annotated[Path | None, optional("BUFFER.PKL", "an empty one")] = None
    """What model.save_replay_buffer wrote, for fine-tuning SAC and its kin. Zips hold none."""
    layer: Layer = "chromatic"
    """The structure."""
    num_colors: Annotated[int | None, optional("N", "17")] = None
    """Shared weights of a chromatic actor."""
    num_edges: Annotated[int | None, optional("N", "64")] = None
    """Edges that a masked actor keeps."""
    rank: Annotated[int | None, optional("N", "1")] = None
    """Displacement rank."""
    target: Annotated[str, tyro.conf.arg(metavar="TARGET")] = "actor"
    """actor (what is deployed), critic, all, or a regular expression for full layer names."""
    sweep: bool = False
    """Whether to compare every structure in several sizes."""
    states: Count = 8192
    """States at which the compact policy first learns from the old one."""
    updates: Count = 2000
    """Updates of each of the three rounds in which it does."""
    fine_tune_steps: Count = 0
    """Environment steps of training after distillation."""
    learning_rate: Annotated[float | None, optional("X", "the model's own schedule")] = None
    """Where the learning rate of these steps starts, on its line to zero."""
    episodes: Count = 20
    """Episodes of each evaluation."""
    num_envs: Count = 4
    """Environments that run beside each other, best as many as in the training."""
    seed: Count = 0
    """Seed of environments, distillation and training."""
    device: Annotated[str, tyro.conf.arg(metavar="DEVICE")] = "auto"
    """Where the networks run, such as cpu or cuda."""

    def run(self) -> int:
        """Compress, report, and return the exit code."""
        structure = self._structure()
        self._check_fine_tuning()
        check_output(self.out, (self.model, self.vecnormalize, self.replay_buffer), self.sweep)
        try:
            from ..sb3.distillation import Distillation
            from ..sb3.sweep import SweepSettings
        except ImportError as error:
            if isinstance(error, MissingDependencyError):
                raise
            raise MissingDependencyError("Compressing models", "sb3") from error
        settings = SweepSettings(
            distillation=Distillation(num_states=self.states, num_updates=self.updates),
            fine_tune_steps=self.fine_tune_steps,
            learning_rate=self.learning_rate,
            num_episodes=self.episodes,
            seed=self.seed,
        )
        console = Console(soft_wrap=True, highlight=False)
        env = load_env(self.env, self.num_envs, self.vecnormalize, self.seed)
        try:
            model = load_model(self.model, self.algo, env, self.device)
            if self.replay_buffer is not None:
                load_replay_buffer(model, self.replay_buffer)
            self._warn(model)
            result = self._compress(model, structure, settings, console)
        finally:
            env.close()
        console.print(str(result), markup=False)
        console.print(str(self.out), markup=False)
        return 0

    def _compress(self, model: Any, structure: Any, settings: Any, console: Console) -> Any:
        """Run the sweep, or the one structure beside the dense policy as it is."""
        from ..sb3.compression import check_compression
        from ..sb3.learning_checks import check_can_learn
        from ..sb3.sweep import compress_row, compress_sweep
        from ..sb3.sweep_results import Sweep

        if self.sweep:
            return compress_sweep(
                model,
                target=self.target,
                out=self.out,
                on_row=lambda row: console.print(f"{row.name}: {row.last}", markup=False),
                **vars(settings),
            )
        check_compression(model, target=self.target, **structure)
        if self.fine_tune_steps:
            check_can_learn(model)
        make_folder(self.out)
        untuned = replace(settings, fine_tune_steps=0)
        dense = compress_row(model, {"layer": "dense"}, settings=untuned)
        row = compress_row(model, structure, self.target, settings, self.out)
        result = Sweep((dense, row), {**asdict(settings), "target": self.target})
        result.write(self.out, "compression")
        return result

    def _warn(self, model: Any) -> None:
        """Say if a normalizer seems to be missing: a rollout leaves its raw observations behind."""
        from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

        raw = getattr(model, "_last_original_obs", None)
        if self.vecnormalize is None and raw is not None and isinstance(model, OnPolicyAlgorithm):
            _print_warning(
                "the model was trained with a VecNormalize; give its file with --vecnormalize, or "
                "returns will be far too low"
            )
        is_off_policy = hasattr(model, "load_replay_buffer")
        if self.fine_tune_steps and is_off_policy and self.replay_buffer is None:
            _print_warning(
                "zips hold no replay buffer, so fine-tuning starts on few transitions; give a "
                "saved one with --replay-buffer"
            )

    def _check_fine_tuning(self) -> None:
        """Refuse options that only fine-tuning takes."""
        given = {"--learning-rate": self.learning_rate, "--replay-buffer": self.replay_buffer}
        for option, value in given.items():
            if value is not None and not self.fine_tune_steps:
                raise StructuredLayersError(f"{option} goes with --fine-tune-steps")

    def _structure(self) -> dict[str, Any]:
        """Return the structure, and refuse options that it does not take."""
        sizes = {"num_colors": "chromatic", "num_edges": "masked", "rank": "low_displacement_rank"}
        given = {name: getattr(self, name) for name in sizes if getattr(self, name) is not None}
        for name in given:
            option = f"--{name.replace('_', '-')}"
            if self.sweep:
                raise StructuredLayersError(f"{option} goes without --sweep, which takes all sizes")
            if sizes[name] != self.layer:
                raise StructuredLayersError(f"{option} goes with --layer {sizes[name]}")
        defaults = {"chromatic": {"num_colors": 17}, "masked": {"num_edges": 64}}
        return {"layer": self.layer, **defaults.get(self.layer, {}), **given}


def _print_warning(text: str) -> None:
    Console(stderr=True, soft_wrap=True, highlight=False).print(
        f"warning: {text}", style="yellow", markup=False
    )

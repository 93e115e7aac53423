"""The best policy so far, as files that need no Stable-Baselines3."""

from __future__ import annotations

from pathlib import Path

from stable_baselines3.common.callbacks import BaseCallback

from ....errors import StructuredLayersError
from ..deployment import deployed_policy


class ExportBestCallback(BaseCallback):
    """Write the deployed policy to a folder whenever an evaluation finds a new best one.

    The folder holds ``policy.json`` and ``weights.safetensors``, no pickle:
    :func:`~structured_layers.load_policy` reads it and decides with NumPy, without
    Stable-Baselines3. Observation statistics of ``VecNormalize`` are in it.

    Args:
        path: the folder, made if need be.
        verbose: as for every callback.

    Raises:
        StructuredLayersError: when training starts, for a policy that the files cannot describe
            (see :func:`~structured_layers.integrations.sb3.deployment.deployed_policy`), or outside
            of an ``EvalCallback``. A ``CallbackList`` between the two is fine.

    Examples:
        >>> best = ExportBestCallback("best_policy")
        >>> callback = EvalCallback(eval_env, callback_on_new_best=best)  # doctest: +SKIP
        >>> policy = load_policy("best_policy")  # doctest: +SKIP
    """

    def __init__(self, path: str | Path, *, verbose: int = 0) -> None:
        """Keep the path."""
        super().__init__(verbose)
        self.path = Path(path)

    def _init_callback(self) -> None:
        deployed_policy(self.model)  # what cannot be exported is said before training

    def _on_training_start(self) -> None:
        # Under an EvalCallback this is not called, and a list names its parent after
        # _init_callback: only here is it known that nothing above decides when to export.
        if self.parent is None:
            raise StructuredLayersError(
                "ExportBestCallback does not evaluate by itself; use "
                "EvalCallback(eval_env, callback_on_new_best=ExportBestCallback(path))"
            )

    def _on_step(self) -> bool:
        deployed_policy(self.model).save(self.path)
        return True

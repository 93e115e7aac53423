"""The MuJoCo tasks that run without Gymnasium's step: one small file for each."""

from .ant import Ant
from .base import AssetTask, Outcome, State, Step, Task
from .half_cheetah import HalfCheetah
from .hopper import Hopper
from .humanoid import Humanoid
from .inverted_double_pendulum import InvertedDoublePendulum
from .inverted_pendulum import InvertedPendulum
from .pusher import Pusher
from .reacher import Reacher
from .striker import Striker
from .swimmer import Swimmer
from .thrower import Thrower
from .walker2d import Walker2d

TASKS: dict[str, type[Task]] = {
    "Swimmer-v5": Swimmer,
    "Reacher-v5": Reacher,
    "Hopper-v5": Hopper,
    "HalfCheetah-v5": HalfCheetah,
    "Walker2d-v5": Walker2d,
    "Pusher-v5": Pusher,
    "Ant-v5": Ant,
    "Humanoid-v5": Humanoid,
    "InvertedPendulum-v5": InvertedPendulum,
    "InvertedDoublePendulum-v5": InvertedDoublePendulum,
    "structured_layers/Striker-v0": Striker,
    "structured_layers/Thrower-v0": Thrower,
}


def task_name(env_id: str) -> str:
    """Return the key in `TASKS` for an id, which may name our own module of environments."""
    return env_id.removeprefix("structured_layers.integrations.envs:")


__all__ = ["TASKS", "AssetTask", "Outcome", "State", "Step", "Task", "task_name"]

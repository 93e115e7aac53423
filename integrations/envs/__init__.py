"""Environments of the papers that Gymnasium does not have, registered when this is imported.

`gymnasium.make("structured_layers.integrations.envs:structured_layers/Striker-v0")` imports it.
"""

import gymnasium

ENVIRONMENTS = {
    "structured_layers/Striker-v0": ("striker:StrikerEnv", 100),
    "structured_layers/Thrower-v0": ("thrower:ThrowerEnv", 100),
    "structured_layers/Minitaur-v0": ("minitaur:MinitaurEnv", 500),
    "structured_layers/MinitaurPMTG-v0": ("minitaur_pmtg:MinitaurPMTGEnv", 500),
}
"""Entry point in this package and time limit of each id."""

for _id, (_entry_point, _time_limit) in ENVIRONMENTS.items():
    if _id not in gymnasium.registry:
        gymnasium.register(
            _id, entry_point=f"{__name__}.{_entry_point}", max_episode_steps=_time_limit
        )

__all__ = ["ENVIRONMENTS"]

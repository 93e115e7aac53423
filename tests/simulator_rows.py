"""Episodes of Gymnasium and of a simulator as rows that can be compared bit for bit."""

import gymnasium
import numpy as np

COLUMNS = ("observations", "rewards", "alive_bonus", "terminated", "truncated")


def random_actions(env_id, seed, num_steps, **env_config):
    """Uniform float32 actions, (num_steps, action_size)."""
    with_spaces = gymnasium.make(env_id, disable_env_checker=True, **env_config)
    space = with_spaces.action_space
    with_spaces.close()
    generator = np.random.default_rng(seed)
    return generator.uniform(space.low, space.high, (num_steps, *space.shape)).astype(np.float32)


def gymnasium_rows(env_id, seed, actions, **env_config):
    """What Gymnasium gives for each action, reset with the next seed after each episode."""
    env = gymnasium.make(env_id, **env_config)
    observation, _ = env.reset(seed=seed)
    rows = [(observation, 0.0, 0.0, False, False)]
    for action in actions:
        observation, reward, terminated, truncated, info = env.step(action)
        bonus = info.get("reward_survive", 0.0) if "Inverted" not in env_id else 0.0
        rows.append((observation, reward, bonus, terminated, truncated))
        if terminated or truncated:
            seed += 1
            observation, _ = env.reset(seed=seed)
            rows.append((observation, 0.0, 0.0, False, False))
    env.close()
    return rows


def simulator_rows(simulator, seeds, actions, leaving=None):
    """The same rows for each slot, all slots in one batch; slot `leaving[0]` goes at a step."""
    slots, seeds = list(range(len(seeds))), list(seeds)
    rows = [[(first, 0.0, 0.0, False, False)] for first in simulator.reset(slots, seeds).tolist()]
    for step in range(len(actions[0])):
        if leaving is not None and step == leaving[1]:
            slots.remove(leaving[0])
        results = simulator.step(slots, np.stack([actions[slot][step] for slot in slots]))
        for slot, *row in zip(slots, *results[:5], strict=True):
            rows[slot].append(tuple(row))
            if row[3] or row[4]:
                seeds[slot] += 1
                first = simulator.reset([slot], [seeds[slot]])[0]
                rows[slot].append((first, 0.0, 0.0, False, False))
    return rows


def assert_same_rows(actual, expected):
    """Compare all columns of two lists of rows, every bit of them."""
    assert len(actual) == len(expected)
    for column, name in enumerate(COLUMNS):
        ours = np.array([row[column] for row in actual], dtype=np.float64)
        theirs = np.array([row[column] for row in expected], dtype=np.float64)
        assert np.array_equal(ours, theirs), name

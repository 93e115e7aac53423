"""The Minitaur's leg and the generator that moves it: closed chains, phases, gaits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from structured_layers.integrations.envs.leg import (
    LEVEL,
    LOWER,
    TOE,
    UPPER,
    knee_angles,
    leg_shape,
    motor_angles,
)
from structured_layers.integrations.envs.minitaur_model import LEGS, MOTORS, minitaur_model
from structured_layers.integrations.envs.quadruped import standing
from structured_layers.integrations.envs.trajectory_generator import (
    GAITS,
    HIGHEST,
    LOWEST,
    Modulation,
    advance,
    leg_poses,
)

swings = st.floats(-1.0, 1.0)
extensions = st.floats(-0.8, 1.2)
phases = st.floats(0.0, 2 * np.pi, exclude_max=True)
ratios = st.floats(0.2, 5.0)
MIDDLE = Modulation(3.0, 0.75, 0.25, 0.25, 2.6)


@given(swings, extensions)
def test_bars_keep_their_lengths(swing, extension):
    shape = leg_shape(LEVEL + extension + swing, LEVEL + extension - swing)
    lengths = [shape.back_knee, shape.front_knee]
    lengths += [shape.ankle - shape.back_knee, shape.ankle - shape.front_knee]
    lengths.append(shape.foot - shape.ankle)
    expected = [UPPER, UPPER, LOWER, LOWER, TOE]
    assert np.linalg.norm(lengths, axis=1) == pytest.approx(expected, rel=1e-12)


@given(swings, extensions)
def test_swing_turns_the_leg_forwards(swing, extension):
    still = leg_shape(LEVEL + extension, LEVEL + extension)
    turned = leg_shape(LEVEL + extension + swing, LEVEL + extension - swing)
    c, s = np.cos(swing), np.sin(swing)
    for before, after in zip(still, turned, strict=True):
        assert after == pytest.approx(
            [c * before[0] - s * before[1], s * before[0] + c * before[1]]
        )


def test_extension_lengthens_the_leg():
    depths = [-leg_shape(angle, angle).foot[1] for angle in np.linspace(0.8, 2.8, 21)]
    assert (np.diff(depths) > 0).all()


def test_knees_are_at_zero_where_the_upper_bars_are_level():
    assert knee_angles(LEVEL, LEVEL) == pytest.approx((0, 0), abs=1e-15)


def test_motors_are_in_the_originals_order():
    swing, extension = np.array([0.1, 0.2, 0.3, 0.4]), np.array([0.5, 0.6, 0.7, 0.8])
    angles = dict(zip(MOTORS, motor_angles(swing, extension), strict=True))
    for number, leg in enumerate(LEGS):
        assert angles[f"{leg}_back"] == LEVEL + extension[number] + swing[number]
        assert angles[f"{leg}_front"] == LEVEL + extension[number] - swing[number]
    assert [name.rsplit("_", 1)[1] for name in MOTORS] == ["back", "front"] * 2 + [
        "front",
        "back",
    ] * 2


def test_upper_bars_do_not_cross():
    for extension in (-3.0, 3.0):
        angles = motor_angles(np.zeros(4), np.full(4, extension))
        assert np.sign(np.sin(angles)).tolist() == [1] * 8
        assert np.abs(angles - LEVEL) == pytest.approx(np.pi / 2 - 0.05)


@given(st.lists(swings, min_size=4, max_size=4), st.lists(extensions, min_size=4, max_size=4))
def test_the_model_closes_its_legs_as_we_do(swing, extension):
    mujoco = pytest.importorskip("mujoco")
    model = _model()
    data = mujoco.MjData(model)
    data.qpos[:] = standing(motor_angles(np.array(swing), np.array(extension)))
    mujoco.mj_forward(model, data)
    ankles = data.efc_pos[data.efc_type == mujoco.mjtConstraint.mjCNSTR_EQUALITY]
    assert ankles.size == 12
    assert np.abs(ankles).max() < 1e-12
    feet = [data.geom(f"{leg}_foot").xpos[2] for leg in LEGS]
    assert min(feet) == pytest.approx(0.01, abs=1e-12)  # the foot's radius


@given(phases, ratios, st.floats(0.0, 3.0), st.floats(0.0, 3.0))
def test_advancing_adds_up(phase, ratio, first, second):
    twice = advance(advance(phase, first, ratio), second, ratio)
    once = advance(phase, first + second, ratio)
    assert np.exp(1j * twice) == pytest.approx(np.exp(1j * once), abs=1e-12)


@given(phases, ratios)
def test_a_stride_goes_round(phase, ratio):
    assert np.exp(1j * advance(phase, 1.0, ratio)) == pytest.approx(np.exp(1j * phase), abs=1e-12)


@pytest.mark.parametrize("ratio", [0.2, 1.0, 2.6, 5.0])
def test_phase_moves_at_the_papers_speeds(ratio):
    step = 1e-3
    stance, swing = 2 * np.pi * step * (ratio + 1) / (2 * ratio), 2 * np.pi * step * (ratio + 1) / 2
    assert advance(0.5, step, ratio) - 0.5 == pytest.approx(stance, rel=1e-9)
    assert advance(4.0, step, ratio) - 4.0 == pytest.approx(swing, rel=1e-9)


def test_poses_in_stance_and_swing():
    swing, extension = leg_poses(np.array([0, np.pi / 2, np.pi, 3 * np.pi / 2]), MIDDLE)
    assert swing == pytest.approx([0.375, 0, -0.375, 0], abs=1e-15)
    assert extension == pytest.approx([0.25, 0.25 - 0.02 * 0.75, 0.25, 0.25 - 0.9 * 0.75])


def test_heights_of_front_and_back_legs():
    modulation = MIDDLE._replace(front_height=0.1, back_height=0.7, intensity=0.0)
    assert leg_poses(np.zeros(4), modulation)[1].tolist() == [0.1, 0.7, 0.1, 0.7]
    assert LEGS[0].startswith("front") and LEGS[1].startswith("back")


def test_gaits_and_bounds():
    assert GAITS["trot"] == (0.0, 0.5, 0.5, 0.0)
    assert LOWEST == (2.0, 0.0, -0.5, -0.5, 0.2)
    assert HIGHEST == (4.0, 1.5, 1.0, 1.0, 5.0)


MODELS = []


def _model():
    """One model for all examples."""
    if not MODELS:
        MODELS.append(minitaur_model())
    return MODELS[0]

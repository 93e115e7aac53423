"""A compressed Gaussian policy explores at least as widely as its actions are off."""

import torch
from stable_baselines3 import PPO
from torch import Tensor

from structured_layers.integrations.sb3 import compress
from structured_layers.integrations.sb3.exploration import raise_exploration_
from structured_layers.integrations.sb3.policy_outputs import actor_outputs


def model_with_noise(log_std: float, **policy_kwargs: object) -> PPO:
    model = PPO(
        "MlpPolicy", "Pendulum-v1", n_steps=64, batch_size=64, seed=0, device="cpu",
        policy_kwargs={"net_arch": [8], **policy_kwargs},
    )  # fmt: skip
    with torch.no_grad():
        model.policy.log_std.fill_(log_std)
        model.policy.action_net.weight.mul_(100)
    return model


def errors(model: PPO, compact: PPO, states: Tensor) -> Tensor:
    with torch.no_grad():
        difference = actor_outputs(compact.policy, states)["means"]
        difference = difference - actor_outputs(model.policy, states)["means"]
    return difference.square().mean(dim=0).sqrt()


def test_noise_is_raised_to_the_error() -> None:
    model, states = model_with_noise(-6.0), torch.randn(50, 3)
    compact = compress(model, "chromatic", num_colors=2, distill=False)
    raise_exploration_(compact.policy, model.policy, states)
    torch.testing.assert_close(
        compact.policy.log_std.detach().exp(), errors(model, compact, states)
    )
    assert model.policy.log_std.item() == -6.0


def test_noise_that_is_larger_stays() -> None:
    model, states = model_with_noise(5.0), torch.randn(50, 3)
    compact = compress(model, "chromatic", num_colors=2, distill=False)
    raise_exploration_(compact.policy, model.policy, states)
    assert compact.policy.log_std.item() == 5.0


def test_noise_of_gsde_stays() -> None:
    model = PPO("MlpPolicy", "Pendulum-v1", n_steps=64, batch_size=64, use_sde=True, device="cpu")
    compact = compress(model, "toeplitz", distill=False)
    before = compact.policy.log_std.detach().clone()
    raise_exploration_(compact.policy, model.policy, torch.randn(50, 3))
    assert torch.equal(compact.policy.log_std, before)

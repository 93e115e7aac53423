"""What a trained model runs on a robot: normalisation, network and actions, without SB3."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.preprocessing import is_image_space
from stable_baselines3.common.torch_layers import FlattenExtractor
from torch import nn

from ...actions import Actions, BoxActions, DiscreteActions
from ...errors import StructuredLayersError
from ...layers import ChromaticLinear, MaskedLinear
from ...policy import Policy
from ...sequential_spec import SequentialSpec

Floats = NDArray[np.float64]


def deployed_policy(model: Any) -> Policy:
    """Return the deterministic policy of a model as one that decides with NumPy only.

    It equals ``model.predict(observation, deterministic=True)`` up to rounding, but takes the
    observation before normalisation: the statistics of ``VecNormalize`` become part of it. Learned
    colours and masks are fixed as they are now. Nothing is shared with the model.

    Args:
        model: PPO, A2C, TRPO, MaskablePPO, SAC, TQC, TD3, DDPG, DQN or ARS, with flat observations
            and Box or Discrete actions; the activations Tanh, ReLU, Sigmoid, SiLU, Hardtanh.

    Raises:
        StructuredLayersError: naming what cannot be described.

    Examples:
        >>> deployed_policy(model).save("policy")  # doctest: +SKIP
    """
    space = model.observation_space
    if not isinstance(space, spaces.Box) or is_image_space(space):
        raise _refused(model, f"its observations are {space}, and only flat boxes are supported")
    modules, rescale = _modules(model)
    mean, std, clip = observation_statistics(model)
    if clip is not None:
        modules = [nn.Hardtanh(-clip, clip), *modules]
    network = nn.Sequential(
        *(hardened(m) for m in flat_modules(copy.deepcopy(nn.Sequential(*modules))))
    )
    network = network.cpu().requires_grad_(False).eval()
    return Policy(
        network,
        _actions(model, rescale),
        observation_mean=mean,
        observation_std=std,
        observation_shape=space.shape,
        spec=SequentialSpec.of(network),
        env=_env_id(model),
    )


def _modules(model: Any) -> tuple[list[nn.Module], bool]:
    """Return what the features pass through, and whether outputs in [-1, 1] are rescaled."""
    policy = model.policy
    if hasattr(policy, "lstm_actor"):
        raise _refused(model, "it is recurrent")
    if hasattr(policy, "quantile_net"):
        raise _refused(model, "its outputs are quantiles, not values of actions")
    if hasattr(policy, "mlp_extractor"):
        _check_extractor(model, policy.pi_features_extractor)
        tanh = [nn.Tanh()] if policy.squash_output else []
        return [policy.mlp_extractor.policy_net, policy.action_net, *tanh], policy.squash_output
    if hasattr(policy, "q_net"):
        _check_extractor(model, policy.q_net.features_extractor)
        return [policy.q_net.q_net], False
    if hasattr(policy, "actor"):
        _check_extractor(model, policy.actor.features_extractor)
        if hasattr(policy.actor, "latent_pi"):
            return [policy.actor.latent_pi, policy.actor.mu, nn.Tanh()], True
        return [policy.actor.mu], True
    if hasattr(policy, "action_net"):
        _check_extractor(model, policy.features_extractor)
        return [policy.action_net], policy.squash_output
    raise _refused(model, f"a {type(policy).__name__} is no network of observations alone")


def _check_extractor(model: Any, extractor: nn.Module) -> None:
    if type(extractor) is not FlattenExtractor:
        raise _refused(model, f"its features extractor is a {type(extractor).__name__}")


def observation_statistics(model: Any) -> tuple[Floats | None, Floats | None, float | None]:
    """Return mean, standard deviation and bound of the normalised observations."""
    normalize = model.get_vec_normalize_env()
    if normalize is None or not normalize.norm_obs:
        return None, None, None
    statistics = normalize.obs_rms
    std = np.sqrt(statistics.var + normalize.epsilon)
    return statistics.mean.flatten(), std.flatten(), float(normalize.clip_obs)


def _actions(model: Any, rescale: bool) -> Actions:
    space = model.action_space
    if isinstance(space, spaces.Discrete):
        return DiscreteActions(int(space.n))
    if not isinstance(space, spaces.Box) or len(space.shape) != 1:
        raise _refused(model, f"its actions are {space}; flat boxes and Discrete are supported")
    return BoxActions(space.low.copy(), space.high.copy(), rescale)


def flat_modules(network: nn.Module) -> list[nn.Module]:
    """Return the modules of nested Sequentials in the order in which they run."""
    if type(network) is not nn.Sequential:
        return [] if type(network) in (nn.Flatten, nn.Identity) else [network]
    return [leaf for child in network for leaf in flat_modules(child)]


def hardened(module: nn.Module) -> nn.Module:
    """Return a layer of the same weight whose structure is fixed; soft masks stay soft."""
    return module.harden() if isinstance(module, (ChromaticLinear, MaskedLinear)) else module


def _env_id(model: Any) -> str | None:
    try:
        return str(model.get_env().get_attr("spec")[0].id)
    except (AttributeError, IndexError, NotImplementedError):
        return None


def _refused(model: Any, reason: str) -> StructuredLayersError:
    return StructuredLayersError(
        f"this {type(model).__name__} model cannot be exported: {reason}; keep it as SB3's zip"
    )

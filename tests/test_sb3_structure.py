"""What a structure may say, right and wrong side by side."""

import json

import pytest
from sb3_cases import make_model

from structured_layers import StructuredLayersError
from structured_layers.integrations.sb3 import parse_structure

RIGHT = [
    {"layer": "toeplitz"},
    {"layer": "dense", "target": "all"},
    {"layer": "chromatic", "num_colors": 17, "learn_colors": True, "target": "critic"},
    {"layer": "chromatic", "num_colors": 3, "share_palette": False, "target": ["action_net"]},
    {"layer": "masked", "num_edges": 20, "learn_mask": True, "target": r"mlp_extractor\..*"},
    {"layer": "masked", "num_edges": 20},
    {"layer": "low_displacement_rank", "rank": 2, "family": "hankel"},
    {"layer": "soft_masked", "initial_density": 0.3},
    [{"layer": "circulant"}, {"layer": "hankel", "target": "critic"}],
]
WRONG = [
    ("toeplitz", "structure must be a dict such as .* got 'toeplitz'"),
    (17, "structure must be a dict"),
    ([], "got an empty list"),
    ([["toeplitz"]], "structure must be a dict"),
    ({}, "needs a layer, one of dense, toeplitz, .* got none"),
    ({"layer": "toplitz"}, "got 'toplitz'"),
    ({"layer": ["toeplitz"]}, "needs a layer"),
    ({"layer": "toeplitz", "num_colors": 3}, "takes no keywords; got num_colors"),
    ({"layer": "chromatic", "colours": 3}, "takes .*num_colors.*; got colours"),
    ({"layer": "chromatic"}, "num_colors"),
    ({"layer": "chromatic", "num_colors": 0}, "num_colors must be between 1 and 48"),
    ({"layer": "chromatic", "num_colors": 49}, "num_colors must be between 1 and 48"),
    ({"layer": "chromatic", "num_colors": "17"}, "num_colors must be an integer, got '17'"),
    ({"layer": "chromatic", "num_colors": 3, "learn_colors": "false"}, "True or False, got 'f"),
    ({"layer": "masked", "num_edges": 9, "learn_mask": "no"}, "True or False, got 'no'"),
    ({"layer": "chromatic", "num_colors": object()}, "plain values only"),
    ({"layer": "toeplitz", 3: 4}, "plain values only"),
    ({"layer": "toeplitz", "target": []}, "target must be one of actor, critic, all"),
    ({"layer": "toeplitz", "target": 5}, "target must be one of"),
    ({"layer": "toeplitz", "target": [5]}, "target must be one of"),
    ({"layer": "toeplitz", "target": "aktor"}, "target 'aktor' matches no nn.Linear; .*action_net"),
    ({"layer": "masked", "learn_mask": True}, "needs num_edges"),
    ({"layer": "masked", "mask": [[1]]}, "a mask is no plain value"),
    ({"layer": "masked", "num_edges": 1, "learn_mask": True}, "num_edges must be between 2"),
    ({"layer": "masked", "num_edges": 49, "learn_mask": True}, "48, all of their edges"),
    ({"layer": "masked", "num_edges": 0.5, "learn_mask": True}, "num_edges must be between 2"),
    ({"layer": "masked", "num_edges": {"action_net": 3}, "learn_mask": True}, "name every layer"),
    ({"layer": "masked", "num_edges": {"a": 3}}, "for each layer goes with learn_mask"),
    ({"layer": "low_displacement_rank", "rank": -1}, "mlp_extractor.policy_net.0: rank"),
    ({"layer": "soft_masked", "initial_density": 2}, "initial_density"),
]


@pytest.mark.parametrize("structure", RIGHT, ids=str)
def test_right_structures(structure: object) -> None:
    model = make_model("PPO", json.loads(json.dumps(structure)))
    assert model.policy.structure == structure
    assert model.policy.structure is not model.policy_kwargs["structure"]


@pytest.mark.parametrize(("structure", "message"), WRONG, ids=[m for _, m in WRONG])
def test_wrong_structures(structure: object, message: str) -> None:
    with pytest.raises(StructuredLayersError, match=message) as caught:
        make_model("PPO", structure)
    assert "\n" not in str(caught.value)


def test_parsing_needs_no_policy() -> None:
    first, second = parse_structure([{"layer": "toeplitz"}, {"layer": "dense", "target": ["a.b"]}])
    assert (first.layer, first.target, first.keywords) == ("toeplitz", "actor", {})
    assert second.target == ("a.b",)

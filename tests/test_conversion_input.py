"""What conversion makes of unusual layers, palettes and arguments."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conversion_cases import assert_untouched, network, state_of
from torch import Tensor, nn

from structured_layers import (
    ChromaticLinear,
    CirculantLinear,
    HankelLinear,
    LowDisplacementRankLinear,
    MaskedLinear,
    Palette,
    SoftMaskedLinear,
    StructuredLayersError,
    ToeplitzLinear,
    convert_,
)

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"


def zeroed(*places: int) -> nn.Sequential:
    dense = network()
    for place in places:
        nn.init.zeros_(dense[place].weight)
    return dense


@pytest.mark.parametrize("share_palette", [True, False])
@pytest.mark.parametrize("places", [(2,), (0, 2, 4)])
def test_a_layer_of_zeros_stays_zero_and_learns(
    places: tuple[int, ...], share_palette: bool
) -> None:
    dense = zeroed(*places)
    convert_(dense, "chromatic", num_colors=5, share_palette=share_palette)
    layer = dense[2]
    assert not layer.weight.any()
    counts = torch.bincount(layer.colors.flatten(), minlength=5)
    assert counts.max() - counts.min() <= 1
    target = torch.randn_like(layer.weight)
    optimizer = torch.optim.SGD([p for n, p in layer.named_parameters() if n != "bias"], lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        (layer.weight - target).square().sum().backward()
        optimizer.step()
    assert len(layer.weight.unique()) == 5


def test_a_layer_of_zeros_takes_no_color_from_the_others() -> None:
    dense, alone = zeroed(2), nn.Sequential()
    alone.extend(nn.Linear(p.in_features, p.out_features) for p in (dense[0], dense[4]))
    alone[0].load_state_dict(dense[0].state_dict())
    alone[1].load_state_dict(dense[4].state_dict())
    for module in (dense, alone):
        convert_(module, "chromatic", num_colors=5)
    assert torch.equal(dense[0].weight, alone[0].weight)


def test_zeros_fitted_to_a_palette_have_random_colors() -> None:
    palette, linear = Palette(4), zeroed(0)[0]
    layer = ChromaticLinear.from_linear(linear, palette=palette)
    assert not layer.weight.any()
    assert len(layer.colors.unique()) == 4


@pytest.mark.parametrize(
    "later", ["toeplitz", ("chromatic", {"num_colors": 3}), ("masked", {"num_edges": 4})], ids=str
)
def test_entries_may_be_left_without_layers(later: Any) -> None:
    dense = network()
    assert convert_(dense, {".*": "hankel", "4": later}).names == ("0", "2", "4")
    dense = network()
    assert convert_(dense, {"0": "hankel", "4": later}, exclude_modules=["4"]).names == ("0",)
    dense = network()
    assert convert_(dense, {"0": "hankel", "4": later}, target_modules=["0"]).names == ("0",)
    with pytest.raises(StructuredLayersError, match=r"the recipe matches no layer with \['x'\]"):
        convert_(network(), {"0": "hankel", "x": later})
    with pytest.raises(StructuredLayersError, match="there is nothing to convert"):
        convert_(network(), {"4": later}, exclude_modules=["4"])


@pytest.mark.parametrize("learn_colors", [False, True])
@pytest.mark.parametrize("init", ["project", "match"])
def test_a_fresh_palette_that_is_given_keeps_its_values(init: str, learn_colors: bool) -> None:
    palette, dense = Palette(6), network()
    before = palette.values.detach().clone()
    convert_(dense, "chromatic", palette=palette, init=init, learn_colors=learn_colors)
    assert dense[0].values is palette.values
    assert torch.equal(palette.values, before)


@pytest.mark.parametrize("init", ["project", "match"])
def test_a_failure_leaves_a_given_palette_as_it_was(init: str) -> None:
    palette, dense = Palette(6), network()
    nn.init.constant_(dense[4].weight, torch.nan)
    before = palette.values.detach().clone()
    with pytest.raises(StructuredLayersError, match="^4: "):
        convert_(dense, "chromatic", palette=palette, init=init)
    assert palette.is_fresh
    assert palette.mean_fan_in == 1
    assert torch.equal(palette.values, before)


def _forward(layer: nn.Linear) -> None:
    layer.forward = lambda input: input


CUSTOMS: dict[str, Callable[[nn.Linear], Any]] = {
    "backward": lambda layer: layer.register_full_backward_hook(lambda *_: None),
    "backward before": lambda layer: layer.register_full_backward_pre_hook(lambda *_: None),
    "saving": lambda layer: layer.register_state_dict_post_hook(lambda *_: None),
    "saving before": lambda layer: layer.register_state_dict_pre_hook(lambda *_: None),
    "loading": lambda layer: layer.register_load_state_dict_post_hook(lambda *_: None),
    "loading before": lambda layer: layer.register_load_state_dict_pre_hook(lambda *_: None),
    "gradient": lambda layer: layer.weight.register_hook(lambda grad: grad),
    "bias": lambda layer: layer.bias.register_hook(lambda grad: grad),
    "accumulated": lambda layer: layer.weight.register_post_accumulate_grad_hook(lambda p: None),
    "forward": _forward,
}


@pytest.mark.parametrize("name", CUSTOMS)
def test_hooks_and_overrides_are_not_lost(name: str) -> None:
    dense = nn.ModuleDict({"body": network()})
    CUSTOMS[name](dense["body"][2])
    what = "forward of its own" if name == "forward" else "hooks"
    with pytest.raises(StructuredLayersError, match=rf"which body\.2 \(an nn.Linear with .*{what}"):
        convert_(dense, "toeplitz")


def test_complex_weights_are_refused() -> None:
    linear = nn.Linear(3, 3, dtype=torch.complex64)
    with pytest.raises(StructuredLayersError, match="real floating-point .* got torch.complex64"):
        ToeplitzLinear.from_linear(linear)
    with pytest.raises(StructuredLayersError, match=r"0 \(an nn.Linear of torch.complex64"):
        convert_(nn.Sequential(linear), "toeplitz", init="match")


@pytest.mark.parametrize(
    ("structure", "keywords", "message"),
    [
        ({"0": ("toeplitz", 3)}, {}, "pair for '0' must be a structure and a mapping .* got 3"),
        ({"0": ("toeplitz", {3: 4})}, {}, "toeplitz takes no keywords; got 3"),
        ("chromatic", {"num_colors": np.bool_(True)}, "num_colors must be an integer, got np.True"),
        ("chromatic", {"num_colors": "17"}, "num_colors must be an integer, got '17'"),
        ("chromatic", {"num_colors": 17.0}, "num_colors must be an integer, got 17.0"),
        ("chromatic", {"palette": 3.0}, "palette must be a Palette or an integer, got 3.0"),
        ("chromatic", {"num_colors": 3, "learn_colors": "false"}, "learn_colors must be True or F"),
        ("chromatic", {"num_colors": 3, "share_palette": "no"}, "share_palette must be True or F"),
        ("masked", {"num_edges": 9, "learn_mask": "no"}, "learn_mask must be True or False, got"),
        ("masked", {"num_edges": 9.0}, "got 9.0"),
    ],
)
def test_bad_arguments(structure: Any, keywords: dict[str, Any], message: str) -> None:
    dense = network()
    before = state_of(dense)
    with pytest.raises(StructuredLayersError, match=message):
        convert_(dense, structure, **keywords)
    assert_untouched(dense, before)


@pytest.mark.parametrize("share_palette", [True, False])
def test_integers_of_numpy(share_palette: bool) -> None:
    dense = network()
    convert_(dense, "chromatic", num_colors=np.int64(3), share_palette=share_palette)
    assert dense[0].values.numel() == 3
    dense = network()
    assert convert_(dense, "masked", num_edges=np.int64(20)).weights == 20
    assert ChromaticLinear(3, 3, palette=np.int64(2)).palette.num_colors == 2


@pytest.mark.parametrize(
    "colors",
    [
        torch.zeros(3, 3, dtype=torch.complex64),
        torch.zeros(3, 3, dtype=torch.uint64),
        torch.zeros(3, 3, dtype=torch.uint16),
    ],
    ids=lambda colors: str(colors.dtype),
)
def test_colors_of_other_types(colors: Tensor) -> None:
    with pytest.raises(StructuredLayersError, match=f"colors must be .* got {colors.dtype}"):
        ChromaticLinear(3, 3, palette=2, colors=colors)
    with pytest.raises(StructuredLayersError, match=f"colors must be .* got {colors.dtype}"):
        ChromaticLinear.from_linear(nn.Linear(3, 3), colors=colors)
    with pytest.raises(StructuredLayersError, match="on the meta device"):
        ChromaticLinear.from_linear(nn.Linear(3, 3), colors=colors.to("meta"))


@pytest.mark.parametrize("rank", [torch.tensor([1, 2]), torch.tensor(1.0), True, "1"], ids=str)
def test_ranks_that_are_no_integers(rank: Any) -> None:
    with pytest.raises(StructuredLayersError, match="rank must be an integer between 1 and 3"):
        LowDisplacementRankLinear(3, 3, rank=rank)


@pytest.mark.parametrize("dtype", [torch.int32, torch.complex64, torch.bool, "float32"], ids=str)
def test_types_that_are_not_real_numbers(dtype: Any) -> None:
    for make in (lambda: ToeplitzLinear(3, 3, dtype=dtype), lambda: Palette(3, dtype=dtype)):
        with pytest.raises(StructuredLayersError, match="dtype must be a real floating-point type"):
            make()


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (ToeplitzLinear, "ToeplitzLinear.from_linear takes no keywords"),
        (HankelLinear, "HankelLinear.from_linear takes no keywords"),
        (CirculantLinear, "CirculantLinear.from_linear takes no keywords"),
        (LowDisplacementRankLinear, "takes the keywords family, rank besides"),
        (ChromaticLinear, "takes the keywords colors, learn_colors, num_colors, palette besides"),
        (MaskedLinear, "takes the keywords learn_mask, mask, num_edges besides"),
        (SoftMaskedLinear, "takes the keywords initial_density, temperature besides"),
    ],
)
def test_unknown_keywords_of_from_linear(layer: Any, message: str) -> None:
    with pytest.raises(StructuredLayersError, match=f"{message}.*; got depth, device"):
        layer.from_linear(nn.Linear(3, 3), depth=2, device="cpu")


def test_the_time_of_a_projection_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from layer_clustering import projection_seconds
    from layer_limits import check_projection

    seconds = projection_seconds(32, 5)
    limit = check_projection(32, 5, seconds)
    assert (limit.measured, limit.passed) == (seconds, True)
    assert limit.wanted == "k-means of 32×32 weights to 5 colors: ≤ 5 s"
    assert not check_projection(32, 5, 5.1).passed
    assert "layer_clustering" in sys.modules


@pytest.mark.parametrize("init", ["project", "match"])
@pytest.mark.parametrize("family", ["toeplitz", "cauchy"])
def test_a_layer_of_zeros_becomes_a_product_that_can_learn(init: Any, family: str) -> None:
    dense = zeroed(2)
    names = ["2"]
    convert_(dense, "low_displacement_rank", target_modules=names, init=init, rank=2, family=family)
    assert not dense[2].weight.any()
    (dense[2].weight - 1).square().sum().backward()
    assert dense[2].values.grad.any()

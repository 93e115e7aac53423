"""Which layers a conversion is about, and what it refuses."""

from typing import Any

import pytest
import torch
from conversion_cases import assert_untouched, network, state_of
from torch import nn

from structured_layers import (
    CirculantLinear,
    Palette,
    StructuredLayersError,
    StructuredLinear,
    ToeplitzLinear,
    convert_,
    mlp,
)


class Actor(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = mlp(6, [8], 8)
        self.heads = nn.ModuleDict({"mean": nn.Linear(8, 2), "std": nn.Linear(8, 2)})
        self.features = nn.Conv2d(1, 2, 3)
        self.norm = nn.LayerNorm(8)


def test_regular_expressions_match_full_names_and_pass_over_containers() -> None:
    actor = Actor()
    assert convert_(actor, "toeplitz", target_modules=r"heads\..*").names == (
        "heads.mean",
        "heads.std",
    )
    assert type(actor.body[0]) is nn.Linear
    with pytest.raises(StructuredLayersError, match="target_modules matches no layer"):
        convert_(actor, "toeplitz", target_modules="body")
    report = convert_(
        actor, "toeplitz", target_modules=r".*", exclude_modules=r"features|heads.*|body\.2"
    )
    assert report.names == ("body.0",)


def test_lists_name_layers_in_full() -> None:
    actor = Actor()
    report = convert_(actor, "toeplitz", target_modules=["body.2", "heads.mean"])
    assert set(report.names) == {"body.2", "heads.mean"}
    assert convert_(actor, "hankel", exclude_modules=["body.0"]).names == ("heads.std",)


def test_recipes_take_the_first_entry_that_matches() -> None:
    actor = Actor()
    recipe = {
        "heads.std": "dense",
        r"heads\..*": ("masked", {"num_edges": 9}),
        "body.0": CirculantLinear,
        r"body\..*": "chromatic",
    }
    report = convert_(actor, recipe, num_colors=4)
    assert set(report.names) == {"body.0", "body.2", "heads.mean"}
    assert type(actor.heads["std"]) is nn.Linear
    assert type(actor.body[0]) is CirculantLinear
    assert actor.body[2].values.numel() == 4
    assert actor.heads["mean"].num_weights == 9


def test_entries_of_one_structure_share_a_palette_and_others_do_not() -> None:
    same, other = network(), network()
    convert_(same, {"0": "chromatic", "2": "chromatic"}, num_colors=4)
    assert same[0].values is same[2].values
    assert type(same[4]) is nn.Linear
    convert_(other, {"0": ("chromatic", {"num_colors": 3}), "[24]": "chromatic"}, num_colors=4)
    assert other[0].values is not other[2].values
    assert other[2].values is other[4].values


def test_targets_restrict_a_recipe() -> None:
    dense = network()
    assert convert_(dense, {".*": "toeplitz"}, target_modules=["0"]).names == ("0",)


def test_a_dense_recipe_changes_nothing() -> None:
    dense = network()
    assert convert_(dense, "dense").changes == ()
    assert convert_(dense, {".*": "dense"}).changes == ()


class Unusual(nn.Module):
    """Layers that cannot be replaced, each in its own way."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(1, 2, 3)
        self.attention = nn.MultiheadAttention(4, 2)
        self.first = nn.Linear(4, 4)
        self.again = self.first
        self.embedding = nn.Embedding(5, 4)
        self.decoder = nn.Linear(4, 5)
        self.decoder.weight = self.embedding.weight
        self.hooked = nn.Linear(4, 4)
        self.hooked.register_forward_hook(lambda *_: None)
        self.structured = ToeplitzLinear(4, 4)
        self.meta = nn.Linear(4, 4, device="meta")
        self.plain = nn.Linear(4, 4)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("convolution", r"convolution \(a Conv2d\)"),
        ("attention.out_proj", r"attention.out_proj \(a NonDynamicallyQuantizableLinear\)"),
        ("attention", r"attention \(a MultiheadAttention\)"),
        ("first", "first .one module used as first and again"),
        ("again", "one module used as first and again"),
        ("decoder", "shared by decoder and embedding"),
        ("hooked", r"hooked \(an nn.Linear with hooks"),
        ("structured", r"structured \(a ToeplitzLinear\)"),
        ("meta", r"meta \(on the meta device"),
    ],
)
def test_unsupported_targets_are_refused_by_name(name: str, message: str) -> None:
    with pytest.raises(StructuredLayersError, match=f"{message}.*exclude_modules"):
        convert_(Unusual(), "toeplitz", target_modules=[name])


def test_expressions_refuse_what_has_weights() -> None:
    with pytest.raises(StructuredLayersError, match="convolution .*attention.out_proj"):
        convert_(Unusual(), "toeplitz", target_modules=".*")
    with pytest.raises(StructuredLayersError, match=r"first .*decoder .*hooked"):
        convert_(Unusual(), "toeplitz")
    left_out = ["first", "again", "decoder", "hooked", "meta"]
    unusual = Unusual()
    assert convert_(unusual, "toeplitz", exclude_modules=left_out).names == ("plain",)
    assert type(unusual.attention.out_proj) is not ToeplitzLinear


def test_a_container_used_twice_is_converted_once() -> None:
    block = nn.Sequential(nn.Linear(3, 3))
    shared = nn.Sequential(block, block)
    assert convert_(shared, "toeplitz").names == ("0.0",)
    assert type(shared[1][0]) is ToeplitzLinear


@pytest.mark.parametrize(
    ("structure", "keywords", "message"),
    [
        ("toeplits", {}, "must be one of dense, toeplitz, .* got 'toeplits'"),
        (nn.Linear, {}, "a structure must be one of"),
        (StructuredLinear, {}, "a structure must be one of"),
        (3, {}, "a structure must be one of .* got 3"),
        ({}, {}, "the recipe is empty; its nn.Linear layers are 0, 2, 4"),
        ({"0": "toeplits"}, {}, "got 'toeplits'"),
        ({"9": "toeplitz"}, {}, r"the recipe matches no layer with \['9'\]; .* are 0, 2, 4"),
        ({"0": "toeplitz"}, {"rank": 2}, "toeplitz takes no keywords; got rank"),
        ({"0": ("masked", {"rank": 2})}, {}, "masked takes .*num_edges.*; got rank"),
        ("toeplitz", {"num_colors": 3}, "toeplitz takes no keywords; got num_colors"),
        ("low_displacement_rank", {"rnk": 1}, "takes family, rank; got rnk"),
        ("low_displacement_rank", {"rank": 0}, "^0: "),
        ("low_displacement_rank", {"rank": 4}, "^4: "),
        ("low_displacement_rank", {"family": "hilbert"}, "^0: .*family"),
        ("chromatic", {}, "needs either num_colors or palette"),
        ("chromatic", {"num_colors": 3, "palette": 3}, "needs either num_colors or palette"),
        ("chromatic", {"num_colors": 2.0}, "num_colors must be an integer, got 2.0"),
        ("chromatic", {"num_colors": 0}, "between 1 and 103, the number of weights of all"),
        ("chromatic", {"num_colors": 104}, "got 104"),
        ("chromatic", {"colors": torch.zeros(3, 5)}, "chromatic takes .*; got colors"),
        ("chromatic", {"palette": Palette(3), "share_palette": False}, "got a Palette as well"),
        ("chromatic", {"palette": Palette(3, dtype=torch.float64)}, "^0: .*float64 on cpu"),
        ("masked", {"num_edges": 2}, "between 3, one for each target, and 103.* got 2"),
        ("masked", {"num_edges": 104}, "got 104"),
        ("masked", {"num_edges": True}, "got True"),
        ("masked", {"num_edges": 9, "mask": torch.ones(8, 6) > 0}, "either mask or num_edges"),
        ("masked", {"mask": torch.ones(8, 6) > 0}, "^2: mask must be a bool tensor"),
        ("soft_masked", {"temperature": 0}, "^0: temperature"),
        ("toeplitz", {"init": "random"}, "init must be one of project, match, got 'random'"),
        ("toeplitz", {"target_modules": ["0", "1x"]}, r"no layer with \['1x'\]; .* are 0, 2, 4"),
        ("toeplitz", {"target_modules": []}, "target_modules matches no layer"),
        ("toeplitz", {"target_modules": "x.*"}, r"no layer with \['x\.\*'\]"),
        ("toeplitz", {"target_modules": "("}, "must be a regular expression .* got '\\('"),
        ("toeplitz", {"target_modules": 3}, "or a list of full dotted names, got 3"),
        ("toeplitz", {"target_modules": [0]}, r"or a list of full dotted names, got \[0\]"),
        ("toeplitz", {"target_modules": ["1"]}, r"1 \(a Tanh\)"),
        ("toeplitz", {"exclude_modules": ["7"]}, r"exclude_modules matches no layer with \['7'\]"),
        ("toeplitz", {"exclude_modules": "[024]"}, "there is nothing to convert; .* are 0, 2, 4"),
    ],
)
def test_bad_input(structure: Any, keywords: dict[str, Any], message: str) -> None:
    dense = network()
    before = state_of(dense)
    with pytest.raises(StructuredLayersError, match=message):
        convert_(dense, structure, **keywords)
    assert_untouched(dense, before)


def test_modules_that_cannot_be_converted() -> None:
    with pytest.raises(StructuredLayersError, match="cannot be replaced in place.*from_linear"):
        convert_(nn.Linear(3, 3), "toeplitz")
    with pytest.raises(StructuredLayersError, match="convert_ needs a module, got a list"):
        convert_([], "toeplitz")
    with pytest.raises(StructuredLayersError, match="nothing to convert.*no nn.Linear layers"):
        convert_(nn.Tanh(), "toeplitz")


def test_layers_inside_a_structured_layer_are_no_targets() -> None:
    outer = ToeplitzLinear(3, 3)
    outer.inner = nn.Linear(3, 3)
    assert convert_(nn.Sequential(outer, nn.Linear(3, 3)), "hankel").names == ("1",)

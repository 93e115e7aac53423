"""Decoders of weights: what they compute, how they are described, stored and refused."""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from structured_layers import CheckpointError, LatentLinear, StructuredLayersError, WeightDecoder
from structured_layers.layers.decoder_files import (
    decoder_from,
    describe_decoder,
    load_decoder,
    save_decoder,
)

FORMS = [
    {"hidden": (7,)},
    {"hidden": (6, 5), "activation": "silu"},
    {"hidden": (), "linear_path": False},
    {"hidden": (4,), "activation": "relu", "linear_path": True},
]


def made(**form: object) -> WeightDecoder:
    torch.manual_seed(3)
    return WeightDecoder(4, 5, 3, **form)


def assert_same(decoder: WeightDecoder, other: WeightDecoder) -> None:
    assert decoder.to_json() == other.to_json()
    assert decoder.state_dict().keys() == other.state_dict().keys()
    assert all(torch.equal(t, other.state_dict()[n]) for n, t in decoder.state_dict().items())


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_codes_with_any_leading_dimensions(form: dict) -> None:
    decoder = made(**form)
    codes = torch.randn(2, 6, 3)
    weights = decoder(codes)
    assert weights.shape == (2, 6, 4, 5)
    torch.testing.assert_close(weights[1, 2], decoder(codes[1, 2]))
    assert decoder(torch.randn(0, 3)).shape == (0, 4, 5)


def test_fresh_decoders_make_weights_of_the_usual_spread() -> None:
    torch.manual_seed(0)
    decoders = [WeightDecoder(8, 5, 4) for _ in range(50)]
    assert all(torch.count_nonzero(decoder(torch.zeros(4))) == 0 for decoder in decoders)
    with torch.no_grad():
        squares = torch.stack([d(torch.randn(64, 4)).square().mean() for d in decoders])
    error = 3 * float(squares.std()) / 50**0.5
    assert error < 0.2 / 15
    assert abs(float(squares.mean()) - 1 / 15) < error


def test_mean_and_scale_apply_to_each_entry() -> None:
    decoder = made(hidden=(7,))
    before = decoder.weight_scale.clone()
    code = torch.randn(3)
    unscaled = decoder(code) / before
    mean, scale = torch.randn(4, 5), torch.rand(4, 5)
    decoder.set_output_(mean=mean, scale=scale)
    torch.testing.assert_close(decoder(code), mean + scale * unscaled)
    decoder.set_output_(mean=mean, scale=0.5)
    torch.testing.assert_close(decoder(code), mean + 0.5 * unscaled)


@pytest.mark.parametrize(
    ("mean", "scale", "message"),
    [
        (torch.zeros(5, 4), 1.0, r"must have shape \(4, 5\)"),
        (torch.zeros(4, 5), torch.ones(5), r"got \(4, 5\) and \(5,\)"),
        (torch.full((4, 5), torch.nan), 1.0, "finite"),
        (torch.zeros(4, 5), float("inf"), "finite"),
    ],
)
def test_wrong_outputs_change_nothing(mean: Tensor, scale: object, message: str) -> None:
    decoder = made()
    before = made()
    with pytest.raises(StructuredLayersError, match=message):
        decoder.set_output_(mean=mean, scale=scale)
    assert_same(decoder, before)


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_folders_and_descriptions_keep_everything(form: dict, tmp_path: Path) -> None:
    decoder = made(**form)
    decoder.set_output_(mean=torch.randn(4, 5), scale=torch.rand(4, 5))
    save_decoder(decoder, tmp_path / "new" / "folder")
    state = torch.get_rng_state()
    assert_same(load_decoder(tmp_path / "new" / "folder"), decoder)
    assert_same(decoder_from(str(tmp_path / "new" / "folder")), decoder)
    assert_same(decoder_from(json.loads(json.dumps(describe_decoder(decoder)))), decoder)
    assert torch.equal(torch.get_rng_state(), state)
    fresh = WeightDecoder.from_json(json.loads(json.dumps(decoder.to_json())))
    assert fresh.to_json() == decoder.to_json()
    assert not torch.equal(fresh(torch.ones(3)), decoder(torch.ones(3)))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"hidden": 64}, r"pass \(64,\)"),
        ({"hidden": "64"}, "list of sizes"),
        ({"hidden": (0,)}, "a hidden size must be an integer of at least 1"),
        ({"activation": "gelu"}, "one of tanh, relu, sigmoid, silu, got 'gelu'"),
        ({"latent_size": 0}, "latent_size must be an integer of at least 1"),
        ({"linear_path": "no"}, "linear_path must be True or False"),
    ],
)
def test_wrong_forms(changed: dict, message: str) -> None:
    data = {**made().to_json(), **changed}
    with pytest.raises(StructuredLayersError, match=message):
        WeightDecoder.from_json(data)


def test_descriptions_have_all_keys_and_no_others() -> None:
    data = made().to_json()
    for wrong in ({**data, "depth": 2}, {"hidden": [3]}, [1]):
        with pytest.raises(StructuredLayersError, match="has the keys out_features"):
            WeightDecoder.from_json(wrong)


def test_damaged_folders(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="does not exist"):
        load_decoder(tmp_path / "none")
    save_decoder(made(), tmp_path)
    save_decoder(made(hidden=(9,)), tmp_path / "other")
    (tmp_path / "decoder.json").write_bytes((tmp_path / "other/decoder.json").read_bytes())
    with pytest.raises(CheckpointError, match="numbers|belongs to another"):
        load_decoder(tmp_path)
    (tmp_path / "decoder.safetensors").write_bytes(b"junk")
    with pytest.raises(CheckpointError, match="cut off"):
        load_decoder(tmp_path)


def test_a_folder_of_several_layers_names_them(tmp_path: Path) -> None:
    for name in ("0", "2"):
        save_decoder(made(), tmp_path / "decoders" / name)
    with pytest.raises(CheckpointError, match="decoders of several layers; name one of .*decoders"):
        LatentLinear(5, 4, decoder=tmp_path)
    assert LatentLinear(5, 4, decoder=tmp_path / "decoders" / "2").num_weights == 3


def test_damaged_descriptions() -> None:
    whole = describe_decoder(made())
    for text in ("no base64!", whole["tensors"][:40], 7):
        with pytest.raises(StructuredLayersError, match="are damaged"):
            decoder_from({**whole, "tensors": text})
    with pytest.raises(StructuredLayersError, match="its decoder has"):
        decoder_from({**whole, "hidden": [3]})


def test_only_finite_decoders_are_written(tmp_path: Path) -> None:
    decoder = made()
    with torch.no_grad():
        decoder.layers[0].weight[0, 0] = torch.nan
    with pytest.raises(StructuredLayersError, match=r"layers\.0\.weight is NaN"):
        save_decoder(decoder, tmp_path / "folder")
    assert not (tmp_path / "folder").exists()
    with pytest.raises(StructuredLayersError, match="got a Linear"):
        save_decoder(torch.nn.Linear(2, 2), tmp_path / "folder")

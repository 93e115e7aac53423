"""Autoencoders of weights: shapes, whitening, training, and the networks that they encode."""

import pytest
import torch
from torch import nn
from zoo_cases import small_zoo

from structured_layers import LatentLinear, StructuredLayersError, mlp, to_dense
from structured_layers.algorithms.latent import (
    NetworkAutoencoder,
    TrainingSettings,
    WeightAutoencoder,
    fit_autoencoder,
    fit_linear_autoencoder,
    output_metric,
    principal_components,
    random_projection,
)
from structured_layers.algorithms.latent.output_distance import output_distance
from structured_layers.algorithms.latent.training import Networks, train_autoencoders_
from structured_layers.errors import CheckpointError

SHORT = TrainingSettings(steps=40, evaluate_every=10, num_states=16, random_states=0.25)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("hidden", [(), (7,), (7, 5)])
def test_whitening_changes_codes_only(hidden: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    coder = WeightAutoencoder(4, 3, 2, hidden)
    weights = 3 + torch.randn(20, 4, 3)
    coder.set_weights_(weights)
    before = coder(weights)
    coder.whiten_(weights)
    codes = coder.encode(weights)
    torch.testing.assert_close(coder(weights), before, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(codes.mean(dim=0), torch.zeros(2), atol=1e-5, rtol=0)
    torch.testing.assert_close(codes.std(dim=0, correction=0), torch.ones(2))


def test_one_weight_gives_finite_codes() -> None:
    coder = WeightAutoencoder(4, 3, 2, ())
    weights = torch.randn(1, 4, 3)
    coder.set_weights_(weights)
    before = coder(weights)
    coder.whiten_(weights)
    torch.testing.assert_close(coder(weights), before)
    torch.testing.assert_close(coder.encode(weights), torch.zeros(1, 2), atol=1e-5, rtol=0)


def test_all_components_lose_nothing() -> None:
    zoo = small_zoo()
    coder = fit_linear_autoencoder(zoo, {"0": 18, "2": 12}, generator())
    network = zoo.network(3)
    states = zoo.normalized_states()
    torch.testing.assert_close(coder.encode(network)(states), network(states), atol=1e-4, rtol=0)
    assert coder.compression == 1.0


def test_components_are_those_of_the_weights() -> None:
    rows = torch.randn(30, 5, generator=generator()) * torch.tensor([9.0, 5.0, 1.0, 0.1, 0.1])
    encoder, decoder = principal_components(rows, 2)
    lost = rows - rows @ encoder.T @ decoder.T
    smallest = torch.linalg.svdvals(rows)[2:].square().sum()  # Eckart and Young
    torch.testing.assert_close(lost.square().sum(), smallest)


def test_components_in_a_metric_lose_less_of_it() -> None:
    rows = torch.randn(30, 4, generator=generator())
    metric = torch.diag(torch.tensor([0.01, 0.01, 25.0, 25.0]))

    def lost(encoder, decoder) -> float:
        rest = rows - rows @ encoder.T @ decoder.T
        return float(((rest @ metric) * rest).sum())

    assert lost(*principal_components(rows, 2, metric)) < 0.1 * lost(*principal_components(rows, 2))


def test_a_random_projection_is_orthonormal() -> None:
    encoder, decoder = random_projection(12, 5, generator())
    torch.testing.assert_close(encoder @ decoder, torch.eye(5))


def test_the_metric_is_the_distance_of_small_steps() -> None:
    zoo = small_zoo(4)
    network, states = zoo.network(0), zoo.normalized_states()
    metric = output_metric(network, zoo.weights, states, "0.weight")
    step = 1e-3 * torch.randn(6, 3, generator=generator())
    moved = {**zoo.weights, "0.weight": zoo.weights["0.weight"] + step}
    found = output_distance(network, moved, zoo.weights, states).mean().double()
    row = step.flatten().double()
    torch.testing.assert_close(row @ metric @ row, found, rtol=0.02, atol=0)


def test_outputs_beyond_the_limit_count_less() -> None:
    network = nn.Sequential(nn.Linear(1, 1, bias=False))
    parameters, decoded = (
        {"0.weight": torch.tensor([[[3.0]]])},
        {"0.weight": torch.tensor([[[2.0]]])},
    )
    state = torch.ones(1, 1)
    assert float(output_distance(network, decoded, parameters, state)) == 1.0
    limited = output_distance(network, decoded, parameters, state, limit=1.0)
    assert float(limited) == pytest.approx(0.01)


@pytest.mark.parametrize("aligned", [False, True])
def test_training_lowers_the_loss_and_repeats(aligned: bool) -> None:
    parts = small_zoo(18).split(generator())
    looks = []
    runs = [
        fit_autoencoder(
            parts.train, parts.validation, {"0": 3, "2": 2}, generator(1), hidden=(8,),
            aligned=aligned, settings=SHORT, callback=looks.append,
        )
        for _ in range(2)
    ]  # fmt: skip
    (coder, history), (again, _) = runs
    assert min(look.train for look in history.looks) < history.looks[0].train
    assert looks == 2 * history.looks
    assert history.best_step == min(history.looks, key=lambda look: look.validation).step
    for name, own in coder.autoencoders.items():
        for key, value in own.state_dict().items():
            assert torch.equal(value, again.autoencoders[name].state_dict()[key])
    codes = coder.codes_of(coder.align_all(parts.train.weights))
    torch.testing.assert_close(codes["0"].mean(dim=0), torch.zeros(3), atol=1e-4, rtol=0)


def test_options_of_the_training_change_it() -> None:
    zoo = small_zoo()
    networks = Networks(zoo.network(0), zoo.weights, zoo.normalized_states())
    ends = []
    for options in ({}, {"weight_noise": 0.5}, {"mixing": 1.0}, {"output_limit": 0.1}):
        torch.manual_seed(0)
        coder = WeightAutoencoder(6, 3, 2)
        settings = TrainingSettings(steps=3, evaluate_every=1, **options)
        history = train_autoencoders_({"0": coder}, networks, networks, generator(), settings)
        ends.append(history.looks[-1].train)
    assert len(set(ends)) == 4


def test_training_stops_early() -> None:
    zoo = small_zoo()
    networks = Networks(zoo.network(0), zoo.weights, zoo.normalized_states())
    torch.manual_seed(0)
    coder = WeightAutoencoder(6, 3, 2)
    settings = TrainingSettings(steps=500, evaluate_every=1, patience=3, learning_rate=5.0)
    history = train_autoencoders_({"0": coder}, networks, networks, generator(), settings)
    assert history.looks[-1].step == history.best_step + 3 < 500


def test_curves_are_written(tmp_path) -> None:
    parts = small_zoo().split(generator())
    settings = TrainingSettings(steps=2, evaluate_every=1)
    _, history = fit_autoencoder(
        parts.train, parts.validation, {"0": 2}, generator(), settings=settings
    )
    history.save(tmp_path / "curves.csv")
    lines = (tmp_path / "curves.csv").read_text().splitlines()
    assert lines[0] == "step,train,validation"
    assert len(lines) == 4


def trained(aligned: bool = True) -> NetworkAutoencoder:
    return fit_linear_autoencoder(small_zoo(), {"0": 4, "2": 3}, generator(), aligned=aligned)


def test_an_encoded_network_holds_its_codes() -> None:
    coder, network = trained(), small_zoo().network(5)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    latent = coder.encode(network)
    assert isinstance(latent[0], LatentLinear) and isinstance(latent[2], LatentLinear)
    assert {n: p.numel() for n, p in latent.named_parameters()} == {
        "0.bias": 6, "0.values": 4, "2.bias": 2, "2.values": 3,
    }  # fmt: skip
    assert torch.equal(latent[0].values, coder.codes(network)["0"])
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    states = torch.randn(9, 3)
    torch.testing.assert_close(to_dense(latent)(states), latent(states))
    assert coder.compression == 30 / 7


def test_equal_networks_have_equal_codes() -> None:
    coder, network = trained(), small_zoo().network(5)
    other = small_zoo().network(5)
    order = torch.randperm(6, generator=generator())
    other[0].weight.data = -network[0].weight[order]
    other[0].bias.data = -network[0].bias[order]
    other[2].weight.data = -network[2].weight[:, order]
    for name, code in coder.codes(network).items():
        torch.testing.assert_close(coder.codes(other)[name], code, atol=1e-4, rtol=1e-4)


def test_refined_codes_are_nearer() -> None:
    coder, zoo = trained(), small_zoo()
    network, states = zoo.network(5), zoo.normalized_states()

    @torch.no_grad()
    def distance(latent) -> float:
        return float((latent(states) - network(states)).square().sum(dim=1).mean())

    refined = coder.encode(network, refine_steps=30, states=states)
    assert distance(refined) < 0.8 * distance(coder.encode(network))
    with pytest.raises(StructuredLayersError, match="refine_steps needs states="):
        coder.encode(network, refine_steps=1)


def test_the_mean_network() -> None:
    coder, zoo = trained(aligned=False), small_zoo()
    network = coder.mean_network()
    assert not network[0].values.any()
    torch.testing.assert_close(network[0].bias.detach(), zoo.weights["0.bias"].mean(dim=0))
    mean = zoo.weights["0.weight"].mean(dim=0)  # the code is linear
    torch.testing.assert_close(network[0].weight.detach(), mean, atol=1e-5, rtol=1e-5)


def test_another_activation_at_the_end_is_kept() -> None:
    network = nn.Sequential(*mlp(3, [6], 2), nn.Tanh())
    assert isinstance(trained().encode(network)[-1], nn.Tanh)


@pytest.mark.parametrize("aligned", [False, True])
def test_a_folder_gives_the_same_autoencoder(tmp_path, aligned: bool) -> None:
    coder, network = trained(aligned), small_zoo().network(5)
    coder.save(tmp_path)
    again = NetworkAutoencoder.load(tmp_path)
    states = torch.randn(9, 3)
    assert torch.equal(again.encode(network)(states), coder.encode(network)(states))
    assert torch.equal(again.mean_network()(states), coder.mean_network()(states))
    layer = LatentLinear(3, 6, decoder=str(tmp_path / "decoders" / "0"))
    code = torch.randn(4)
    decoded = coder.autoencoders["0"].decode(code)
    torch.testing.assert_close(
        layer.weight_from({"values": code}, dict(layer.named_buffers())), decoded
    )


def test_a_damaged_folder_is_refused(tmp_path) -> None:
    trained().save(tmp_path)
    path = tmp_path / "autoencoder.json"
    path.write_text(path.read_text().replace('"aligned": true', '"aligned": false'))
    with pytest.raises(CheckpointError, match="autoencoder"):
        NetworkAutoencoder.load(tmp_path)


@pytest.mark.parametrize(
    ("coders", "message"),
    [
        ({}, "at least one layer"),
        ({"1": WeightAutoencoder(6, 3, 2)}, "no nn.Linear called '1'; it has 0, 2"),
        ({"2": WeightAutoencoder(6, 3, 2)}, r"layer '2' has shape \(2, 6\).*\(6, 3\)"),
    ],
)
def test_autoencoders_that_do_not_fit(coders, message: str) -> None:
    with pytest.raises(StructuredLayersError, match=message):
        NetworkAutoencoder(coders, mlp(3, [6], 2))


def test_networks_that_do_not_fit() -> None:
    network = mlp(3, [6], 2)
    with pytest.raises(StructuredLayersError, match="the network has"):
        trained().encode(mlp(3, [7], 2))
    nn.init.constant_(network[0].bias, torch.nan)
    with pytest.raises(StructuredLayersError, match="0.bias of the network is NaN"):
        trained().encode(network)
    with pytest.raises(StructuredLayersError, match=r"weights \(\*, 6, 3\), got \(3, 6\)"):
        trained().autoencoders["0"].encode(torch.zeros(3, 6))


def test_arguments_that_make_no_autoencoder() -> None:
    zoo, other = small_zoo(), small_zoo(hidden=(5,))
    with pytest.raises(StructuredLayersError, match="must have one shape"):
        fit_autoencoder(zoo, other, {"0": 2}, generator())
    with pytest.raises(StructuredLayersError, match="no layer '1', they have"):
        fit_linear_autoencoder(zoo, {"1": 2}, generator())
    with pytest.raises(StructuredLayersError, match="from 1 to 18, the entries"):
        fit_linear_autoencoder(zoo, {"0": 19}, generator())
    with pytest.raises(StructuredLayersError, match="method must be"):
        fit_linear_autoencoder(zoo, {"0": 2}, generator(), method="svd")  # type: ignore[arg-type]

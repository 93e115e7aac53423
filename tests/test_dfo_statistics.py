"""Profiles, ranks and the verdict of the Moré–Wild benchmark, on cases made by hand."""

import numpy as np
import pytest
from scipy.stats import wilcoxon

from benchmarks.dfo.gradient_sensing import sensing_methods
from benchmarks.dfo.objective import Trace
from benchmarks.dfo.profiles import data_profile, performance_profiles
from benchmarks.dfo.ranking import critical_difference, mean_by_function, rank_methods
from benchmarks.dfo.scores import SMALLEST_GAP, Case
from benchmarks.dfo.verdict import Comparison, compare_directions, holm, rank_kinds, verdict

METHODS = list(sensing_methods())


def case(name: str, **traces: list[Trace]) -> Case:
    return Case("smooth", name, "sphere", dimension=1, num_residuals=1, traces=traces)


FAST = Trace([0, 2, 4], [10.0, 1.0, 0.0])
SLOW = Trace([0, 8], [10.0, 0.5])
STUCK = Trace([0], [10.0])


def test_solving_times_follow_the_definition() -> None:
    one = case("a", fast=[FAST], slow=[SLOW, STUCK])
    assert (one.start, one.lowest) == (10.0, 0.0)
    assert one.solving_times("fast", 0.1).tolist() == [2.0]  # a tenth is left at 2 evaluations
    assert one.solving_times("fast", 1e-3).tolist() == [4.0]
    assert one.solving_times("slow", 0.1).tolist() == [8.0, np.inf]
    assert one.median_gap("fast") == SMALLEST_GAP
    assert one.median_gap("slow") == pytest.approx((0.05 + 1) / 2)
    assert case("b", fast=[FAST], slow=[SLOW, SLOW, STUCK]).median_gap("slow") == 0.05


def test_data_profile_counts_shares_of_runs() -> None:
    cases = [case("a", fast=[FAST], slow=[SLOW, STUCK]), case("b", fast=[STUCK], slow=[SLOW])]
    axis = np.array([0.0, 1.0, 4.0])  # in units of n + 1 = 2 evaluations
    assert data_profile(cases, "fast", 0.1, axis).tolist() == [0.0, 0.5, 0.5]
    assert data_profile(cases, "slow", 0.1, axis).tolist() == [0.0, 0.0, 0.75]


def test_performance_profile_compares_with_the_best() -> None:
    cases = [case("a", fast=[FAST], slow=[SLOW]), case("b", fast=[STUCK], slow=[SLOW])]
    curves = performance_profiles(cases, ["fast", "slow"], 0.1, np.array([1.0, 2.0, 4.0]))
    assert curves["fast"].tolist() == [0.5, 0.5, 0.5]
    assert curves["slow"].tolist() == [0.5, 0.5, 1.0]  # on "a" it takes four times as long


def test_the_best_method_has_the_lowest_median() -> None:
    late = Trace([0, 40], [10.0, 0.0])
    runs = {"fast": [FAST, FAST, late], "slow": [SLOW]}  # 2, 2, 40 evaluations against 8
    curves = performance_profiles([case("a", **runs)], list(runs), 0.1, np.array([1.0, 4.0, 20.0]))
    assert curves["fast"].tolist() == pytest.approx([2 / 3, 2 / 3, 1.0])
    assert curves["slow"].tolist() == [0.0, 1.0, 1.0]


def test_a_case_that_nobody_improves_is_solved_by_none() -> None:
    (profile,) = performance_profiles([case("a", one=[STUCK])], ["one"], 0.1, np.ones(1)).values()
    assert profile.tolist() == [1.0]  # f_L = f(x₀): the start itself is the best


@pytest.mark.parametrize(("count", "q"), [(2, 1.960), (3, 2.343), (5, 2.728), (10, 3.164)])
def test_critical_difference_is_demsars(count: int, q: float) -> None:
    expected = q * (count * (count + 1) / (6 * 30)) ** 0.5
    assert critical_difference(count, 30) == pytest.approx(expected, rel=3e-4)  # q has 4 digits


def test_ranks_share_ties_and_differ_where_methods_do() -> None:
    gaps = np.tile([[1e-3, 1e-1, 1e-1]], (20, 1))
    ranking = rank_methods(gaps, ["a", "b", "c"])
    assert ranking.average_ranks == (1.0, 2.5, 2.5)
    assert ranking.friedman_p < 1e-6
    assert ranking.p_value("a", "b") < 0.05 < ranking.p_value("b", "c")
    assert abs(ranking.rank_of("a") - ranking.rank_of("b")) > ranking.critical_difference


def test_nothing_differs_where_all_are_equal() -> None:
    ranking = rank_methods(np.ones((5, 3)), ["a", "b", "c"])
    assert (ranking.friedman_statistic, ranking.friedman_p) == (0.0, 1.0)


def test_functions_count_once() -> None:
    ranks = np.array([[1.0, 2.0], [2.0, 1.0], [1.0, 2.0]])
    means = mean_by_function(ranks, ["f", "f", "g"])
    assert means.tolist() == [[1.5, 1.5], [1.0, 2.0]]


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


def made_up_gaps(factors: dict[str, float]) -> np.ndarray:
    """Gaps of the nine combinations on 66 cases: noise times a factor for each kind."""
    rng = np.random.default_rng(0)
    scale = [factors[method.split("-")[1]] for method in METHODS]
    return rng.lognormal(0, 0.3, (66, 9)) * scale * 1e-3


@pytest.mark.parametrize(
    ("factors", "words"),
    [
        ({"gaussian": 9.0, "orthogonal": 1.0, "hadamard": 9.0}, ("rank above", "do not differ")),
        ({"gaussian": 1.0, "orthogonal": 9.0, "hadamard": 9.0}, ("rank below", "rank below")),
        ({"gaussian": 1.0, "orthogonal": 1.0, "hadamard": 1.0}, ("do not differ",) * 2),
    ],
)
def test_the_verdict_follows_the_numbers(factors: dict[str, float], words: tuple[str, str]) -> None:
    gaps, functions = made_up_gaps(factors), [str(number // 3) for number in range(66)]
    comparisons = compare_directions(gaps, rank_methods(gaps, METHODS))
    lines = verdict(comparisons, rank_kinds(gaps, METHODS, functions))
    for line, kind, outcome in zip(lines, ("orthogonal", "hadamard"), words, strict=False):
        assert f"{kind} directions {outcome}" in line
    assert len(lines) == 2 + 6


def test_comparisons_count_wins_and_correct_for_their_number() -> None:
    gaps = made_up_gaps({"gaussian": 9.0, "orthogonal": 1.0, "hadamard": 1.0})
    for comparison in compare_directions(gaps, rank_methods(gaps, METHODS)):
        assert comparison.wins + comparison.losses == 66
        assert comparison.wins > 60
        assert comparison.rank < comparison.rank_iid
        assert comparison.nemenyi_p < 0.05
        assert comparison.wilcoxon_p < 1e-6


def compared(rank: float, nemenyi_p: float, wilcoxon_p: float) -> str:
    """What is said of Hadamard directions of this rank against independent ones of rank 5."""
    return Comparison("forward", "hadamard", 5.0, rank, nemenyi_p, 40, 26, wilcoxon_p).sentence()


def test_a_sentence_says_which_is_above() -> None:
    assert "hadamard: ranked above independent ones (average rank 3.00" in compared(3.0, 0.01, 0.9)
    assert "hadamard: ranked below independent ones (average rank 7.00" in compared(7.0, 0.01, 0.9)


def test_a_sentence_follows_nemenyis_p_and_names_both() -> None:
    assert "not distinguishable" in compared(3.0, 0.2, 0.01)
    assert "ranked above" in compared(3.0, 0.01, 0.2)
    assert "p = 0.01; better in 40 cases, worse in 26, Wilcoxon p = 0.2)" in compared(3, 0.01, 0.2)


def test_wilcoxon_compares_ratios_of_gaps() -> None:
    """The scale of a case's gaps must not weigh it: log differences know only ratios."""
    rng = np.random.default_rng(0)
    methods = ["vanilla-gaussian", "vanilla-orthogonal", "bfgs"]
    gaps = rng.lognormal(0, 0.3, (30, 3)) * [1.2, 1.0, 1.0]
    scaled = gaps * rng.lognormal(0, 3, (30, 1))
    p_values = [
        compare_directions(g, rank_methods(g, methods))[0].wilcoxon_p for g in (gaps, scaled)
    ]
    expected = wilcoxon(np.log(gaps[:, 1] / gaps[:, 0])).pvalue
    assert p_values == pytest.approx([expected, expected])

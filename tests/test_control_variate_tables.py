"""The standard error of what control variates leave, which is a ratio of paired means."""

import math

import torch

from benchmarks.learned_variates import ratio_of_means


def test_the_ratios_standard_error_knows_that_its_parts_are_paired() -> None:
    """Over 400 repetitions the ratios deviate as each of them says, here 20 times less than
    independent parts would."""
    generator = torch.Generator().manual_seed(0)
    ratios, errors = [], []
    for _ in range(400):
        without = 1 + torch.rand(50, generator=generator, dtype=torch.float64)
        noise = torch.rand(50, generator=generator, dtype=torch.float64)
        row = ratio_of_means(without, without / 2 * (1 + 0.01 * noise))
        ratios.append(row["ratio"])
        errors.append(row["ratio_error"])
    spread, said = float(torch.tensor(ratios).std()), sum(errors) / len(errors)
    assert abs(said / spread - 1) < 4 / math.sqrt(2 * len(ratios))

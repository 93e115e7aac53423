"""The one normaliser of observations of Hopper-v5 that all policies of these benchmarks share.

Means over the first three runs of benchmarks/hopper_zoo.py at their last stopping point, rounded.
Weights of policies can be compared, and decoded, only where all of them see the same numbers.
"""

from __future__ import annotations

MEAN = (1.246, 0.001, -0.262, -0.236, 0.194, 1.326, -0.198, 0.017, -0.319, -0.272, -0.157)
STD = (0.167, 0.054, 0.194, 0.245, 0.559, 0.702, 1.126, 0.847, 1.253, 1.573, 4.125)

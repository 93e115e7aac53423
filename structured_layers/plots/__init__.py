"""Pictures of training and of structure; needs the extra ``plots``."""

from .learning_curve import plot_learning_curve
from .weights import plot_weights

__all__ = ["plot_learning_curve", "plot_weights"]

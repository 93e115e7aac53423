"""The exceptions of the library."""


class StructuredLayersError(ValueError):
    """An argument, file or network that the library cannot serve; the message says what to do."""


class CheckpointError(StructuredLayersError):
    """A checkpoint or policy file that is missing, cut off, too new or not ours."""


class EvaluationError(StructuredLayersError):
    """Too many candidates of a generation failed in the environment."""


class MissingDependencyError(StructuredLayersError, ImportError):
    """An optional dependency that a feature needs is not installed."""

    def __init__(self, feature: str, extra: str) -> None:
        """Name the feature and the extra that installs what it needs."""
        super().__init__(f'{feature} needs an extra: pip install "structured-layers[{extra}]"')


class NoNativeTaskWarning(UserWarning):
    """An environment that has to run through Gymnasium, which is slower than stepping it here."""

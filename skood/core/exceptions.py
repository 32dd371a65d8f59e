"""Errors and warnings of skood."""

__all__ = [
    "CollapseWarning",
    "ExportError",
    "InterruptedFitWarning",
    "LoadError",
    "TrainingError",
]


class LoadError(ValueError):
    """A file cannot be loaded: it is none of skood's, or damaged, too new, or inconsistent."""


class TrainingError(RuntimeError):
    """Training produced a loss, weights or bounds that are not finite; the message says where."""


class ExportError(RuntimeError):
    """A detector cannot be exported, or its exported score is not its score."""


class CollapseWarning(UserWarning):
    """A latent layer carries no information about the input (posterior collapse)."""


class InterruptedFitWarning(UserWarning):
    """Training was stopped from the keyboard; the estimator is fitted with what it had learned."""

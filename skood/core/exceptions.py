"""Errors and warnings of skood."""

__all__ = ["CollapseWarning", "InterruptedFitWarning", "TrainingError"]


class TrainingError(RuntimeError):
    """Training produced a loss that is not finite; the message names the epoch and the batch."""


class CollapseWarning(UserWarning):
    """A latent layer carries no information about the input (posterior collapse)."""


class InterruptedFitWarning(UserWarning):
    """Training was stopped from the keyboard; the estimator is fitted with what it had learned."""

"""What training minimises."""

from skood.objectives._elbo import ELBO

__all__ = ["ELBO"]

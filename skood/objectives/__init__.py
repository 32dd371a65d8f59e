"""What training minimises."""

from skood.objectives._elbo import ELBO
from skood.objectives._importance_weighted import ImportanceWeightedELBO
from skood.objectives._informative import InformativeELBO

__all__ = ["ELBO", "ImportanceWeightedELBO", "InformativeELBO"]

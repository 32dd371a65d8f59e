"""Generative models: density estimators in the manner of scikit-learn's GaussianMixture."""

from skood.models._hvae import HVAE

__all__ = ["HVAE"]

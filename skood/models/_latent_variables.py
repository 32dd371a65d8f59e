"""What models with latent variables offer besides a likelihood."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.base import TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skood.core.batches import resolve_device, to_array
from skood.core.noise import Noise
from skood.core.validation import draw_seed
from skood.models._bounds import check_count, check_layer
from skood.objectives import ELBO

__all__ = ["LatentVariablesMixin"]


class LatentVariablesMixin(TransformerMixin):
    """For models with latent variables, to the left of `BaseGenerativeModel`.

    Their network is a `skood.core.protocols.LatentNetwork`, and they have an ``objective``.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {"objective": [callable, None]}

    def reconstruct(self, X, *, k=0):
        """Rebuild X from the layers above k, the k layers nearest to x being the prior's mean.

        Parameters
        ----------
        X : array-like of shape (n, ...)
        k : int in [0, n_layers - 1], default=0

        Returns
        -------
        ndarray, float64
            Mean of p(x | z>k), shape and scale of X (Havtorn et al. 2021, figure 1).
        """
        check_is_fitted(self)
        check_layer(self, "k", k, 0, self.network_.n_layers - 1)
        return self._reconstruct(X, range(1, k + 1), self._scoring_noise(), below="mean")

    def partial_sample(self, X, *, k, n_samples=1, random_state=None):
        """What the model imagines given only what the layers above k know of X.

        Parameters
        ----------
        X : array-like of shape (n, ...)
        k : int in [0, n_layers]
            z>k is drawn from q(z>k | x) and the k layers nearest to x from the prior, which is
            that of the model alone for k = n_layers.
        n_samples : int, default=1
        random_state : int, RandomState instance or None, default=None

        Returns
        -------
        ndarray of shape (n_samples, n, ...), float64
            Means of p(x | z), on the scale of X (Li et al. 2022, figures 2 and 8). Rows share the
            random numbers of a sample.
        """
        check_is_fitted(self)
        check_layer(self, "k", k, 0, self.network_.n_layers)
        check_count("n_samples", n_samples)
        seed, layers = draw_seed(random_state), range(1, k + 1)
        noises = [
            Noise([seed, i], resolve_device(self.device), shared=True) for i in range(n_samples)
        ]
        return np.stack([self._reconstruct(X, layers, noise, below="sample") for noise in noises])

    def _reconstruct(self, X, prior_layers, noise, below):
        shape = self.input_shape_

        def rebuilt(network, x):
            return to_array(network.reconstruct(x, noise, prior_layers, below), shape)

        return self._map(X, rebuilt, row_axis=0)

    def encode(self, X):
        """Means of q of every latent layer, layer 1 (nearest to x) first.

        Returns
        -------
        list of ndarrays of shapes (n, units) or (n, channels, height, width), float64
        """
        check_is_fitted(self)
        noise = self._scoring_noise()
        shapes = self.network_.latent_shapes

        def all_layers(network, x):
            return torch.cat([z.flatten(1) for z in network.encode(x, noise)], dim=1)

        joined = self._map(X, all_layers, row_axis=0)
        ends = np.cumsum([math.prod(shape) for shape in shapes])[:-1]
        parts = np.split(joined, ends, axis=1)
        return [z.reshape(len(z), *shape) for z, shape in zip(parts, shapes, strict=True)]

    def transform(self, X):
        """Means of the top latent layer, shape (n, latent units), float64."""
        check_is_fitted(self)
        return self.encode(X)[-1].reshape(-1, self._n_features_out)

    def _objective_for(self, network):
        if isinstance(self.objective, type):
            name = self.objective.__name__
            raise ValueError(f"objective must be an instance; got the class. Write {name}().")
        if self.objective is None:
            return self._default_objective(network)
        if hasattr(self.objective, "check"):
            self.objective.check(network.n_layers)
        return self.objective

    def _default_objective(self, network):
        """What ``objective=None`` stands for."""
        return ELBO(free_bits=0.0)

    @property
    def _n_features_out(self):
        """Columns of `transform`; for ``get_feature_names_out``."""
        return math.prod(self.network_.latent_shapes[-1])

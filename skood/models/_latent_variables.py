"""What models with latent variables offer besides a likelihood."""

from __future__ import annotations

import math
import warnings
from collections.abc import Collection, Sequence
from functools import partial
from numbers import Real
from typing import Any, ClassVar, cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from skood.core.batches import resolve_device
from skood.core.callers import stacklevel_of_user
from skood.core.exceptions import CollapseWarning
from skood.core.noise import Noise
from skood.core.parameters import check_count, draw_seed
from skood.core.protocols import LatentNetwork, Objective
from skood.core.row_spec import RowSpec
from skood.core.rows import Rows
from skood.models._bounds import check_layer
from skood.models._refitting import refitted_bounds_of_batch
from skood.objectives import ELBO

_Floats = NDArray[np.float64]

__all__ = ["LatentVariablesMixin"]


class LatentVariablesMixin(ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    """For models with latent variables, to the left of `BaseGenerativeModel`.

    Their network is a `skood.core.protocols.LatentNetwork`, and they have an ``objective``. A
    subclass gives ``_latent_dims_for(tensor_shape, n_rows)``.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {"objective": [callable, None]}
    objective: Any

    @property
    def n_layers_(self) -> int:
        """Latent layers of the fitted model."""
        return len(self._latent.latent_shapes)

    @property
    def _n_layers(self) -> int:
        return self.n_layers_

    @property
    def _latent(self) -> LatentNetwork:
        network: LatentNetwork = self._fitted("network_")
        return network

    def count_layers(self, X: ArrayLike | Tensor | Rows) -> int:
        """How many latent layers a fit on X would give; raises ValueError where `fit` would.

        Only the shape of X matters.
        """
        self._validate_params()
        shape = tuple(X.shape) if hasattr(X, "shape") else np.shape(X)
        return len(self._latent_dims_for(RowSpec.tensor_shape_of(shape[1:]), shape[0]))

    def _latent_dims_for(self, tensor_shape: tuple[int, ...], n_rows: int) -> Sequence[Any]:
        """One entry for each latent layer, for so many training rows of that shape."""
        raise NotImplementedError

    def refitted_bounds(
        self,
        X: ArrayLike | Tensor | Rows,
        *,
        n_steps: int = 100,
        learning_rate: float = 0.03,
        n_importance_samples: int = 1,
    ) -> _Floats:
        """Lower bound of log p(x) under a posterior fitted to each row alone, in nats.

        What it gains on `score_samples` is what the encoder loses by serving all rows
        (amortisation): see `LikelihoodRegret`.

        Parameters
        ----------
        X : array-like of shape (n, ...)
        n_steps : int, default=100
            Of Adam, each with one sample of the latent variables, beginning at the encoder's q.
        learning_rate : float, default=0.03
            In units of the latent variables, and of the logarithms of their standard deviations.
        n_importance_samples : int, default=1
            Of the bound, as in `score_samples`, which sees the same random numbers.

        Returns
        -------
        ndarray of shape (n,), float64
            A row's value does not depend on the rows beside it.

        Notes
        -----
        q is a product of independent Gaussians, one for each unit of every layer. Of a model with
        one layer that is the encoder's family; in a hierarchy, where the encoder's q of a layer
        depends on others, it is another one, and the bound may be lower than the encoder's.
        """
        check_is_fitted(self)
        if not isinstance(learning_rate, Real) or not 0 < learning_rate < math.inf:
            raise ValueError(f"learning_rate must be a positive number; got {learning_rate!r}.")
        evaluate = partial(
            refitted_bounds_of_batch,
            noise=self.scoring_noise(),
            n_steps=check_count("n_steps", n_steps),
            learning_rate=float(learning_rate),
            n_samples=check_count("n_importance_samples", n_importance_samples),
        )
        # Sums in the backward pass may go another way in small batches.
        return self.map_network(evaluate, X, sizes=self._sizes_on(resolve_device(self.device))[-1:])

    def reconstruct(self, X: ArrayLike | Tensor, *, k: int = 0) -> _Floats:
        """Reconstruct X from the layers above k, the k layers nearest to x being the prior's mean.

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
        self._check_k(k, self.n_layers_ - 1)
        return self._reconstruct(X, range(1, k + 1), self.scoring_noise(), "mean")

    def partial_sample(
        self, X: ArrayLike | Tensor, *, k: int, n_samples: int = 1, random_state: Any = None
    ) -> _Floats:
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
        self._check_k(k, self.n_layers_)
        check_count("n_samples", n_samples)
        seed, layers = draw_seed(random_state), range(1, k + 1)
        noises = [
            Noise([seed, i], resolve_device(self.device), shared=True) for i in range(n_samples)
        ]
        return np.stack([self._reconstruct(X, layers, noise, "sample") for noise in noises])

    def _check_k(self, k: Any, largest: int) -> None:
        check_layer(type(self).__name__, "k", k, (0, largest), self.n_layers_)

    def _reconstruct(
        self, X: ArrayLike | Tensor, prior_layers: Collection[int], noise: Noise, below: str
    ) -> _Floats:
        def reconstruction(network: LatentNetwork, x: Tensor) -> _Floats:
            return self.rows_.to_array(network.reconstruct(x, noise, prior_layers, below))

        return self.map_network(reconstruction, X, row_axis=0)

    def encode(self, X: ArrayLike | Tensor) -> list[_Floats]:
        """Means of q of every latent layer, layer 1 (nearest to x) first.

        Returns
        -------
        list of ndarrays of shapes (n, units) or (n, channels, height, width), float64
        """
        check_is_fitted(self)
        noise = self.scoring_noise()
        shapes = self._latent.latent_shapes

        def all_layers(network: LatentNetwork, x: Tensor) -> Tensor:
            return torch.cat([z.flatten(1) for z in network.encode(x, noise)], dim=1)

        joined = self.map_network(all_layers, X, row_axis=0)
        ends = np.cumsum([math.prod(shape) for shape in shapes])[:-1]
        parts = np.split(joined, ends, axis=1)
        return [z.reshape(len(z), *shape) for z, shape in zip(parts, shapes, strict=True)]

    def transform(self, X: ArrayLike | Tensor) -> _Floats:
        """Means of the top latent layer, shape (n, latent units), float64."""
        check_is_fitted(self)
        return self.encode(X)[-1].reshape(-1, self._n_features_out)

    def _objective_for(self, network: nn.Module) -> Objective:
        if isinstance(self.objective, type):
            name = self.objective.__name__
            raise ValueError(f"objective must be an instance; got the class. Write {name}().")
        if self.objective is None:
            return self._default_objective(network)
        if hasattr(self.objective, "check"):
            self.objective.check(len(cast(LatentNetwork, network).latent_shapes))
        return self.objective

    def _default_objective(self, network: nn.Module) -> Objective:
        """What ``objective=None`` stands for."""
        return ELBO(free_bits=0.0)

    @property
    def _n_features_out(self) -> int:
        """Columns of `transform`; for ``get_feature_names_out``."""
        return math.prod(self._latent.latent_shapes[-1])

    def _warn_of_training(self) -> None:
        units = self.history_["active_units"]
        for layer, n_active in enumerate(units[-1] if units else (), start=1):
            if n_active == 0:
                nats = self.history_["kl"][-1][layer - 1]
                warnings.warn(
                    f"Latent layer {layer} of {type(self).__name__} carries no information about "
                    f"X (0 active units, {nats:.3f} nats), so likelihood ratios that keep only "
                    f"layers from {layer} on mean nothing. Raise the objective's free_bits for "
                    "this layer, train longer, or use fewer layers.",
                    CollapseWarning,
                    stacklevel=stacklevel_of_user(),
                )

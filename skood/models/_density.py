"""What all models share: checked rows, a network built for them, scores, samples."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from functools import partial
from typing import Any, ClassVar, cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from skood.core.batches import (
    check_fixed_sizes,
    fixed_sizes_for,
    numbers_kept_per_row,
    resolve_device,
)
from skood.core.callbacks import CallbackSupportMixin, fit_task
from skood.core.data_kinds import DATA_KINDS
from skood.core.doc_link import DocLinkMixin
from skood.core.modes import explicit_construction, own_modes
from skood.core.noise import Noise
from skood.core.out import write_scores
from skood.core.parameters import check_count, draw_seed
from skood.core.progress import shows_progress
from skood.core.protocols import DensityNetwork
from skood.core.row_spec import RowSpec
from skood.core.rows import Rows, check_rows, unfitted_copy
from skood.core.savable import Savable
from skood.gradients.private import private_copy
from skood.models._bounds import bounds_of_rows, check_prior_layers
from skood.models._bounds_module import BoundsModule
from skood.models._network_access import NetworkAccess
from skood.models._saved_network import rebuilt_network

__all__ = ["BaseDensity"]

_Floats = NDArray[np.float64]
_SIZED_ROWS = 128
_CPU = torch.device("cpu")


class BaseDensity(
    CallbackSupportMixin, Savable, DocLinkMixin, NetworkAccess, DensityMixin, BaseEstimator
):
    """Base of all models, however their network comes to its parameters.

    A subclass gives ``__init__`` with at least the parameters constrained below; and
    ``_build_network(rows)``, which returns a torch module that is a
    `skood.core.protocols.DensityNetwork` for the training rows that a `RowSpec` describes; and
    ``_train(network, rows, spec, seed)``.

    Attributes
    ----------
    network_ : torch.nn.Module
        The fitted network, on the CPU.
    rows_ : RowSpec
        Shape, kind and units of the training rows.
    data_kind_ : {"bytes", "unit", "real"}
        Kind of the fitted data: 8-bit pixels, pixels in [0, 1], or real numbers.
    input_shape_ : tuple of int
        Shape of one row.
    n_features_in_ : int
        scikit-learn's count, ``X.shape[1]``.
    seed_ : int
        Drawn from ``random_state``; rules training and the fixed noise of the scores.
    batch_sizes_ : tuple of int
        Rows in a batch of the scores, fixed by the memory that a row takes.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "data_kind": [StrOptions({"auto", *DATA_KINDS})],
        "device": [str, torch.device],
        "random_state": ["random_state"],
    }
    data_kind: str
    device: str | torch.device
    random_state: Any

    @fit_task
    def fit(self, X: ArrayLike | Tensor | Rows, y: Any = None) -> Any:
        """Fit to normal rows.

        Parameters
        ----------
        X : array-like or tensor of shape (n, features), (n, height, width), \
(n, height, width, channels) or (n, channels, height, width)
            Normal data: uint8 images, float images in [0, 1], or a table of real numbers.
        y : ignored

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter or X is not valid; the estimator is then as it was before.
        """
        fitted = unfitted_copy(self)
        fitted._fit(X)
        self.__dict__ = dict(vars(fitted))
        return self

    def _fit(self, X: Any) -> Any:
        """All of `fit` on an estimator that nobody uses yet; returns what ``_train`` does."""
        self._validate_params()
        resolve_device(self.device)
        rows = check_rows(self, X, reset=True)
        spec = RowSpec.of(rows, self.data_kind)
        seed = self._draw_seed()
        with own_modes(grad=True), explicit_construction(seed):
            network = self._build_network(spec)
        result = self._train(network, rows, spec, seed)
        self._take_over(network, rows, spec, seed)
        return result

    def _take_over(self, network: nn.Module, rows: Rows, spec: RowSpec, seed: int) -> None:
        """Be fitted with this network."""
        rows.remember_on(self)
        self.rows_, self.seed_, self.network_ = spec, seed, network
        self.batch_sizes_ = self._fixed_sizes(spec.to_tensor(rows.take(slice(_SIZED_ROWS)), _CPU))

    def _draw_seed(self) -> int:
        return draw_seed(self.random_state)

    def _build_network(self, rows: RowSpec) -> nn.Module:
        """The network for such training rows, untrained."""
        raise NotImplementedError

    def _train(self, network: nn.Module, rows: Rows, spec: RowSpec, seed: int) -> Any:
        """Set the parameters of the network, in place, and leave it on the CPU."""
        raise NotImplementedError

    def _to_save(self) -> dict[str, Any]:
        return {**super()._to_save(), "network_": self.network_.state_dict()}

    def _restore(self, attributes: dict[str, Any]) -> None:
        state, rows, seed = (attributes[name] for name in ("network_", "rows_", "seed_"))
        check_fixed_sizes(attributes["batch_sizes_"])
        network = rebuilt_network(partial(self._build_network, rows), state, seed)
        super()._restore({**attributes, "network_": network})

    def _fixed_sizes(self, x: Tensor) -> tuple[int, ...]:
        noise = self._on_cpu_noise().fork(0)

        def log_weights(x: Tensor) -> Tensor:
            return self._density.terms(x, noise).log_weight

        with own_modes(grad=False):
            n_kept = numbers_kept_per_row(log_weights, x[torch.arange(2) % len(x)])
            return fixed_sizes_for(log_weights, x, n_kept, backward=False)

    @property
    def _density(self) -> DensityNetwork:
        return cast(DensityNetwork, self.network_)

    @property
    def data_kind_(self) -> str:
        return self._fitted("rows_").kind

    def _fitted(self, name: str) -> Any:
        if name not in vars(self):
            raise AttributeError(f"{name}: this {type(self).__name__} is not fitted yet.")
        return vars(self)[name]

    def __sklearn_is_fitted__(self) -> bool:
        return "network_" in vars(self)

    @shows_progress
    def score_samples(
        self,
        X: ArrayLike | Tensor | Rows,
        *,
        n_importance_samples: int = 1,
        out: _Floats | None = None,
    ) -> _Floats:
        """Log-likelihood of each row, or its lower bound for models with latent variables.

        Parameters
        ----------
        X : array-like of shape (n, ...)
        n_importance_samples : int, default=1
            Samples of the latent variables: the more, the tighter the bound (Burda et al. 2016).
        out : ndarray of shape (n,), float64, default=None
            The values are written to it, for instance to a memory map, and it is returned. Then no
            more than some ten thousand rows and their values are in memory at a time.

        Returns
        -------
        ndarray of shape (n,), float64
            Nats; the higher, the more likely. Of a density in the units of X for real data, of a
            probability for images. A row's value does not depend on the rows beside it.

        Raises
        ------
        ValueError
            If X has rows unlike those of `fit` in shape or kind, ``n_importance_samples`` is no
            positive integer, or ``out`` is another array or cannot be written to.
        """
        if out is not None:
            check_is_fitted(self)
            score = partial(self.score_samples, n_importance_samples=n_importance_samples)
            return write_scores(score, check_rows(self, X, reset=False), out)
        bounds, _ = self.bounds(X, n_importance_samples=n_importance_samples, prior_layers=[()])
        return bounds[0]

    def bounds(
        self,
        X: ArrayLike | Tensor | Rows,
        *,
        n_importance_samples: int = 1,
        below: str = "mean",
        prior_layers: Sequence[Collection[int]] | None = None,
    ) -> tuple[_Floats, _Floats]:
        """Lower bounds of log p(x) in which some latent layers come from the prior.

        Parameters
        ----------
        X : array-like of shape (n, ...)
        n_importance_samples : int, default=1
            Time is proportional to it, memory does not depend on it.
        below : {"mean", "sample"}, default="mean"
            Whether those layers take the mean of the prior, or a sample of it.
        prior_layers : sequence of collections of int, default=None
            For each bound the layers that come from the prior, layer 1 being nearest to x. None is
            L>k for k = 0, ..., n_layers - 1, that is ``[(), (1,), (1, 2), ...]``. L<l of a model
            with three layers is ``(2, 3)`` for l = 2 and ``(3,)`` for l = 3.

        Returns
        -------
        bounds : ndarray of shape (len(prior_layers), n), float64
            In nats, the higher, the more likely; ``()`` gives the ordinary bound.
        nll : ndarray of shape (len(prior_layers), n), float64
            -log p(x | z) in nats, mean over the samples, counted from the largest value that
            the likelihood can take: never negative, 0 for a perfect reconstruction. For a model
            without latent layers it is -log p(x) itself, and may be negative.

        Notes
        -----
        L>k is eq. 5 of Havtorn et al. 2021. The equation samples z<=k from the prior; their
        code, and the default here, takes the mean, which separates better at few samples but is
        no strict bound any more (their appendix D). L<l is their eq. 20, without its factor
        p(z<l), which would count those layers twice: log p(x | z) + log p(z<l | z>=l) -
        log q(z<l | x), with z>=l from the prior. All bounds of a row see the same binarised x and
        the same noise.
        """
        check_is_fitted(self)
        n_samples, prior_layers = self._checked_options(n_importance_samples, prior_layers)
        evaluate = partial(
            bounds_of_rows,
            noise=self.scoring_noise(),
            below=below,
            prior_layers=prior_layers,
            n_samples=n_samples,
            sizes=self._sizes_on(resolve_device(self.device)),
        )
        bounds, nll = self.map_network(evaluate, X, fill_up=False)
        return bounds, nll

    def _checked_options(
        self, n_importance_samples: int, prior_layers: Sequence[Collection[int]] | None
    ) -> tuple[int, Sequence[Collection[int]]]:
        if prior_layers is None:
            prior_layers = [range(1, k + 1) for k in range(max(1, self._n_layers))]
        check_prior_layers(type(self).__name__, self._n_layers, prior_layers)
        n_samples = check_count("n_importance_samples", n_importance_samples)
        return (n_samples if self._n_layers else 1), prior_layers  # they would all be the same

    def bounds_module(
        self,
        *,
        n_importance_samples: int = 1,
        below: str = "mean",
        prior_layers: Sequence[Collection[int]] | None = None,
    ) -> nn.Module:
        """`bounds` as a torch module, from a batch as the network takes it; for `skood.export`."""
        check_is_fitted(self)
        n_samples, prior_layers = self._checked_options(n_importance_samples, prior_layers)
        network, noise = private_copy(self.network_), self._on_cpu_noise()
        return BoundsModule(
            network, noise, n_samples=n_samples, below=below, prior_layers=prior_layers
        )

    @property
    def _n_layers(self) -> int:
        """Latent layers of the fitted network."""
        return 0

    def score(self, X: ArrayLike | Tensor | Rows, y: Any = None) -> float:
        """Mean of `score_samples`, nats per row; the higher, the better the model fits X."""
        return float(np.mean(self.score_samples(X)))

    def bits_per_dim(self, X: ArrayLike | Tensor, *, n_importance_samples: int = 1) -> _Floats:
        """Negative log-likelihood of each row in bits per value of the row, shape (n,)."""
        nats = self.score_samples(X, n_importance_samples=n_importance_samples)
        bits: _Floats = -nats / (math.log(2) * math.prod(self.input_shape_))
        return bits

    def sample(self, n_samples: int = 1, *, random_state: Any = None) -> _Floats:
        """Draw rows from the model, on the scale of the data: shape (n_samples, ...), float64."""
        check_is_fitted(self)
        n_samples = check_count("n_samples", n_samples)
        noise = Noise(draw_seed(random_state))
        with own_modes(grad=False):
            return self.rows_.to_array(self._density.sample(n_samples, noise))

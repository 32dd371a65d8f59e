"""What all generative models share: fitting, scoring, sampling."""

from __future__ import annotations

import copy
import math
import warnings
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    DensityMixin,
    TransformerMixin,
)
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skood.core.batches import map_batches, resolve_device, to_array
from skood.core.exceptions import CollapseWarning
from skood.core.noise import Noise, fork_rng
from skood.core.trainer import Trainer
from skood.core.training import train
from skood.core.validation import check_rows, check_scale, data_kind, draw_seed, keep_fitted
from skood.models._bounds import bounds_of_batch, check_count, check_prior_layers
from skood.objectives import ELBO

__all__ = ["BaseGenerativeModel"]


class BaseGenerativeModel(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, DensityMixin, BaseEstimator
):
    """Base of the generative models.

    A subclass gives ``__init__`` with at least the parameters constrained below, and
    ``_build_network(X, kind)``, which returns a torch module that is a
    `skood.core.protocols.Network` for training rows X of that `skood.core.validation.data_kind`.

    Attributes
    ----------
    network_ : torch.nn.Module
        The trained network, on the CPU.
    input_shape_ : tuple of int
        Shape of one row.
    n_features_in_ : int
        scikit-learn's count, ``X.shape[1]``.
    data_kind_ : {"bytes", "unit", "real"}
        Scale of the fitted data: 0 to 255, [0, 1], or anything.
    history_ : dict of lists
        One entry per epoch: ``train_loss``, ``bound`` (without free bits, on held-out rows where
        ``held_out``), both in nats per row, ``kl`` in nats and ``active_units`` of each layer,
        ``seconds``.
    n_iter_ : int
        Epochs done.
    interrupted_ : bool
        Whether Ctrl-C ended the training.
    snapshots_ : dict
        Weights after each of ``trainer.snapshot_epochs``; see `at_epoch`.
    seed_ : int
        Drawn from ``random_state``; rules training and the fixed noise of the scores.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "trainer": [Trainer, None],
        "max_epochs": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "device": [str, torch.device],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def fit(self, X, y=None):
        """Train on normal rows.

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
        TrainingError
            If the loss is not finite.

        Warns
        -----
        CollapseWarning
            If a latent layer carries no information.
        InterruptedFitWarning
            After Ctrl-C; the estimator is fitted with the best network so far.
        """
        with keep_fitted(self):
            self._validate_params()
            trainer = Trainer() if self.trainer is None else self.trainer
            trainer._validate_params()
            device = resolve_device(self.device)
            X = check_rows(self, X, reset=True)
            self.data_kind_ = data_kind(X)
            self.seed_ = draw_seed(self.random_state)
            with fork_rng(self.seed_):
                network = self._build_network(X, self.data_kind_)
            objective = self._objective_for(network)
            self.history_, self.interrupted_, self.snapshots_ = train(
                network,
                objective,
                X,
                trainer=trainer,
                max_epochs=self.max_epochs,
                batch_size=self.batch_size,
                learning_rate=self._learning_rate_for(X),
                device=device,
                seed=self.seed_,
                verbose=self.verbose,
            )
            self.network_ = network
            self.n_iter_ = len(self.history_["train_loss"])
        self._warn_of_collapse()
        return self

    def at_epoch(self, epoch):
        """The fitted model as it was after so many epochs: a copy with weights of its own.

        For detectors that do well with hardly trained models::

            model = Glow(trainer=Trainer(snapshot_epochs=(1, 10))).fit(X_train)
            GradientNorm(FrozenEstimator(model.at_epoch(1))).fit(X_other)

        Parameters
        ----------
        epoch : int
            One of ``trainer.snapshot_epochs``.
        """
        check_is_fitted(self)
        if not isinstance(epoch, Integral) or epoch not in self.snapshots_:
            raise ValueError(
                f"epoch={epoch!r} was not kept, but {sorted(self.snapshots_) or 'none'} of the "
                f"{self.n_iter_} epochs that training took. Name it in "
                "Trainer(snapshot_epochs=...); if training ended before, raise max_epochs or the "
                "trainer's patience."
            )
        model = copy.copy(self)
        model.network_ = copy.deepcopy(self.network_)
        model.network_.load_state_dict(self.snapshots_[epoch])
        model.history_ = {name: values[:epoch] for name, values in self.history_.items()}
        model.n_iter_ = epoch
        return model

    def count_layers(self, X):
        """How many latent layers a fit on X would give; raises ValueError where `fit` would."""
        self._validate_params()
        with fork_rng(0), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # `fit` will tell
            return getattr(self._build_network(X, data_kind(X)), "n_layers", 0)

    def score_samples(self, X, *, n_importance_samples=1):
        """Log-likelihood of each row, or its lower bound for models with latent variables.

        Parameters
        ----------
        X : array-like of shape (n, ...)
        n_importance_samples : int, default=1
            Samples of the latent variables: the more, the tighter the bound (Burda et al. 2016).

        Returns
        -------
        ndarray of shape (n,), float64
            Nats; the higher, the more likely. Of a density in the units of X for real data, of a
            probability for images. A row's value does not depend on the rows beside it.
        """
        bounds, _ = self.bounds(X, n_importance_samples=n_importance_samples, prior_layers=[()])
        return bounds[0]

    def bounds(self, X, *, n_importance_samples=1, prior_mean=True, prior_layers=None):
        """Lower bounds of log p(x) in which some latent layers come from the prior.

        Parameters
        ----------
        X : array-like of shape (n, ...)
        n_importance_samples : int, default=1
            Time is proportional to it, memory does not depend on it.
        prior_mean : bool, default=True
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
            the likelihood can take: never negative, 0 for a perfect reconstruction.

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
        if prior_layers is None:
            prior_layers = [
                range(1, k + 1) for k in range(max(1, getattr(self.network_, "n_layers", 0)))
            ]
        check_prior_layers(self, prior_layers)
        check_count("n_importance_samples", n_importance_samples)
        options = {"prior_layers": prior_layers, "n_samples": n_importance_samples}
        evaluate = partial(
            bounds_of_batch,
            noise=self._scoring_noise(),
            below="mean" if prior_mean else "sample",
            **options,
        )
        bounds, nll = self._map(X, evaluate)
        return bounds, np.maximum(nll, 0)

    def score(self, X, y=None):
        """Mean of `score_samples`, nats per row; the higher, the better the model fits X."""
        return float(np.mean(self.score_samples(X)))

    def bits_per_dim(self, X, *, n_importance_samples=1):
        """Negative log-likelihood of each row in bits per value of the row, shape (n,)."""
        nats = self.score_samples(X, n_importance_samples=n_importance_samples)
        return -nats / (math.log(2) * math.prod(self.input_shape_))

    def _scoring_noise(self, *other):
        """The same for all rows and all calls: a score is a fixed function of its row.

        Numbers make it another noise, to see how much depends on it.
        """
        return Noise([self.seed_, 5, *other], resolve_device(self.device), shared=True)

    def _learning_rate_for(self, X):
        """The rate that training starts with."""
        return self.learning_rate

    def _objective_for(self, network):
        """What training minimises."""
        return ELBO(free_bits=0.0)

    def sample(self, n_samples=1, *, random_state=None):
        """Draw rows from the model, on the scale of the data: shape (n_samples, ...), float64."""
        check_is_fitted(self)
        check_count("n_samples", n_samples)
        noise = Noise(draw_seed(random_state))
        with torch.inference_mode():
            return to_array(self.network_.sample(n_samples, noise), self.input_shape_)

    def _map(self, X, function, **options):
        """``function(network, x)`` over all rows of X, on the chosen device; see `map_batches`."""
        check_is_fitted(self)
        X = check_rows(self, X, reset=False)
        check_scale(self, X, self.data_kind_)
        network, device = self._network_on_device()
        return map_batches(lambda x: function(network, x), X, device, **options)

    def _network_on_device(self):
        """The network where it computes, and that device."""
        device = resolve_device(self.device)
        # A copy: scoring must not change the estimator, and pickles should load without a GPU.
        network = self.network_ if device.type == "cpu" else copy.deepcopy(self.network_).to(device)
        return network, device

    def _warn_of_collapse(self):
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
                    stacklevel=3,
                )

"""A network of somebody else's, with terms and samples alone, is good enough for every detector."""

from unittest import SkipTest

import numpy as np
import pytest
import torch
from sklearn.base import TransformerMixin
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn
from torch.distributions import Normal
from torch.nn import functional as F

from skood import GradientNorm, HierarchicalLLR, Likelihood, Typicality
from skood.core.protocols import DensityNetwork, Initialisable, InvertibleNetwork, LatentNetwork
from skood.core.terms import Terms
from skood.models._base import BaseGenerativeModel
from skood.models._flow import FlowMixin
from skood.models._latent_variables import LatentVariablesMixin
from skood.testing import all_models, easy_images, image_checks, small

pytestmark = pytest.mark.filterwarnings("ignore::skood.calibration.CalibrationWarning")

OF_TRANSFORMERS = ("transform", "fit_transform", "set_output", "get_feature_names_out")


class Masked(nn.Linear):
    """Outputs that see the inputs before them, and perhaps the one at their own place."""

    def __init__(self, n, diagonal):
        super().__init__(n, n)
        self.register_buffer("mask", torch.ones(n, n).tril(diagonal))

    def forward(self, x):
        return F.linear(x, self.weight * self.mask, self.bias)


class PixelNetwork(nn.Module):
    """p(x) = prod_i N(x_i; m_i(x_1, ..., x_i-1), s_i), of standardised values."""

    def __init__(self, rows):
        super().__init__()
        self.shape, n = rows.tensor_shape, rows.n_values
        self.loc, self.scale = map(nn.Parameter, rows.standardisation())
        for constant in (self.loc, self.scale):
            constant.requires_grad_(False)
        self.mean = nn.Sequential(Masked(n, -1), nn.Tanh(), Masked(n, 0))
        self.log_std = nn.Parameter(torch.zeros(n))

    def terms(self, x, noise):
        y = ((x - self.loc) / self.scale).flatten(1).to(self.log_std.dtype)
        normal = Normal(self.mean(y), self.log_std.exp(), validate_args=False)
        volume = self.scale.log().expand(self.shape).sum().to(y.dtype)
        return Terms(normal.log_prob(y).sum(1) - volume)

    def sample(self, n, noise):
        y = epsilon = noise.normal("x", (n, len(self.log_std)))
        for _ in range(y.shape[1]):  # after i rounds the first i values are right
            y = self.mean(y) + self.log_std.exp() * epsilon
        return y.view(n, *self.shape) * self.scale + self.loc


class Pixels(BaseGenerativeModel):
    def __init__(
        self,
        *,
        data_kind="auto",
        trainer=None,
        max_epochs="auto",
        batch_size=32,
        learning_rate=1e-2,
        device="auto",
        random_state=None,
        verbose=0,
    ):
        self.data_kind = data_kind
        self.trainer = trainer
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def _build_network(self, rows):
        return PixelNetwork(rows)


MODEL = Pixels(max_epochs=2)
DETECTORS = [GradientNorm(MODEL), Likelihood(MODEL), Typicality(MODEL)]


@parametrize_with_checks([MODEL, *DETECTORS])
def test_the_checks_of_scikit_learn_pass(estimator, check):
    try:
        check(estimator)
    except SkipTest as reason:
        pytest.fail(f"A check that is skipped proves nothing: {reason}")


@pytest.mark.parametrize("name", ["param_validation", "dataframe_column_names_consistency"])
def test_the_checks_that_scikit_learn_keeps_for_itself_pass(name):
    getattr(estimator_checks, f"check_{name}")("Pixels", MODEL)


@pytest.mark.parametrize("check", image_checks, ids=lambda check: check.__name__)
def test_the_checks_for_images_pass(check):
    check(MODEL, easy_images(60))


@pytest.mark.parametrize("check", image_checks, ids=lambda check: check.__name__)
def test_the_checks_for_images_pass_under_the_default_gradient_norm(check):
    check(GradientNorm(MODEL), easy_images(60))


@pytest.fixture(scope="module")
def table():
    """A curve with noise, in units of its own, and rows off it."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 1))
    X = np.concatenate([x, x + 0.1 * rng.normal(size=(400, 1))], axis=1) * [1, 1000]
    return X, X[:50] - np.array([0, 5000])


@pytest.mark.parametrize("detector", [GradientNorm, Likelihood, Typicality])
def test_every_default_detector_without_layers_finds_rows_far_off_a_line(detector, table):
    X, off = table
    fitted = detector(Pixels(max_epochs=30), random_state=0).fit(X)
    assert (fitted.predict(off) == -1).mean() > 0.9
    assert (fitted.predict(X) == 1).mean() > 0.9


@pytest.mark.parametrize("X", [easy_images(200), np.random.default_rng(0).normal(size=(200, 3))])
def test_samples_look_like_the_rows(X):
    samples = Pixels(max_epochs=50, random_state=0).fit(X).sample(500, random_state=0)
    assert samples.shape == (500, *X.shape[1:])
    np.testing.assert_allclose(samples.mean(0), X.mean(0), atol=0.5 * X.std())


def test_the_density_of_a_table_is_in_its_units(table):
    X, _ = table
    model = Pixels(max_epochs=30, random_state=0)
    expected = model.fit(X).score_samples(X) - 2 * np.log(1024)
    np.testing.assert_allclose(model.fit(1024 * X).score_samples(1024 * X), expected, atol=1e-3)


def test_the_only_bound_is_the_log_likelihood():
    model = Pixels(max_epochs=2, random_state=0).fit(easy_images(60))
    bounds, nll = model.bounds(easy_images(5), n_importance_samples=3)
    np.testing.assert_array_equal(bounds, [model.score_samples(easy_images(5))])
    np.testing.assert_array_equal(nll, -bounds)


def test_a_detector_of_layers_refuses_it_before_training(table):
    with pytest.raises(ValueError, match=r"HierarchicalLLR .*Pixels"):
        HierarchicalLLR(Pixels()).fit(table[0])


def test_its_network_is_a_density_network_and_nothing_else(table):
    network = Pixels(max_epochs=1).fit(table[0]).network_
    assert isinstance(network, DensityNetwork)
    assert not isinstance(network, LatentNetwork | InvertibleNetwork | Initialisable)


@pytest.mark.parametrize("name", OF_TRANSFORMERS)
def test_a_model_without_transform_has_nothing_of_a_transformer(name, table):
    assert not hasattr(Pixels(), name)
    assert not hasattr(Pixels(max_epochs=1).fit(table[0]), name)


@pytest.mark.filterwarnings("ignore::skood.CollapseWarning")
@pytest.mark.parametrize(
    "model", [m for m in all_models() if issubclass(m, FlowMixin | LatentVariablesMixin)]
)
def test_flows_and_latent_models_are_transformers(model, table):
    fitted = small(model)
    assert isinstance(fitted, TransformerMixin)
    Z = fitted.set_output(transform="pandas").fit_transform(table[0])
    assert list(Z.columns) == list(fitted.get_feature_names_out())
    assert Z.shape == (len(table[0]), len(Z.columns))

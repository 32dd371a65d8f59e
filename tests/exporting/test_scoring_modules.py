"""The score of every exportable detector, computed as one torch module, is its `ood_score`."""

import numpy as np
import pytest
import torch

from skood import HVAE, MAF, Gaussian, Glow, HierarchicalLLR, Likelihood, ScoreNorm, Typicality
from skood.core.estimator_protocols import ExportableDetector
from skood.detectors._scoring_modules import AdaptiveRatio, MostSignificantRatio, OptimalRatio
from skood.scores.ratios import (
    adaptive_likelihood_ratio,
    centre_and_spread,
    likelihood_ratios,
    most_significant_ratio,
    optimal_likelihood_ratio,
)
from skood.testing import all_detectors, image_layouts, small

pytestmark = pytest.mark.filterwarnings("ignore::skood.calibration.CalibrationWarning")

DATA = image_layouts(80) | {"table": np.random.default_rng(0).normal(size=(80, 5))}
# Rows that the models have not seen, the last of them far from all others.
NEW = image_layouts(40, random_state=1)
NEW["table"] = np.random.default_rng(1).normal(size=(40, 5)) * np.linspace(1, 20, 40)[:, None]

DETECTORS = [
    (Likelihood, MAF, {}),
    (Likelihood, HVAE, {"n_importance_samples": 3}),
    (Typicality, Glow, {}),
    (ScoreNorm, Gaussian, {}),
    *[(HierarchicalLLR, HVAE, {"k": k}) for k in (1, "ada", "opt", "max")],
    (HierarchicalLLR, HVAE, {"k": 1, "l": 3, "below": "sample"}),
]


@pytest.mark.filterwarnings("ignore::skood.CollapseWarning")
@pytest.mark.parametrize("name", DATA)
@pytest.mark.parametrize(
    "detector_class, model_class, options",
    DETECTORS,
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_the_module_of_a_detector_computes_its_score(name, detector_class, model_class, options):
    model = small(model_class, random_state=0)
    detector = small(detector_class, model, random_state=0, **options).fit(DATA[name])
    module = detector.scoring_module()
    x = torch.from_numpy(NEW[name]).to(module.rows.graph_type)
    with torch.no_grad():
        np.testing.assert_allclose(module(x), detector.ood_score(NEW[name]), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(
    "function, module",
    [
        (adaptive_likelihood_ratio, AdaptiveRatio()),
        (optimal_likelihood_ratio, OptimalRatio()),
    ],
)
def test_ratios_of_tensors_are_those_of_arrays(function, module):
    rng = np.random.default_rng(0)
    bounds, nll = -rng.exponential(100, size=(4, 50)), rng.exponential(50, size=(4, 50))
    nll[1, :5] = 0
    tensors = torch.from_numpy(bounds), torch.from_numpy(nll)
    np.testing.assert_allclose(module(tensors), function(bounds, nll), rtol=1e-12)


def test_the_most_significant_ratio_of_tensors_is_that_of_arrays():
    rng = np.random.default_rng(0)
    bounds, reference = rng.normal(size=(4, 50)), rng.normal(size=(3, 20))
    module = MostSignificantRatio(*centre_and_spread(reference))
    expected = most_significant_ratio(likelihood_ratios(bounds), reference)
    got = module((torch.from_numpy(bounds), torch.empty(0)))
    np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_the_exportable_detectors_are_those_that_are_tested():
    exportable = {d for d in all_detectors() if isinstance(d(), ExportableDetector)}
    assert exportable == {detector for detector, _, _ in DETECTORS}

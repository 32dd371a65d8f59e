"""Every public model and detector keeps scikit-learn's contract, for tables and for images.

The classes are found by walking the package: a new one is tested from the day it is exported.
"""

from unittest import SkipTest

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks
from sklearn.utils.fixes import parse_version

import skood
from skood import HVAE, Glow, GradientNorm, HierarchicalLLR
from skood.testing import (
    all_detectors,
    all_models,
    image_checks,
    image_layouts,
    small,
    takes_tables,
)

MODELS = [small(model) for model in all_models()]
DETECTORS = [small(detector) for detector in all_detectors()]
# scikit-learn's checks are about tables.
FOR_TABLES = [estimator for estimator in MODELS + DETECTORS if takes_tables(estimator)]
FOR_IMAGES = [estimator for estimator in MODELS + DETECTORS if not takes_tables(estimator)]
# The other branches of a parameter that changes what is computed.
VARIANTS = [small(HierarchicalLLR, k=k) for k in (1, "ada", "opt")]
VARIANTS += [
    small(GradientNorm, small(Glow), combine="mahalanobis", group_size=2, layers="module"),
    small(GradientNorm, small(Glow), combine="gaussian", fisher="diagonal"),
    small(GradientNorm, small(Glow), combine="one-sided", target="latent_sum"),
]

# scikit-learn runs these on its own estimators only.
MORE_CHECKS = (
    "check_dataframe_column_names_consistency",
    "check_estimators_partial_fit_n_features",
    "check_inplace_ensure_writeable",
    "check_param_validation",
)
MORE_TRANSFORMER_CHECKS = (
    "check_get_feature_names_out_error",
    "check_global_output_transform_pandas",
    "check_set_output_transform",
    "check_set_output_transform_pandas",
    "check_transformer_get_feature_names_out",
    "check_transformer_get_feature_names_out_pandas",
)
# Those that need no data.
CHECKS_WITHOUT_DATA = (
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_estimator_tags_renamed",
    "check_estimators_unfitted",
    "check_get_params_invariance",
    "check_mixin_order",
    "check_no_attributes_set_in_init",
    "check_param_validation",
    "check_parameters_default_constructible",
    "check_set_params",
    "check_valid_tag_types",
)
# 47 is what there is for an outlier detector, of which check_outlier_contamination only runs where
# there is a parameter of that name; our rate is called fpr since it is not one of training rows.
# Six of the checks of a model are those of transformers.
N_CHECKS = {"transformer": 47, "model": 41, "detector": 46}

# The checks train for two epochs on as few as one row.
pytestmark = [
    pytest.mark.filterwarnings("ignore::skood.calibration.CalibrationWarning"),
    pytest.mark.filterwarnings("ignore::skood.CollapseWarning"),
    # Of an IsolationForest in threads, since it takes the filters of warnings for its own.
    pytest.mark.filterwarnings("ignore:.sklearn.utils.parallel.delayed:UserWarning"),
]


def more_checks(estimator):
    extra = MORE_TRANSFORMER_CHECKS if hasattr(estimator, "transform") else ()
    return [getattr(estimator_checks, name) for name in (*MORE_CHECKS, *extra)]


def name_of(estimator):
    for name in ("k", "combine"):
        if hasattr(estimator, name):
            return f"{type(estimator).__name__}({name}={getattr(estimator, name)!r})"
    return type(estimator).__name__


def kind_of(estimator):
    if hasattr(estimator, "predict"):
        return "detector"
    return "transformer" if hasattr(estimator, "transform") else "model"


def all_estimators():
    """Every estimator, and the variants where all combinations are asked for."""
    variants = [pytest.param(e, marks=pytest.mark.exhaustive) for e in VARIANTS]
    return MODELS + DETECTORS + variants


def run(check, *arguments):
    try:
        check(*arguments)
    except SkipTest as reason:
        pytest.fail(f"A check that is skipped proves nothing: {reason}")


@parametrize_with_checks(FOR_TABLES)
def test_the_checks_of_scikit_learn_pass(estimator, check):
    run(check, estimator)


@pytest.mark.exhaustive
@parametrize_with_checks(VARIANTS)
def test_the_checks_of_scikit_learn_pass_with_other_parameters(estimator, check):
    run(check, estimator)


# The checks of set_output fit on a frame and transform an array, and the reverse, on purpose.
@pytest.mark.filterwarnings("ignore:X (has|does not have valid) feature names:UserWarning")
@pytest.mark.parametrize(
    "estimator, check",
    [
        pytest.param(
            estimator,
            check,
            id=f"{name_of(estimator)}-{check.__name__}",
            marks=pytest.mark.exhaustive if estimator in VARIANTS else (),
        )
        for estimator in FOR_TABLES + VARIANTS
        for check in more_checks(estimator)
    ],
)
def test_the_checks_that_scikit_learn_keeps_for_itself_pass(estimator, check):
    run(check, type(estimator).__name__, estimator)


@pytest.mark.skipif(
    parse_version(sklearn.__version__) < parse_version("1.9"),
    reason="older releases of scikit-learn have fewer checks",
)
@pytest.mark.parametrize("estimator", FOR_TABLES + VARIANTS, ids=name_of)
def test_no_check_of_scikit_learn_is_switched_off(estimator):
    n_checks = len(list(estimator_checks_generator(estimator)))
    assert n_checks >= N_CHECKS[kind_of(estimator)]
    n_more = len([c for c in more_checks(estimator) if "partial_fit" not in c.__name__])
    assert n_checks + n_more >= N_CHECKS[kind_of(estimator)] + 3


@pytest.mark.parametrize("check", CHECKS_WITHOUT_DATA)
@pytest.mark.parametrize("estimator", FOR_IMAGES, ids=name_of)
def test_the_checks_that_need_no_data_pass_for_images_alone(estimator, check):
    run(getattr(estimator_checks, check), type(estimator).__name__, estimator)


def test_every_public_estimator_is_covered():
    public = {getattr(skood, name) for name in skood.__all__}
    estimators = {c for c in public if hasattr(c, "fit")}
    assert {type(e) for e in MODELS + DETECTORS} == estimators
    assert {type(e) for e in MODELS} == set(all_models()) >= {Glow, HVAE}
    assert {type(e) for e in DETECTORS} == set(all_detectors()) >= {GradientNorm, HierarchicalLLR}


@pytest.mark.parametrize(
    "detector, frozen",
    [
        pytest.param(detector, frozen, id=f"{name_of(detector)}-{frozen}")
        for detector in [d for d in DETECTORS if takes_tables(d)] + VARIANTS
        for frozen in ((False, True) if hasattr(detector, "model") else (False,))
    ],
)
def test_a_detector_knows_the_names_of_columns(detector, frozen):
    table = np.random.default_rng(0).normal(size=(120, 3))
    frame = pd.DataFrame(table, columns=["a", "b", "c"])
    detector = clone(detector).set_params(random_state=0)
    if frozen:
        model = clone(detector.model).set_params(random_state=0).fit(frame[:60])
        detector.set_params(model=FrozenEstimator(model))
    detector.fit(frame[60:])
    # That X has no valid feature names would be a warning, and so an error here.
    np.testing.assert_array_equal(detector.feature_names_in_, frame.columns)
    assert np.isfinite(detector.score_samples(frame)).all()
    assert set(detector.predict(frame)) <= {-1, 1}
    assert len(detector.group_p_values(frame, 1)) == len(frame)
    if hasattr(detector, "score"):
        assert np.isfinite(detector.score(frame))
    with pytest.raises(ValueError, match="feature names"):
        detector.predict(frame[["b", "a", "c"]])


# The checks of one estimator and layout follow one another, for they share a fit.
@pytest.mark.parametrize("check", image_checks, ids=lambda check: check.__name__)
@pytest.mark.parametrize(
    "layout",
    [
        pytest.param(layout, marks=() if "last" in layout else pytest.mark.exhaustive)
        for layout in image_layouts(1)
    ],
)
@pytest.mark.parametrize("estimator", all_estimators(), ids=name_of)
def test_the_checks_for_images_pass(estimator, check, layout):
    check(estimator, image_layouts(60)[layout])

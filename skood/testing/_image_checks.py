"""What scikit-learn's checks ask of tables, asked of images, and a few promises more."""

from __future__ import annotations

import pickle
import random
import re
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from skood.core.batches import LARGE_BATCH, resolve_device
from skood.persistence import load
from skood.testing._fits import ROW_METHODS, assert_same_results, call, fit, reference, row_results
from skood.testing._process_checks import process_checks

__all__ = ["image_checks"]


def check_scores_are_one_float64_for_each_row(estimator: BaseEstimator, X: NDArray[Any]) -> None:
    """`score_samples` and what follows from it have the shapes, types and signs of scikit-learn."""
    fitted, _ = reference(estimator, X)
    scores = fitted.score_samples(X)
    assert scores.shape == (len(X),) and scores.dtype == np.float64
    assert np.isfinite(scores).all() and len(np.unique(scores)) > len(X) // 2
    if hasattr(fitted, "predict"):
        decision, labels = fitted.decision_function(X), fitted.predict(X)
        np.testing.assert_array_equal(decision, scores - fitted.offset_)
        np.testing.assert_array_equal(labels, np.where(decision >= 0, 1, -1))
        assert labels.dtype.kind == "i"


def check_one_row_alone_scores_the_same(estimator: BaseEstimator, X: NDArray[Any]) -> None:
    """A row's score is bitwise equal without the rows beside it."""
    fitted, expected = reference(estimator, X)
    for name, together in expected.items():
        for i in (0, 1, len(X) - 1):
            alone = row_results(fitted, X[i : i + 1], (name,))[name]
            np.testing.assert_array_equal(alone[0], together[i], err_msg=name)


def check_rows_in_any_batch_score_the_same(estimator: BaseEstimator, X: NDArray[Any]) -> None:
    """A row's score is bitwise equal in a batch of any size, or in several."""
    fitted, expected = reference(estimator, X)
    one_batch = LARGE_BATCH[resolve_device("auto").type]
    copies = 1 + one_batch // len(X)
    longer = np.concatenate([X] * copies)
    for name, whole in expected.items():
        for start, stop in ((0, 7), (7, 31)):
            part = row_results(fitted, X[start:stop], (name,))[name]
            np.testing.assert_array_equal(part, whole[start:stop], err_msg=name)
        long = row_results(fitted, longer, (name,))[name]
        np.testing.assert_array_equal(long, np.concatenate([whole] * copies), err_msg=name)


def check_rows_in_any_order_score_the_same(estimator: BaseEstimator, X: NDArray[Any]) -> None:
    """A row's score is bitwise equal at any place in X."""
    fitted, expected = reference(estimator, X)
    order = np.random.default_rng(0).permutation(len(X))
    shuffled = row_results(fitted, X[order])
    for name, result in expected.items():
        np.testing.assert_array_equal(shuffled[name], result[order], err_msg=name)


def check_fit_is_the_same_for_the_same_random_state(
    estimator: BaseEstimator, X: NDArray[Any]
) -> None:
    """Two fits with one ``random_state`` give bitwise equal scores; other seeds do not."""
    fitted, expected = reference(estimator, X)
    assert_same_results(row_results(fit(estimator, X), X), expected)
    assert_same_results(row_results(fitted.fit(X), X), expected)
    other = fit(estimator, X, random_state=1)
    assert not np.array_equal(other.score_samples(X), expected["score_samples"])


def check_pickle_keeps_scores(estimator: BaseEstimator, X: NDArray[Any]) -> None:
    """The scores of a pickled estimator are bitwise equal."""
    fitted, expected = reference(estimator, X)
    restored = pickle.loads(pickle.dumps(fitted))
    assert_same_results(row_results(restored, X), expected)


def check_memory_mapped_dump_keeps_scores(estimator: BaseEstimator, X: NDArray[Any]) -> None:
    """The scores of an estimator loaded with read-only arrays are bitwise equal."""
    fitted, expected = reference(estimator, X)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path = joblib.dump(fitted, Path(folder) / "estimator.joblib")[0]
        restored = joblib.load(path, mmap_mode="r")
        assert_same_results(row_results(restored, X), expected)


def check_saved_file_keeps_scores(estimator: BaseEstimator, X: NDArray[Any]) -> None:
    """An estimator loaded from its file has the same parameters and bitwise equal scores."""
    fitted, expected = reference(estimator, X)
    parts = [fitted, *fitted.get_params().values()]
    classes = {type(part) for part in parts if isinstance(part, BaseEstimator)}
    with tempfile.TemporaryDirectory() as folder:
        fitted.save(Path(folder) / "estimator")
        own = [kind for kind in classes if not kind.__module__.startswith("skood.")]
        restored = load(Path(folder) / "estimator", classes=own)
    assert_same_results(row_results(restored, X), expected)
    assert repr(restored) == repr(fitted)  # has all parameters, also nested ones


def check_read_only_memory_map_is_valid_input(estimator: BaseEstimator, X: NDArray[Any]) -> None:
    """A memory map that cannot be written to gives the scores of the array in memory."""
    _, expected = reference(estimator, X)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "X.npy"
        np.save(path, X)
        mapped = np.load(path, mmap_mode="r")
        assert_same_results(row_results(fit(estimator, mapped), mapped), expected)


def check_torch_tensor_is_valid_input(estimator: BaseEstimator, X: NDArray[Any]) -> None:
    """A torch tensor gives the scores of the array."""
    _, expected = reference(estimator, X)
    tensor = torch.from_numpy(X.copy())
    assert_same_results(row_results(fit(estimator, tensor), tensor), expected)


def check_scoring_leaves_the_estimator_as_it_was(estimator: BaseEstimator, X: NDArray[Any]) -> None:
    """No method that scores writes to the estimator."""
    fitted, _ = reference(estimator, X)
    before, content = dict(vars(fitted)), joblib.hash(vars(fitted))
    row_results(fitted, X)
    if hasattr(fitted, "score"):
        fitted.score(X)
    assert vars(fitted).keys() == before.keys()
    assert all(value is before[name] for name, value in vars(fitted).items())
    assert joblib.hash(vars(fitted)) == content


def check_unfitted_estimator_says_so(estimator: BaseEstimator, X: NDArray[Any]) -> None:
    """Every method that needs a fit raises NotFittedError before it."""
    unfitted = clone(estimator)
    calls: dict[str, tuple[Any, ...]] = {name: (X,) for name in (*ROW_METHODS, "score")}
    calls |= {"sample": (), "group_ood_score": (X, 1), "group_p_values": (X, 1)}
    for name, arguments in calls.items():
        if hasattr(unfitted, name):
            _assert_raises(NotFittedError, partial(call, unfitted, name, *arguments), name)


def check_other_image_shape_is_refused(estimator: BaseEstimator, X: NDArray[Any]) -> None:
    """Images of another shape raise a ValueError that names the shape got and the one fitted."""
    fitted, expected = reference(estimator, X)
    others = [X[:, :-1], X[..., :-1], X.reshape(len(X), -1), X[:, None]]
    for other in [x for x in others if x.ndim <= 4]:
        for name in expected:
            message = _assert_raises(ValueError, partial(call, fitted, name, other), name)
            for shape in (other.shape, X.shape[1:]):
                assert str(shape) in message, f"{name} does not name {shape}: {message}"


def check_other_scale_is_refused(estimator: BaseEstimator, X: NDArray[Any]) -> None:
    """Pixels on another scale than the fitted ones raise a ValueError, and are not called OOD."""
    fitted, expected = reference(estimator, X)
    other = X / 255 if X.dtype == np.uint8 else X * 255
    for name in expected:
        _assert_raises(ValueError, partial(call, fitted, name, other), name)


def check_fit_adds_only_names_that_end_in_underscore(
    estimator: BaseEstimator, X: NDArray[Any]
) -> None:
    """`fit` adds public attributes with a trailing underscore and leaves the parameters alone."""
    unfitted = clone(estimator).set_params(random_state=0)
    before = dict(vars(unfitted))
    content = joblib.hash(before)
    fitted = unfitted.fit(X)
    assert fitted is unfitted
    added = set(vars(fitted)) - set(before)
    wrong = {name for name in added if not re.fullmatch(r"[^_].*_", name)}
    assert not wrong, f"fit adds {sorted(wrong)}"
    after = {name: vars(fitted)[name] for name in before}
    assert all(value is before[name] for name, value in after.items())
    assert joblib.hash(after) == content


def check_clone_of_a_fitted_estimator_is_not_fitted(
    estimator: BaseEstimator, X: NDArray[Any]
) -> None:
    """`sklearn.base.clone` copies the parameters and nothing that was learned."""
    copy = clone(reference(estimator, X)[0])
    _assert_raises(NotFittedError, lambda: check_is_fitted(copy), "clone")
    assert vars(copy).keys() == copy.get_params(deep=False).keys()


def check_global_state_is_left_alone(estimator: BaseEstimator, X: NDArray[Any]) -> None:
    """Neither `fit`, seeded or not, nor scoring touches global generators, threads or modes."""
    for random_state in (0, None):
        before = _global_state()
        fitted = fit(estimator, X, random_state)
        assert _global_state() == before, f"fit with random_state={random_state}"
        row_results(fitted, X)
        if hasattr(fitted, "sample"):
            fitted.sample(2)
        assert _global_state() == before, "scoring"


# Every check takes an estimator, which it clones, and images (n, ...) of which about 50 are enough.
# Checks that are given one and the same estimator and equal images in turn share a fit.
image_checks = (
    check_scores_are_one_float64_for_each_row,
    check_one_row_alone_scores_the_same,
    check_rows_in_any_batch_score_the_same,
    check_rows_in_any_order_score_the_same,
    check_fit_is_the_same_for_the_same_random_state,
    check_pickle_keeps_scores,
    check_memory_mapped_dump_keeps_scores,
    check_saved_file_keeps_scores,
    check_read_only_memory_map_is_valid_input,
    check_torch_tensor_is_valid_input,
    check_scoring_leaves_the_estimator_as_it_was,
    check_unfitted_estimator_says_so,
    check_other_image_shape_is_refused,
    check_other_scale_is_refused,
    check_fit_adds_only_names_that_end_in_underscore,
    check_clone_of_a_fitted_estimator_is_not_fitted,
    check_global_state_is_left_alone,
    *process_checks,
)


def _assert_raises(error: type[Exception], call: Callable[[], Any], name: str) -> str:
    try:
        call()
    except error as raised:
        return str(raised)
    raise AssertionError(f"{name} does not raise {error.__name__}.")


def _global_state() -> dict[str, Any]:
    devices = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {
        "python": random.getstate(),
        "numpy": joblib.hash(np.random.get_state()),  # noqa: NPY002
        "torch": [state.tolist() for state in (torch.get_rng_state(), *devices)],
        "threads": torch.get_num_threads(),
        "gradients": torch.is_grad_enabled(),
        "dtype": torch.get_default_dtype(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
    }

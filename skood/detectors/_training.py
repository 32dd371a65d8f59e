"""The training of a detector's model, or what a cache has kept of it."""

from __future__ import annotations

import warnings
from typing import Any

from joblib import Memory
from joblib import hash as hash_of
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from skood.core.callers import stacklevel_of_user
from skood.core.rows import Rows
from skood.models._base import BaseGenerativeModel
from skood.models._density import BaseDensity
from skood.training.trainer import WITHOUT_EFFECT

__all__ = ["is_fitted", "shared_key", "trained"]


class _Interrupted(Exception):
    """Carries an interrupted model past the cache, which must not keep it."""


def trained(model: Any, rows: Rows, memory: Memory) -> Any:
    """The model trained on the rows, or taken from the cache if it was before."""
    given = rows if isinstance(model, BaseDensity) else rows.as_given()
    if memory.location is None:
        return model.fit(given)
    train = memory.cache(_train, ignore=["model"])
    try:
        found = _loaded(train, _key(model), model, given)
    except _Interrupted:
        return model
    return found.set_params(**model.get_params(deep=False))


def shared_key(model: Any, given: Rows, rows: Rows) -> str:
    """What two trainings have in common whose results are the same: the model and its rows.

    Rows that all detectors have alike are told by their number, since where there are few,
    detectors keep other numbers of them for calibration; and others by what they hold.
    """
    return str(hash_of((_key(model), len(rows), None if given is rows else given)))


def _key(model: Any) -> Any:
    """The model with all that training does not depend on set to the same."""
    key = clone(model)
    names = set(key.get_params())
    if isinstance(key, BaseGenerativeModel):
        names |= WITHOUT_EFFECT.keys()  # of a default trainer, too
    same = {name: value for name, value in WITHOUT_EFFECT.items() if name in names}
    return key.set_params(**same)


def _loaded(train: Any, key: Any, model: Any, given: Any) -> Any:
    stored = train.call_and_shelve(key, model, given)
    try:
        found = stored.get()
        if type(found) is not type(model) or not is_fitted(found):
            raise TypeError(f"it holds a {type(found).__name__}")
    except Exception as error:
        warnings.warn(
            f"The cached {type(model).__name__} cannot be read ({type(error).__name__}: {error}); "
            "it is trained again.",
            stacklevel=stacklevel_of_user(),
        )
        stored.clear()
        found = train.call_and_shelve(key, model, given).get()
    return found


def _train(key: Any, model: Any, X: Any) -> Any:
    """What is cached: the same for all models with one key."""
    model.fit(X)
    if getattr(model, "interrupted_", False):
        raise _Interrupted
    return model


def is_fitted(model: Any) -> bool:
    """Whether scikit-learn's check finds it so; what cannot be asked is not."""
    try:
        check_is_fitted(model)
    except Exception:
        return False
    return True

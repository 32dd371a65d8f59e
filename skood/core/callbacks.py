"""What callbacks of scikit-learn (1.9 and newer) learn of a `fit`: its tasks, and those inside."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar, cast

import numpy as np

from skood.core.rows import Rows

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # older versions have none

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Nothing."""

    with_callbacks = None

__all__ = ["CallbackSupportMixin", "fit_task", "steps"]

_Fit = TypeVar("_Fit", bound=Callable[..., Any])

# The estimator that is fitted in this thread, and scikit-learn's context of its fit.
_outer: ContextVar[tuple[Any, Any] | None] = ContextVar("outer", default=None)


def fit_task(fit: _Fit) -> _Fit:
    """For ``fit`` of estimators with `CallbackSupportMixin`: a task, and what it fits parts of it.

    So a callback of a grid search sees the epochs of a model inside a detector.
    """
    if with_callbacks is None:
        return fit

    @with_callbacks  # type: ignore[untyped-decorator]
    def alone(self: Any, X: Any, y: Any) -> Any:
        task = self._init_callback_context(max_subtasks=None)
        task.call_on_fit_task_begin(estimator=self, X=X, y=y)
        token = _outer.set((self, task))
        try:
            result = fit(self, X, y)
        finally:
            _outer.reset(token)
        task.call_on_fit_task_end(estimator=self, X=X, y=y)
        return result

    @functools.wraps(fit)
    def fit_as_task(self: Any, X: Any, y: Any = None) -> Any:
        with ExitStack() as around:
            if _outer.get() is not None:
                around.enter_context(_part(self))
            return alone(self, X, y)

    return cast(_Fit, fit_as_task)


@contextmanager
def _part(inner: Any) -> Iterator[None]:
    """The fit of ``inner`` is a part of the one around it."""
    estimator, task = cast(tuple[Any, Any], _outer.get())
    part = task.subcontext(task_name=f"fit {type(inner).__name__}")
    with part.propagate_callback_context(inner):
        part.call_on_fit_task_begin(estimator=estimator)
        yield
        part.call_on_fit_task_end(estimator=estimator)


@contextmanager
def steps(
    unit: str, n_steps: int, rows: Rows
) -> Iterator[Callable[[Callable[[], dict[str, Any]]], bool]]:
    """Tasks for the steps of the fit in this thread, at most so many.

    A step begins, for callbacks, when it is over, since nobody knows before if it will be.

    Yields
    ------
    callable
        To be called after each step with a function that gives all fitted attributes of the
        estimator, as if the fit ended here. It says whether a callback wants it to.
    """
    around = _outer.get()
    if around is None:
        yield lambda attributes: False
        return
    estimator, outer = around
    task = outer.subcontext(task_name=f"{unit}s", max_subtasks=n_steps)
    task.call_on_fit_task_begin(estimator=estimator)

    def done(attributes: Callable[[], dict[str, Any]]) -> bool:
        step = task.subcontext(task_name=unit).call_on_fit_task_begin(estimator=estimator)
        stop: bool = step.call_on_fit_task_end(
            estimator=estimator,
            X=rows.as_given,
            y=lambda: np.ones(len(rows), dtype=int),  # as scikit-learn calls inliers
            reconstruction_attributes=attributes,
        )
        return stop

    yield done
    task.call_on_fit_task_end(estimator=estimator)

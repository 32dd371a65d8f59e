"""Estimators that can be saved without pickle."""

from __future__ import annotations

import os
from typing import Any, ClassVar

from sklearn.utils.validation import check_is_fitted

from skood.core.encoding import attributes_of, encode
from skood.core.modes import own_modes
from skood.core.saved_files import write

__all__ = ["Savable"]


class Savable:
    """For estimators, to the left of scikit-learn's `BaseEstimator`, and for what holds them.

    A fitted attribute has to be a number, a text, an array, a tensor, a dataclass of these, another
    estimator, or a list, tuple or dict. A class with others gives `_to_save` and `_restore`.
    """

    # Parameters that say nothing on another machine, and what is code, as scikit-learn's callbacks.
    _not_saved: ClassVar[frozenset[str]] = frozenset({"_skl_callbacks"})

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted estimator to a file that `skood.load` reads, without pickle.

        Parameters
        ----------
        path : str or path
            A file that is there is replaced at once, when the new one is complete; if something
            goes wrong before, it stays.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If it holds something that cannot be saved, such as a function; the message names it.

        Warns
        -----
        UserWarning
            Of parameters that are not saved: ``memory``, a place on this machine, and the
            trainer's ``callbacks``, which are code.

        Examples
        --------
        >>> import os, tempfile
        >>> import numpy as np
        >>> import skood
        >>> X = np.random.default_rng(0).normal(size=(500, 3))
        >>> detector = skood.CombinedDetector(random_state=0).fit(X)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "detector.safetensors")
        ...     detector.save(path)
        ...     loaded = skood.load(path)
        >>> bool((loaded.score_samples(X) == detector.score_samples(X)).all())
        True
        """
        check_is_fitted(self)
        with own_modes(grad=True):
            write(path, *encode(self))

    def _to_save(self) -> dict[str, Any]:
        """Attributes of the fitted estimator, as values that can be saved."""
        return attributes_of(self)

    def _restore(self, attributes: dict[str, Any]) -> None:
        """Become fitted with what `_to_save` gave.

        The values come from a file and may be anything: raise ValueError where they cannot be.
        """
        vars(self).update(attributes)

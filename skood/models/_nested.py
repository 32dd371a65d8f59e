"""Parameters of an object that is a parameter itself, and None by default."""

from __future__ import annotations

from typing import Any

__all__ = ["NestedDefaults"]


class NestedDefaults:
    """``set_params(trainer__patience=5)`` works where ``trainer`` is None and stands for a default.

    To the left of scikit-learn's `BaseEstimator`.
    """

    def set_params(self, **params: Any) -> Any:
        """Set parameters, also of nested objects, as everywhere in scikit-learn.

        A nested object that is None is first replaced by the default it stands for.
        """
        for name in {name.partition("__")[0] for name in params if "__" in name}:
            if name not in params and getattr(self, name, self) is None:
                setattr(self, name, self._default_for(name))
        return super().set_params(**params)  # type: ignore[misc]

    def _default_for(self, name: str) -> Any:
        default = self._nested_default(name)
        if default is None:
            raise ValueError(
                f"{name} is None, whose default depends on the data, so it has no parameters to "
                f"set. Give an instance as {name} first."
            )
        return default

    def _nested_default(self, name: str) -> Any:
        """What the parameter ``name`` stands for if it is None; None if that is not known yet."""
        raise NotImplementedError

"""scikit-learn's own estimators in files, by skops.

skops builds an object of types that it knows to run nothing of what a file says, and refuses others
by name. The bytes are a zip file.
"""

from __future__ import annotations

import io
import zipfile
from types import ModuleType
from typing import Any

from skood.core.exceptions import LoadError

__all__ = ["dumps", "loads"]


def dumps(estimator: Any, where: str) -> bytes:
    """The estimator as bytes.

    Raises
    ------
    ValueError
        If it, or a part of it, is of a type that skops does not trust.
    """
    skops = _skops(f"Saving {where}, a {type(estimator).__name__}")
    data: bytes = skops.dumps(estimator)
    untrusted = skops.get_untrusted_types(data=data)
    if untrusted:
        raise ValueError(
            f"{where} is a {type(estimator).__name__}, which holds {', '.join(untrusted)}. Files "
            "of these are not safe to load, so it is not saved. A GaussianMixture, an "
            "EllipticEnvelope, and skood's KNNDistance and MixtureLikelihood can be saved; for a "
            "file that only you read there is pickle."
        )
    return data


def loads(data: bytes) -> Any:
    """The estimator of `dumps`; untrusted types raise an error of skops that names them."""
    skops = _skops("This file holds an estimator of scikit-learn, and loading it")
    parts = zipfile.ZipFile(io.BytesIO(data)).infolist()
    is_packed = any(part.compress_type != zipfile.ZIP_STORED for part in parts)
    if is_packed or sum(part.file_size for part in parts) > len(data):
        raise LoadError("it has packed parts, which could take any amount of memory")
    return skops.loads(data)


def _skops(what: str) -> ModuleType:
    try:
        import skops.io
    except ImportError as error:
        raise ImportError(
            f"{what} needs skops, which is not installed. Use: pip install 'skood[skops]'."
        ) from error
    module: ModuleType = skops.io
    return module

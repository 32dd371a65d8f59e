"""The likelihood of an image beside what a universal compressor makes of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from joblib import Memory
from numpy.typing import NDArray
from sklearn.utils import Tags

from skood.core.data_kinds import kind_for
from skood.core.estimator_protocols import PixelModel
from skood.core.rows import Rows
from skood.detectors._log_likelihood import LogLikelihoodDetector
from skood.detectors._model_detector import unfrozen
from skood.models import Glow
from skood.scores.complexity import check_compressors, compressed_bits

__all__ = ["InputComplexity"]

_Floats = NDArray[np.float64]

# Images that are in memory as bytes at a time.
_CHUNK = 1024


class InputComplexity(LogLikelihoodDetector):
    """Out-of-distribution detection by the likelihood less the complexity of an image.

    Simple images are likely under any generative model, whatever they show. A compressor of images
    needs few bits for them too, so an image is OOD if the model needs more bits than the
    compressor, compared with normal images. It sees images of other contents that are simpler than
    normal ones, which `Likelihood` calls normal. It fails where the OOD images are the more complex
    ones and the model is hardly better than the compressor, which takes noise for complex and
    normal. Compression costs less than the likelihood, but for JPEG-XL.

    Parameters
    ----------
    model : estimator, FrozenEstimator or None, default=None
        A generative model of skood; None is ``Glow()``, the log-likelihood of which is exact, and
        of 8-bit pixels. Of models with latent variables take such a ``likelihood`` as
        "discretized_logistic": "bernoulli" counts the bits of black-and-white images.
    compressors : sequence of {"png", "zlib", "jpeg_xl"}, default=("png", "zlib")
        Of several the one that makes an image shortest. "jpeg_xl" is the best for colour images,
        slow, and needs ``pip install "skood[compression]"``.
    fpr, n_importance_samples, calibration_fraction, memory, random_state, verbose
        As in `Likelihood`.

    Attributes
    ----------
    model_, calibration_scores_, calibration_statistics_, offset_, input_shape_, n_features_in_
        See `CalibratedDetector`.

    See Also
    --------
    skood.scores.complexity.compressed_bits : The complexity alone.

    Notes
    -----
    `ood_score` is ``S(x) = -log2 p(x) - L(x)`` in bits, L(x) being the length of the compressed
    image (Serra, Alvarez, Gomez, Slizovskaia, Nunez, Luque: "Input complexity and
    out-of-distribution detection with likelihood-based generative models", ICLR 2020,
    arXiv:1909.11480, eq. 3, with their minimum over compressors). There both are divided by the
    number of values. Here the length of a black image is subtracted from L, so that the headers of
    two compressors do not decide between them. Theirs are PNG, JPEG 2000 and FLIF, models
    convolutional flows and PixelCNN++; for grey images ``Glow("conv")`` is nearer to them than the
    default, which `GradientNorm` can share. Pixels in [0, 1] are compressed as 256 levels.

    Examples
    --------
    >>> from skood import Glow, InputComplexity
    >>> from skood.testing import easy_images
    >>> detector = InputComplexity(Glow(max_epochs=2), random_state=0).fit(easy_images(200))
    >>> detector.predict(easy_images(3)).shape
    (3,)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **LogLikelihoodDetector._parameter_constraints,
        "compressors": ["array-like"],
    }
    _model_protocol = PixelModel

    def __init__(
        self,
        model: Any = None,
        *,
        compressors: Sequence[str] = ("png", "zlib"),
        fpr: float = 0.05,
        n_importance_samples: int = 8,
        calibration_fraction: float = 0.2,
        memory: str | Memory | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.model = model
        self.compressors = compressors
        self.fpr = fpr
        self.n_importance_samples = n_importance_samples
        self.calibration_fraction = calibration_fraction
        self.memory = memory
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_tags__(self) -> Tags:
        """That it takes images alone."""
        tags: Tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.three_d_array = False, True
        return tags

    def _nested_default(self, name: str) -> Any:
        return Glow()

    def _check_learnable(self, rows: Rows) -> None:
        check_compressors(self.compressors)
        if rows.ndim == 2:
            raise ValueError(
                f"InputComplexity compresses images, and X is a table with {rows.shape[1]} "
                "columns. Use KNNDistance or MixtureLikelihood, or Likelihood with a flow such as "
                "MAF."
            )
        super()._check_learnable(rows)
        if kind_for(unfrozen(self.model), rows) == "real":
            raise ValueError(
                "InputComplexity compresses 8-bit images, or images with pixels in [0, 1]; X holds "
                "images of real numbers. Scale X, or use Likelihood or GradientNorm."
            )

    def _statistic(self, rows: Rows) -> _Floats:
        return -self._log_likelihood(rows) / math.log(2) - self._complexity(rows)

    def _complexity(self, rows: Rows) -> _Floats:
        """Bits of each compressed image."""
        scale, X = 255 / self.model_.rows_.white, self._of_model(rows)
        bits = []
        for start in range(0, len(rows), _CHUNK):
            pixels = self.model_.first_rows(X[start : start + _CHUNK], _CHUNK)
            images = (pixels * scale).round().byte().permute(0, 2, 3, 1)
            bits.append(compressed_bits(images.contiguous().numpy(), self.compressors))
        return np.concatenate(bits)

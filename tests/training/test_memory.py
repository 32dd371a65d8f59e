"""Images on disk are fitted and scored without a copy of them in memory."""

import tracemalloc

import numpy as np
import pytest

from skood import HVAE, Gaussian, Glow, HierarchicalLLR, ScoreNorm
from skood.testing import small

pytestmark = pytest.mark.filterwarnings("ignore::skood.CollapseWarning")
SHAPE = (20_000, 28, 28)  # 15.7 MB
INDEX = 8 * SHAPE[0]  # bytes
BATCH = 128 * 28 * 28
# While statistics are taken, some rows and what is made of them, as float64.
CHUNKS = 4 * 2**21
MODEL = {"max_epochs": 1, "batch_size": 128, "random_state": 0}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """A read-only memory map."""
    path = tmp_path_factory.mktemp("images") / "X.npy"
    X = np.lib.format.open_memmap(path, "w+", np.uint8, SHAPE)
    X[:] = np.random.default_rng(0).integers(0, 256, SHAPE[1:])
    X[:, ::3] = np.arange(SHAPE[0]).astype(np.uint8)[:, None, None]
    X.flush()
    return np.load(path, mmap_mode="r")


def peak_of(function, X):
    """The most bytes that NumPy and Python held at a time, beyond those of before."""
    function(X[:300])  # what is imported late, or kept for all calls, is no copy of X
    tracemalloc.start()
    try:
        function(X)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


ESTIMATORS = {
    "Gaussian": Gaussian(random_state=0),
    "ScoreNorm": ScoreNorm(random_state=0),
    "Glow": small(Glow, **MODEL | {"width": 4}),
    "HierarchicalLLR": small(
        HierarchicalLLR, small(HVAE, **MODEL), n_importance_samples=1, random_state=0
    ),
}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_fitting_takes_batches_and_indices_but_no_copy_of_the_rows(name, images):
    peak = peak_of(ESTIMATORS[name].fit, images)
    assert peak < CHUNKS + 8 * INDEX + 4 * BATCH < 0.7 * images.nbytes


@pytest.mark.parametrize("name", ESTIMATORS)
def test_scoring_takes_batches_and_results_but_no_copy_of_the_rows(name, images):
    fitted = ESTIMATORS[name].fit(images[:300])
    peak = peak_of(fitted.score_samples, images)
    assert peak < 16 * INDEX + 4 * BATCH < 0.2 * images.nbytes


def test_a_copy_would_be_seen(images):
    assert peak_of(np.array, images) > images.nbytes

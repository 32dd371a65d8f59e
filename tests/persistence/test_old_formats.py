"""Files of earlier formats are read: the promise of docs/guide/saving.md.

``python tests/persistence/test_old_formats.py`` writes the files of the present format. They are
made once, when the format is new, and stay as they are.
"""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import IsolationForest

import skood
from skood.core.saved_files import FORMAT
from skood.testing import small

FILES = Path(__file__).parent / "files"


def read_again(path):
    """The loaded estimator, rows and their scores at the time."""
    expected = json.loads(path.with_suffix(".json").read_text())
    return skood.load(path), np.array(expected["rows"]), np.array(expected["scores"])


def write_files():
    X = np.random.default_rng(0).normal(size=(80, 3))
    elbo = skood.HVAE(latent_dims=(2, 2), width=4, max_epochs=2, objective=skood.ELBO())
    members = [
        ("gradient", skood.GradientNorm(small(skood.MAF))),
        ("ratio", skood.HierarchicalLLR(elbo)),
        ("statistics", skood.DoSE(elbo)),
        ("likelihood", skood.Likelihood(small(skood.Glow))),
        ("score", skood.ScoreNorm()),
        ("mixture", skood.MixtureLikelihood(n_mixtures=2)),
        ("near", skood.KNNDistance()),
        ("forest", skood.ConformalDetector()),
    ]
    detector = skood.CombinedDetector(members, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        detector.fit(X)
    trees = IsolationForest(n_estimators=5, max_samples=20, random_state=0).fit(X)
    detector.detectors_["forest"].estimator_ = trees
    FILES.mkdir(exist_ok=True)
    detector.save(FILES / f"format_{FORMAT}.safetensors")
    values = {"rows": X[:5].tolist(), "scores": detector.score_samples(X[:5]).tolist()}
    (FILES / f"format_{FORMAT}.json").write_text(json.dumps(values, indent=1))


def test_there_is_a_file_of_the_present_format_and_of_the_one_before():
    wanted = {f"format_{n}.safetensors" for n in (FORMAT - 1, FORMAT) if n > 0}
    assert {path.name for path in FILES.glob("*.safetensors")} == wanted


@pytest.mark.parametrize("path", sorted(FILES.glob("*.safetensors")), ids=lambda path: path.stem)
def test_a_file_is_read_and_scores_as_it_did(path):
    detector, rows, scores = read_again(path)
    # Other processors and versions of torch round in other ways.
    np.testing.assert_allclose(detector.score_samples(rows), scores, rtol=1e-3)
    assert detector.get_params()["ratio__model__objective__free_bits"] == 2.0
    assert list(detector.detectors_) == [name for name, _ in detector.detectors]


if __name__ == "__main__":
    write_files()

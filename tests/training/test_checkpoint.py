"""`Trainer(checkpoint=...)`: what is taken up, what is refused, and by which name."""

import pickle
import warnings

import numpy as np
import pytest
import torch
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback

import skood.training.checkpoint
from skood import ELBO, HVAE, MAF, CombinedDetector, Glow, KNNDistance, Likelihood, Trainer
from skood.testing import easy_images, small

pytestmark = pytest.mark.filterwarnings("ignore::skood.CollapseWarning")
IMAGES = easy_images(60)
TABLE = np.random.default_rng(0).normal(3, 1, (60, 3))
LONG_TABLE = np.random.default_rng(0).normal(3, 1, (200, 3))
batches = []


class CountBatches(Callback):
    """Outside of the callback, of which estimators make copies."""

    def on_batch_end(self, net, training=False, **kwargs):
        batches.append(1)


class CtrlC(CountBatches):
    """In the second batch of the third epoch."""

    def on_batch_end(self, net, training=False, **kwargs):
        super().on_batch_end(net, training, **kwargs)
        if len(net.history) == 3 and len(net.history[-1]["batches"]) == 2:
            raise KeyboardInterrupt


@pytest.fixture(autouse=True)
def none_counted():
    batches.clear()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "fit.safetensors"


def model(model_class=MAF, *, stop=False, **options):
    trainer = {"checkpoint": None, "callbacks": (CtrlC() if stop else CountBatches(),)}
    names = Trainer().get_params()
    trainer |= {name: options.pop(name) for name in list(options) if name in names}
    options = {"max_epochs": 6, "batch_size": 16, "random_state": 0, **options}
    return small(model_class, trainer=Trainer(**trainer), **options)


def interrupt(estimator, X):
    with pytest.raises(KeyboardInterrupt):
        estimator.fit(X)


def assert_same(found, expected):
    for name, weight in expected.network_.state_dict().items():
        assert torch.equal(found.network_.state_dict()[name], weight)
    for name in ("n_iter_", "interrupted_"):
        assert getattr(found, name) == getattr(expected, name)
    for name in found.history_.keys() - {"seconds"}:
        assert found.history_[name] == expected.history_[name]
    assert found.snapshots_.keys() == expected.snapshots_.keys()


@pytest.mark.parametrize("model_class, X", [(HVAE, IMAGES), (Glow, IMAGES), (MAF, TABLE)])
def test_an_interrupted_fit_is_taken_up_to_the_weights_of_one_that_was_not(model_class, X, path):
    options = {"checkpoint": path, "snapshot_epochs": (1, 4)}
    interrupt(model(model_class, stop=True, **options), X)
    n_before = len(batches)
    found = model(model_class, **options).fit(X)
    n_all = len(batches)
    assert_same(found, model(model_class, snapshot_epochs=(1, 4)).fit(X))
    # Two batches of the third epoch, which was not kept, came twice.
    assert n_before > 2 and n_all - 2 == len(batches) - n_all


def test_the_average_of_weights_is_taken_up_too(path):
    options = {"checkpoint": path, "weight_average": 0.9, "patience": None}
    interrupt(model(stop=True, **options), TABLE)
    found = model(**options).fit(TABLE)
    assert_same(found, model(weight_average=0.9, patience=None).fit(TABLE))


def test_a_fit_that_had_ended_is_there_at_once(path):
    expected = model(checkpoint=path).fit(TABLE)
    n_before = len(batches)
    assert_same(model(checkpoint=path).fit(TABLE), expected)
    assert len(batches) == n_before


@pytest.mark.parametrize("name, here", [
    ("learning_rate", "0.5"),
    ("max_epochs", "7"),
    ("trainer__clip_norm", "3.0"),
    ("trainer__snapshot_epochs", r"\[2\]"),
    ("trainer__weight_average", "0.9"),
    ("n_transforms", "2"),
])  # fmt: skip
def test_another_parameter_is_refused_by_its_name(name, here, path):
    before = model(checkpoint=path).fit(TABLE).get_params()[name]
    changed = model(checkpoint=path).set_params(**{name: eval(here.replace("\\", ""))})
    there = str(before).replace("()", r"\[\]")
    with pytest.raises(ValueError, match=f"training: {name} is {there} in the file and {here} he"):
        changed.fit(TABLE)


def test_another_objective_is_refused_by_the_name_of_its_parameter(path):
    model(HVAE, checkpoint=path, objective=ELBO(free_bits=1.0)).fit(IMAGES)
    message = "objective__free_bits is 1.0 in the file and 2.0 here. Delete the file"
    with pytest.raises(ValueError, match=message):
        model(HVAE, checkpoint=path, objective=ELBO(free_bits=2.0)).fit(IMAGES)


def test_other_rows_are_refused_and_the_estimator_stays_as_it_was(path):
    fitted = model(checkpoint=path).fit(TABLE)
    before = dict(vars(fitted))
    with pytest.raises(ValueError, match="another training: SHA-256 of the training rows is"):
        fitted.fit(TABLE[::-1])
    with pytest.raises(ValueError, match=r"rows is \[60, 3\] in the file and \[59, 3\] here"):
        fitted.fit(TABLE[1:])
    with pytest.raises(ValueError, match="float64 from float' in the file and 'float32 from float"):
        fitted.fit(TABLE.astype(np.float32))
    assert vars(fitted) == before


@pytest.mark.parametrize("name, module", [("skood", skood.training.checkpoint), ("torch", torch)])
def test_another_version_is_refused(name, module, path, monkeypatch):
    model(checkpoint=path).fit(TABLE)
    monkeypatch.setattr(module, "__version__", "9.0.0")
    with pytest.raises(ValueError, match=f"of {name} is '.*' in the file and '9.0.0' here"):
        model(checkpoint=path).fit(TABLE)


@pytest.mark.parametrize("name, value", [
    ("verbose", 1), ("device", "cpu"), ("trainer__on_interrupt", "keep"),
])  # fmt: skip
def test_what_no_weight_depends_on_may_change(name, value, path):
    expected = model(checkpoint=path).fit(TABLE)
    assert_same(model(checkpoint=path).set_params(**{name: value}).fit(TABLE), expected)


@pytest.mark.parametrize("content", ["empty", "half", "one bit", "pickle", "another kind"])
def test_a_file_that_is_no_checkpoint_is_refused_and_left_alone(content, path):
    model(checkpoint=path).fit(TABLE)
    whole = path.read_bytes()
    contents = {"empty": b"", "half": whole[: len(whole) // 2], "pickle": pickle.dumps([1])}
    contents["one bit"] = whole[:-1] + bytes([whole[-1] ^ 1])
    if content in contents:
        path.write_bytes(contents[content])
    else:
        with pytest.warns(UserWarning, match="callbacks is not saved"):
            model().fit(TABLE).save(path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"cannot be read \(.*\)\. Delete the file"):
        model(checkpoint=path).fit(TABLE)
    assert path.read_bytes() == before


def test_a_path_in_no_folder_is_refused_before_the_training(tmp_path):
    with pytest.raises(ValueError, match=r"is in no folder that is there\. Create '.*runs' first"):
        model(checkpoint=str(tmp_path / "runs" / "fit")).fit(TABLE)
    assert not batches


def test_a_parameter_that_cannot_be_compared_is_refused(path):
    with pytest.raises(ValueError, match=r"objective=.* cannot be told from other values"):
        model(HVAE, checkpoint=path, objective=lambda *batch: ELBO()(*batch)).fit(IMAGES)


def test_a_full_disk_costs_no_training(path, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    interrupt(model(checkpoint=path, stop=True), TABLE)
    before = path.read_bytes()
    monkeypatch.setattr("skood.core.saved_files.save_file", full)
    with pytest.warns(UserWarning, match="written after epoch [3-6] .*No space left.*goes on"):
        found = model(checkpoint=path).fit(TABLE)
    assert_same(found, model().fit(TABLE))
    assert path.read_bytes() == before and list(path.parent.iterdir()) == [path]


def test_a_folder_has_a_file_for_each_training_of_a_grid_search(tmp_path):
    grid = {"learning_rate": [1e-3, 1e-2], "verbose": [0]}
    search = GridSearchCV(model(checkpoint=tmp_path), grid, cv=2, error_score="raise").fit(TABLE)
    n_before = len(batches)
    assert len(list(tmp_path.glob("MAF-*.safetensors"))) == len(list(tmp_path.iterdir())) == 5
    again = GridSearchCV(model(checkpoint=tmp_path), grid, cv=2, error_score="raise").fit(TABLE)
    assert len(batches) == n_before and again.best_score_ == search.best_score_


def test_no_random_state_is_zero_so_that_the_next_fit_is_the_same(path):
    expected = model(checkpoint=path, random_state=None).fit(TABLE)
    assert_same(model(checkpoint=path, random_state=None).fit(TABLE), expected)
    assert_same(model(random_state=0).fit(TABLE), expected)
    assert model(random_state=None).fit(TABLE).seed_ != 0


def likelihood(**options):
    return Likelihood(model(random_state=None, **options))


def combination(**options):
    members = [("near", KNNDistance()), ("likely", likelihood(**options))]
    return CombinedDetector(members, calibration_fraction=0.2)


@pytest.mark.parametrize("detector", [likelihood, combination])
def test_a_detector_takes_up_the_training_of_its_model(detector, path):
    interrupt(detector(checkpoint=path, stop=True), LONG_TABLE)
    found = detector(checkpoint=path).fit(LONG_TABLE).score_samples(TABLE)
    expected = detector().set_params(random_state=0).fit(LONG_TABLE).score_samples(TABLE)
    np.testing.assert_array_equal(found, expected)


def test_with_memory_the_path_makes_no_other_entry(path, tmp_path):
    Likelihood(model(checkpoint=path), memory=str(tmp_path / "cache")).fit(LONG_TABLE)
    n_before = len(batches)
    path.unlink()
    Likelihood(model(), memory=str(tmp_path / "cache")).fit(LONG_TABLE)
    assert len(batches) == n_before


def test_a_checkpoint_leaves_no_warning_and_no_other_file(path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model(checkpoint=path).fit(TABLE)
    assert list(path.parent.iterdir()) == [path]

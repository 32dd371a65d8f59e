"""A network is built again for the state of one, and for no other."""

import pickle

import numpy as np
import pytest
import torch

import skood
from skood import MAF
from skood.core.exceptions import LoadError
from skood.core.saved_files import read, write
from skood.testing import small

TABLE = np.random.default_rng(0).normal(size=(60, 4))


@pytest.fixture(scope="module")
def model():
    return small(MAF).set_params(random_state=0).fit(TABLE)


@pytest.fixture
def load_changed(model, tmp_path):
    """Loads the model after a change of its parameters, fitted attributes or tensors."""

    def load(parameters=None, attributes=None, tensors=None):
        model.save(tmp_path / "file")
        document, saved = read(tmp_path / "file")
        whole = document["objects"][-1]
        whole["parameters"] |= parameters or {}
        whole["attributes"] |= attributes or {}
        changed = {name: tensor for name, tensor in saved.items() if name not in (tensors or {})}
        changed |= {name: x for name, x in (tensors or {}).items() if x is not None}
        write(tmp_path / "file", document, changed)
        return skood.load(tmp_path / "file")

    return load


def test_without_a_change_it_is_the_model(model, load_changed):
    loaded = load_changed()
    np.testing.assert_array_equal(loaded.score_samples(TABLE), model.score_samples(TABLE))
    assert not loaded.network_.training
    trained = [parameter.requires_grad for parameter in model.network_.parameters()]
    assert [parameter.requires_grad for parameter in loaded.network_.parameters()] == trained


@pytest.mark.parametrize(
    "parameters",
    [
        *({"width": 10**9}, {"width": 2**40}, {"n_hidden_layers": 10**12}),
        *({"n_transforms": 10**12}, {"width": 10**9, "n_hidden_layers": 10**9}),
    ],
)
def test_a_network_far_larger_than_its_file_is_not_built(parameters, load_changed):
    with pytest.raises(LoadError, match=r"its network would take more than \d+ bytes to build"):
        load_changed(parameters)


@pytest.mark.parametrize(
    "parameters", [{"width": 9}, {"n_transforms": 2}, {"univariate": "spline"}]
)
def test_a_network_of_another_shape_is_named(parameters, load_changed):
    with pytest.raises(LoadError, match=r"bijection.* of its network should be"):
        load_changed(parameters)


@pytest.mark.parametrize("parameters", [{"width": 0}, {"univariate": "os.system"}, {"other": 1}])
def test_parameters_that_the_class_does_not_take_are_named(parameters, load_changed):
    with pytest.raises(LoadError, match=next(iter(parameters))):
        load_changed(parameters)


@pytest.mark.parametrize("change", [lambda x: x.double(), lambda x: x[:-1].clone(), lambda x: None])
def test_tensors_of_another_type_or_shape_are_named(change, model, load_changed, tmp_path):
    model.save(tmp_path / "file")
    _, tensors = read(tmp_path / "file")
    name = next(name for name in tensors if name.endswith("weight']"))
    with pytest.raises(LoadError, match="weight"):
        load_changed(tensors={name: change(tensors[name])})


@pytest.mark.parametrize("sizes", [[], [0], [10**9], [1.5], ["os.system"], [32, True]])
def test_sizes_of_batches_that_could_fill_the_memory_are_refused(sizes, load_changed):
    with pytest.raises(LoadError, match="are no sizes of batches"):
        load_changed(attributes={"batch_sizes_": {"tuple": sizes}})


@pytest.mark.parametrize("name", ["rows_", "network_", "seed_", "batch_sizes_"])
@pytest.mark.parametrize("value", [None, "os.system", {"dict": []}, {"float": "nan"}])
def test_attributes_of_another_type_are_refused(name, value, load_changed):
    with pytest.raises(LoadError):
        load_changed(attributes={name: value})


def test_the_modes_of_the_caller_change_nothing(model, tmp_path):
    model.save(tmp_path / "file")
    before = torch.get_rng_state()
    with torch.inference_mode():
        loaded = skood.load(tmp_path / "file")
    assert torch.equal(torch.get_rng_state(), before)
    assert not any(tensor.is_inference() for tensor in loaded.network_.state_dict().values())
    np.testing.assert_array_equal(loaded.score_samples(TABLE), model.score_samples(TABLE))
    assert pickle.loads(pickle.dumps(loaded)).n_iter_ == model.n_iter_

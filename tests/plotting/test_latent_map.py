"""Maps of latent means."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from skood.plotting import LatentMapDisplay


@pytest.mark.parametrize("layer, index", [(1, 0), (2, 1), (3, 2), (None, 2)])
def test_the_map_is_the_plane_of_most_variance_of_the_layer(layer, index, model, images):
    display = LatentMapDisplay.from_estimator(model, images, layer=layer)
    means = model.encode(images)[index].reshape(len(images), -1)
    np.testing.assert_allclose(
        display.positions, PCA(2, svd_solver="full").fit_transform(means), atol=1e-9
    )
    assert display.layer == index + 1


def test_the_points_are_coloured_by_label(model, images):
    labels = np.array(["left", "right"])[np.arange(len(images)) % 2]
    display = LatentMapDisplay.from_estimator(model, images, labels=labels)
    left, right = display.ax_.collections
    np.testing.assert_array_equal(left.get_offsets(), display.positions[::2])
    assert (left.get_label(), right.get_label()) == ("left", "right")
    assert not np.array_equal(left.get_facecolor(), right.get_facecolor())


def test_without_labels_there_is_one_group_and_no_legend(model, images):
    display = LatentMapDisplay.from_estimator(model, images)
    (points,) = display.ax_.collections
    assert len(points.get_offsets()) == len(images)
    assert display.ax_.get_legend() is None


def test_a_neighbour_embedding_follows_its_seed(model, images):
    first, again = (
        LatentMapDisplay.from_estimator(model, images[:40], method="tsne", random_state=3)
        for _ in range(2)
    )
    np.testing.assert_array_equal(first.positions, again.positions)
    assert first.axis_names == ("t-SNE 1", "t-SNE 2")


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_a_layer_of_one_unit_is_mapped(method, given_model):
    z = np.random.default_rng(0).normal(size=(30, 1))
    fake = given_model(latents=[z])
    display = LatentMapDisplay.from_estimator(fake, np.zeros((30, 2)), method=method)
    assert display.positions.shape == (30, 2)
    assert np.isfinite(display.positions).all()


def test_a_collapsed_layer_is_a_point(given_model):
    fake = given_model(latents=[np.full((30, 4), 0.25)])
    display = LatentMapDisplay.from_estimator(fake, np.zeros((30, 2)))
    np.testing.assert_allclose(display.positions, 0, atol=1e-12)
    assert display.axis_names[0] == "component 1 (0% of variance)"


@pytest.mark.parametrize(
    "options, message",
    [
        ({"layer": 0}, "layer must be an integer from 1 to 3, .* got 0"),
        ({"layer": 4}, "layer must be an integer from 1 to 3, .* got 4"),
        ({"method": "umap"}, "method must be 'pca' or 'tsne'; got 'umap'"),
        ({"labels": [1, 2]}, r"labels must have shape \(120,\).* got \(2,\)"),
    ],
)
def test_a_wrong_parameter_is_named(options, message, model, images):
    with pytest.raises(ValueError, match=message):
        LatentMapDisplay.from_estimator(model, images, **options)


def test_two_rows_are_no_map(model, images):
    with pytest.raises(ValueError, match="X must have at least 3 rows for a map; got 2"):
        LatentMapDisplay.from_estimator(model, images[:2])

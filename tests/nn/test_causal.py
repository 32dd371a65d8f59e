"""Stacks of causal convolutions: what they see, and what not."""

import pytest
import torch

from skood.core.modes import explicit_construction
from skood.nn.causal import HorizontalStack, VerticalStack

SIDE = 8
PLACES = [(0, 0), (0, 7), (3, 2), (7, 0), (7, 7)]
# So many layers reach across the whole image.
N_LAYERS = 8
AT_EACH_PLACE = pytest.mark.parametrize("i, j", PLACES)


@pytest.fixture
def image():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(1, 2, SIDE, SIDE, generator=generator, dtype=torch.float64)


@pytest.fixture
def vertical():
    with explicit_construction(0):
        return VerticalStack(2, (SIDE, SIDE), 4, N_LAYERS).double()


@pytest.fixture
def horizontal():
    with explicit_construction(0):
        return HorizontalStack(2, 4, N_LAYERS).double()


def seen_by(features, image):
    """Which places of the image have an effect on features (1, n), shape (height, width)."""
    (gradient,) = torch.autograd.grad(features.sum(), image)
    return (gradient != 0).any(1)[0]


@AT_EACH_PLACE
def test_the_vertical_stack_sees_all_lines_above_and_nothing_else(i, j, vertical, image):
    image.requires_grad_()
    seen = seen_by(vertical(image)[-1][:, :, i, j], image)
    assert torch.equal(seen.nonzero()[:, 0].unique(), torch.arange(i))
    assert seen[:i].all()


@pytest.mark.parametrize("layer", range(N_LAYERS))
def test_every_layer_of_the_vertical_stack_sees_one_line_more(layer, vertical, image):
    image.requires_grad_()
    seen = seen_by(vertical(image)[layer][:, :, 7, 3], image)
    assert seen.any(1).sum() == min(3 + layer, 7)


@AT_EACH_PLACE
def test_the_horizontal_stack_sees_the_pixels_to_the_left_and_nothing_else(
    i, j, vertical, horizontal, image
):
    from_above = [features.detach() for features in vertical(image)]
    image.requires_grad_()
    seen = seen_by(horizontal(image, from_above)[:, :, i, j], image)
    expected = torch.zeros(SIDE, SIDE, dtype=torch.bool)
    expected[i, :j] = True
    assert torch.equal(seen, expected)


@pytest.mark.parametrize("layer", range(N_LAYERS))
def test_every_layer_from_above_has_an_effect(layer, vertical, horizontal, image):
    from_above = [features.detach().requires_grad_() for features in vertical(image)]
    (gradient,) = torch.autograd.grad(horizontal(image, from_above).sum(), from_above[layer])
    assert (gradient != 0).all()


def test_the_first_lines_alone_have_the_features_that_they_have_in_the_image(vertical, image):
    for part, whole in zip(vertical(image[:, :, :3]), vertical(image), strict=True):
        torch.testing.assert_close(part, whole[:, :, :3], rtol=0, atol=1e-14)


def test_a_line_alone_has_the_features_that_it_has_in_the_image(vertical, horizontal, image):
    from_above = vertical(image)
    line = horizontal(image[:, :, 4:5], [features[:, :, 4:5] for features in from_above])
    torch.testing.assert_close(line, horizontal(image, from_above)[:, :, 4:5], rtol=0, atol=1e-14)


def test_places_can_be_told_apart_where_all_that_is_seen_is_the_same(vertical):
    with torch.no_grad():
        vertical.place.bias[:, 5, 6] = 1.0
        features = vertical(torch.zeros(1, 2, SIDE, SIDE, dtype=torch.float64))[0]
    assert not torch.allclose(features[0, :, 5, 6], features[0, :, 5, 4])
    torch.testing.assert_close(features[0, :, 5, 3], features[0, :, 5, 4])

"""One pass yields per-row terms; bounds are sums of them."""

import pytest
import torch

from skood.core.terms import LayerTerms, Terms


def terms_of_two_layers(n=3):
    generator = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(n, *shape, generator=generator, dtype=torch.float64)

    dense, spatial = (4,), (2, 3, 3)
    layers = (
        LayerTerms(draw(*spatial), draw(*spatial)),
        LayerTerms(draw(*dense), draw(*dense)),
    )
    return Terms(draw(), layers)


def test_the_log_weight_is_log_p_of_x_and_z_minus_log_q_of_z():
    terms = terms_of_two_layers()
    expected = terms.log_px.clone()
    for row in range(3):
        for layer in terms.layers:
            expected[row] += layer.log_prior[row].sum() - layer.log_posterior[row].sum()
    torch.testing.assert_close(terms.log_weight, expected)


def test_log_ratios_have_one_row_per_layer_with_layer_1_first():
    terms = terms_of_two_layers()
    assert terms.log_ratios().shape == (2, 3)
    torch.testing.assert_close(terms.log_ratios()[0], terms.layers[0].log_ratio.sum((1, 2, 3)))
    torch.testing.assert_close(terms.log_ratios()[1], terms.layers[1].log_ratio.sum(1))


def test_a_layer_from_the_prior_adds_nothing_to_the_weight():
    log_px = torch.tensor([-1.0, -2.0])
    terms = Terms(log_px, (LayerTerms.from_prior(torch.randn(2, 5, 4, 4)),))
    assert torch.equal(terms.log_ratios(), torch.zeros(1, 2))
    assert torch.equal(terms.log_weight, log_px)


def test_a_model_without_latent_layers_has_log_p_of_x_as_its_weight():
    log_px = torch.tensor([-1.0, -2.0], dtype=torch.float64)
    assert Terms(log_px).log_ratios().shape == (0, 2)
    assert torch.equal(Terms(log_px).log_weight, log_px)
    assert Terms(log_px).log_weight.dtype == torch.float64


def test_terms_cannot_be_changed():
    with pytest.raises(AttributeError):
        Terms(torch.zeros(2)).log_px = torch.ones(2)

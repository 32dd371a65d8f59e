"""No pass mixes devices, or waits for one: what no machine without a GPU would notice.

Everything lies on torch's "meta" device, which computes shapes alone. Like a GPU it takes no
tensor of the CPU beside its own, and it raises where numbers would be copied to the host.
"""

import numpy as np
import pytest
import torch

from skood.core.noise import Noise
from skood.core.protocols import InvertibleNetwork, Progress, ScoreNetwork
from skood.core.row_spec import RowSpec
from skood.core.rows import Rows
from skood.testing import all_models, small

META = torch.device("meta")
RNG = np.random.default_rng(0)
ROWS = {
    "grey": Rows(RNG.integers(0, 256, (40, 8, 8), dtype=np.uint8), "uint8"),
    "colour": Rows(RNG.integers(0, 256, (40, 8, 8, 3), dtype=np.uint8), "uint8"),
    "table": Rows(RNG.normal(size=(40, 4)), "float"),
}
MODELS = {model.__name__: model for model in all_models()}


class MetaNoise(Noise):
    """Draws that lie on the meta device, which has no generator."""

    def __init__(self):
        super().__init__(0, shared=True)
        self.device = META


@pytest.fixture(params=sorted(MODELS))
def model(request):
    return small(MODELS[request.param])


@pytest.fixture(params=sorted(ROWS))
def network_and_x(request, model):
    rows = ROWS[request.param]
    spec = RowSpec.of(rows)
    try:
        network = model._build_network(spec)
    except ValueError as refused:
        pytest.skip(f"{type(model).__name__} takes no such rows: {refused}")
    return network.to(META).eval(), spec.to_tensor(rows.take(slice(6)), META)


def test_terms_lie_on_the_device_of_the_rows(network_and_x):
    network, x = network_and_x
    terms = network.terms(x, MetaNoise())
    assert terms.log_weight.device == META and terms.log_weight.shape == (6,)


def test_every_layer_can_come_from_the_prior(network_and_x):
    network, x = network_and_x
    # Not by its protocol, of which one property is a number on the host.
    if hasattr(network, "latent_shapes"):
        for n_layers in range(len(network.latent_shapes)):
            terms = network.terms(x, MetaNoise(), range(1, n_layers + 1))
            assert terms.log_weight.device == META
        assert all(mean.device == META for mean in network.encode(x, MetaNoise()))


def test_base_variables_and_score_norms_lie_on_the_device(network_and_x):
    network, x = network_and_x
    if isinstance(network, InvertibleNetwork):
        assert network.transform(x, MetaNoise()).device == META
    if isinstance(network, ScoreNetwork):
        assert network.score_norms(x, [0.1, 1.0]).shape == (2, 6)


def test_the_loss_and_its_gradient_are_computed_without_the_host(model, network_and_x):
    network, x = network_and_x
    if not hasattr(model, "_objective_for"):
        return  # fitted in closed form
    network.train()
    loss = model._objective_for(network)(network, x, MetaNoise(), Progress(0, 10))
    loss.backward()
    assert loss.device == META
    assert all(p.grad.device == META for p in network.parameters() if p.grad is not None)


@pytest.mark.parametrize(
    "mixing",
    [lambda x: x + torch.ones(3), lambda x: torch.cat([x, torch.ones(3)]), torch.Tensor.item],
)
def test_a_device_that_is_mixed_with_another_would_be_seen(mixing):
    with pytest.raises(RuntimeError):
        mixing(torch.zeros(3, device=META))

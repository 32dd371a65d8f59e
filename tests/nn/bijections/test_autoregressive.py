"""Autoregressive transforms: inverse, Jacobian, order, and agreement with zuko."""

import math
import pickle
from functools import partial

import pytest
import torch
import zuko
from torch.autograd.functional import jacobian
from zuko.transforms import MonotonicAffineTransform, MonotonicRQSTransform

from skood.core.modes import explicit_construction
from skood.nn.bijections.autoregressive import Autoregressive, MaskedLinear, alternating_order
from skood.nn.bijections.base import Chain

UNIVARIATE = pytest.mark.parametrize("univariate", ["affine", "spline"])
N_VALUES = pytest.mark.parametrize("n_values", [1, 2, 5])


def draw(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def transform(univariate, degrees, n_context=0, gain=2.0):
    """One with larger weights than at first, in double precision, for evaluation."""
    options = {"width": 16, "n_hidden_layers": 2, "n_context": n_context}
    with explicit_construction(0), torch.no_grad():
        built = Autoregressive(torch.as_tensor(degrees), univariate, **options)
        for parameter in built.parameters():
            parameter.mul_(gain)
    return built.double().eval().requires_grad_(False)


def chain(univariate, n_values, gain=2.0, n_transforms=3):
    orders = [alternating_order(n_values, i) for i in range(n_transforms)]
    return Chain(transform(univariate, order, gain=gain) for order in orders).eval()


def jacobians(bijection, x):
    """d y / d x of each row, shape (n, values, values)."""
    whole = jacobian(lambda x: bijection(x)[0], x)
    return torch.stack([whole[i, :, i] for i in range(len(x))])


@UNIVARIATE
@N_VALUES
@pytest.mark.parametrize(
    "dtype, gain, tolerance", [(torch.float32, 1.0, 1e-5), (torch.float64, 2.0, 1e-10)]
)
def test_the_inverse_gives_x_back(univariate, n_values, dtype, gain, tolerance):
    bijection, x = chain(univariate, n_values, gain).to(dtype), 2 * draw(200, n_values, dtype=dtype)
    inverse = bijection.inverse(bijection(x)[0])
    torch.testing.assert_close(inverse, x, rtol=tolerance, atol=tolerance)


@UNIVARIATE
@pytest.mark.parametrize("scale", [0.0, 1e4])
def test_rows_far_out_stay_finite_and_come_back_in_single_precision(univariate, scale):
    bijection, x = chain(univariate, 5).float(), scale * draw(50, 5, dtype=torch.float32)
    y, log_det = bijection(x)
    assert y.square().isfinite().all() and log_det.isfinite().all()
    back = bijection.inverse(y)
    torch.testing.assert_close(back, x, rtol=1e-5, atol=1e-4 * max(1, scale))


@UNIVARIATE
@N_VALUES
def test_the_log_determinant_is_that_of_the_jacobian(univariate, n_values):
    bijection, x = chain(univariate, n_values), draw(6, n_values)
    sign, log_det = torch.linalg.slogdet(jacobians(bijection, x))
    assert (sign == 1).all()
    torch.testing.assert_close(bijection(x)[1], log_det, rtol=1e-9, atol=1e-9)


@UNIVARIATE
@pytest.mark.parametrize("degrees", [[1, 2, 3, 4], [4, 3, 2, 1], [2, 4, 1, 3], [1, 1, 2, 2]])
def test_a_value_depends_on_those_of_lower_degree_and_on_all_of_them(univariate, degrees):
    expected = torch.tensor(degrees)[:, None] > torch.tensor(degrees)
    # With one bin of a spline, or one side of a ReLU, a weight may be without effect.
    found = (jacobians(transform(univariate, degrees), 2 * draw(50, 4)) != 0).any(0)
    assert torch.equal(found, expected | torch.eye(4, dtype=torch.bool))


@UNIVARIATE
def test_every_value_depends_on_all_of_the_context(univariate):
    bijection, x, context = transform(univariate, [2, 1, 3], n_context=2), draw(50, 3), draw(50, 2)
    found = jacobian(lambda context: bijection(x, context)[0].sum(0), context)
    assert (found != 0).any(1).all()
    back = bijection.inverse(bijection(x, context)[0], context)
    torch.testing.assert_close(back, x, rtol=1e-10, atol=1e-10)


@UNIVARIATE
def test_values_and_contexts_beyond_five_standard_deviations_have_the_effect_of_five(univariate):
    bijection = transform(univariate, [1, 2], n_context=1)

    def second(first, context):
        """y_2, whose parameters depend on x_1 and on the context."""
        x, given = torch.tensor([[first, 0.5]]).double(), torch.tensor([[context]]).double()
        return bijection(x, given)[0][0, 1].item()

    for sign in (-1, 1):
        assert second(sign * 1e6, 0.1) == second(sign * 5, 0.1) != second(sign * 4.5, 0.1)
        assert second(0.1, sign * 1e6) == second(0.1, sign * 5) != second(0.1, sign * 4.5)


def flow_of_zuko(univariate):
    options = {"transforms": 2, "hidden_features": (16, 16)}
    if univariate == "spline":
        options["shapes"] = [(8,), (8,), (7,)]
    one = MonotonicRQSTransform if univariate == "spline" else MonotonicAffineTransform
    return zuko.flows.MAF(3, univariate=partial(one, slope=1e-2), **options)


@UNIVARIATE
def test_the_flow_of_zuko_with_the_same_weights_gives_the_same_density(univariate):
    with explicit_construction(0):
        theirs = flow_of_zuko(univariate).double()
    ours = chain(univariate, 3, n_transforms=2)
    for our, their in zip(ours.bijections, theirs.transform.transforms, strict=True):
        our.conditioner.load_state_dict(their.hyper.state_dict())  # the masks too
    x = draw(20, 3)
    y, log_det = ours(x)
    log_px = log_det - 0.5 * (y.square() + math.log(2 * math.pi)).sum(1)
    torch.testing.assert_close(log_px, theirs().log_prob(x).detach(), rtol=1e-10, atol=1e-10)


@UNIVARIATE
def test_the_density_integrates_to_one(univariate):
    side = torch.linspace(-12, 12, 301, dtype=torch.float64)
    y, log_det = chain(univariate, 2)(torch.cartesian_prod(side, side))
    densities = (log_det - 0.5 * (y.square() + math.log(2 * math.pi)).sum(1)).exp()
    assert densities.sum().item() * 0.08**2 == pytest.approx(1, abs=5e-3)


@UNIVARIATE
def test_a_row_gives_the_same_to_the_last_bit_at_any_place(univariate):
    bijection, x = chain(univariate, 5).float(), draw(128, 5, dtype=torch.float32)
    for shift in (1, 7, 64):
        for whole, rolled in zip(bijection(x), bijection(x.roll(shift, 0)), strict=True):
            assert torch.equal(whole.roll(shift, 0), rolled)


@UNIVARIATE
def test_gradients_of_single_rows_can_be_mapped(univariate):
    bijection, x = chain(univariate, 3), draw(5, 3)
    parameters = {name: p.detach() for name, p in bijection.named_parameters()}

    def log_det(parameters, row):
        return torch.func.functional_call(bijection, parameters, (row[None],))[1].sum()

    mapped = torch.func.vmap(torch.func.grad(log_det), (None, 0))(parameters, x)
    alone = torch.func.grad(log_det)(parameters, x[3])
    for name, gradient in alone.items():
        torch.testing.assert_close(mapped[name][3], gradient)


@UNIVARIATE
def test_it_can_be_pickled_and_calls_leave_it_as_it_was(univariate):
    bijection, x = chain(univariate, 3), draw(5, 3)
    before = pickle.dumps(bijection)
    y = bijection(x)[0]
    bijection.inverse(y)
    assert pickle.dumps(bijection) == before
    assert torch.equal(pickle.loads(before)(x)[0], y)


def test_a_masked_layer_is_the_same_in_training_and_for_some_of_its_outputs():
    layer, x = MaskedLinear(torch.tensor([[True, False], [True, True], [False, False]])), draw(4, 2)
    expected = x @ (layer.double().weight * layer.mask).T + layer.bias
    torch.testing.assert_close(layer(x), expected)
    torch.testing.assert_close(layer.eval()(x), expected)
    chosen = torch.tensor([True, False, True])
    torch.testing.assert_close(layer.some(x, chosen), expected[:, chosen])

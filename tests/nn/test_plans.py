"""Plans: shapes that fit each other, sides that the stages can divide, and errors."""

import math

import numpy as np
import pytest

from skood.nn.plans import check_latent_dims, plan_network

COLOUR = (3, 32, 32)
SHAPES = pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (1, 9, 11), (2, 1, 8)])
STRIDES = pytest.mark.parametrize("strides", [(), (2,), (2, 2), (1, 3), (2, 1, 1, 2, 1, 2)])
BIVA_DIMS, BIVA_STRIDES = (8, 16, 32, 42, 40, 38, 36, 34, 32, 30), (2, 1, 1, 2, 1, 2)


def resnet(shape, strides, n_layers=7, n_spatial_layers=3):
    return plan_network(
        shape,
        network="resnet",
        latent_dims=(4,) * n_layers,
        n_spatial_layers=n_spatial_layers,
        strides=strides,
        n_rows=1000,
    )


@SHAPES
@STRIDES
def test_sides_are_padded_to_the_next_multiple_of_all_strides(shape, strides):
    padded, factor = resnet(shape, strides).padded, math.prod(strides)
    assert padded[0] == shape[0]
    for before, after in zip(shape[1:], padded[1:], strict=True):
        assert after % factor == 0 and before <= after < before + factor


@SHAPES
@STRIDES
def test_each_stage_divides_the_sides_by_its_stride_and_then_they_stay(shape, strides):
    plan, strides = resnet(shape, strides), [*strides, *[1] * 7][:7]
    side = plan.padded[1:]
    for (lower, upper), stride in zip(plan.stages, strides, strict=True):
        assert lower[1:] == side
        assert tuple(stride * length for length in upper[1:]) == side
        side = upper[1:]


def test_strides_beyond_the_last_layer_do_not_count():
    plan = resnet((1, 9, 11), (2, 1, 1, 2, 1, 2), n_layers=2, n_spatial_layers=1)
    assert plan.padded == (1, 10, 12)
    assert len(plan.stages) == 2


def test_without_strides_the_first_two_stages_halve_the_sides():
    plan = plan_network((1, 28, 28), network="resnet", latent_dims=(8, 16, 8), n_rows=1000)
    assert [upper for _, upper in plan.stages] == [(64, 14, 14), (64, 7, 7), (64, 7, 7)]


def test_ten_layers_for_colour_are_those_of_havtorn_et_al():
    """Havtorn et al. 2021, appendix B.2: three maps of 16 x 16, then vectors from 42 to 30."""
    plan = plan_network(
        COLOUR,
        network="resnet",
        latent_dims=BIVA_DIMS,
        n_spatial_layers=3,
        strides=BIVA_STRIDES,
        n_rows=50_000,
    )
    maps, vectors = [(8, 16, 16), (16, 16, 16), (32, 16, 16)], [(d,) for d in range(42, 28, -2)]
    sides = [upper[1] for _, upper in plan.stages]
    assert plan.latents == maps + vectors
    assert plan.padded == COLOUR
    assert sides == [16, 16, 16, 8, 8, 4, 4, 4, 4, 4]


@pytest.mark.parametrize(
    "network, shape", [("mlp", (5,)), ("patch", (1, 9, 11)), ("patch", COLOUR), ("resnet", COLOUR)]
)
def test_what_leaves_a_stage_enters_the_next(network, shape):
    plan = plan_network(shape, network=network, latent_dims=(3, 2, 4, 2), n_rows=1000)
    assert [latent[0] for latent in plan.latents] == [3, 2, 4, 2]
    uppers, lowers = [upper for _, upper in plan.stages], [lower for lower, _ in plan.stages]
    assert lowers[1:] == uppers[:-1]


def test_spatial_layers_are_maps_and_those_above_them_vectors():
    for n_spatial in range(4):
        for network in ("patch", "resnet"):
            plan = plan_network(
                COLOUR,
                network=network,
                latent_dims=(3, 2, 4),
                n_spatial_layers=n_spatial,
                n_rows=1000,
            )
            n_axes = [len(latent) for latent in plan.latents]
            assert n_axes == [3] * n_spatial + [1] * (3 - n_spatial)


def test_the_lowest_stage_has_the_largest_kernel_and_only_the_resnet_is_normalised():
    options = [resnet(COLOUR, (2, 2)).stage_options(i) for i in range(3)]
    assert [option["kernel"] for option in options] == [5, 3, 3]
    assert all(option["normalise"] and option["n_blocks"] == 2 for option in options)
    assert not plan_network(COLOUR, network="patch", n_rows=1000).stage_options(0)["normalise"]


@pytest.mark.parametrize("network, shape", [("mlp", (5,)), ("patch", COLOUR)])
def test_auto_is_an_mlp_for_tables_and_patches_for_images(network, shape):
    assert plan_network(shape, n_rows=1000) == plan_network(shape, network=network, n_rows=1000)


@pytest.mark.parametrize("n_rows, width", [(399, 32), (400, 128)])
def test_few_rows_of_a_table_get_narrow_layers(n_rows, width):
    assert plan_network((5,), n_rows=n_rows).stages[0] == ((width,), (width,))


@pytest.mark.parametrize("dims", [(3, 2), [3, 2], np.array([3, 2])])
def test_latent_dims_may_be_any_sequence_of_integers_and_become_a_tuple(dims):
    assert check_latent_dims(dims, (9,)) == (3, 2)
    assert type(check_latent_dims(dims, (9,))) is tuple


def test_automatic_latent_dims_are_those_given():
    assert check_latent_dims("auto", (9, 4)) == (9, 4)


@pytest.mark.parametrize("dims", [(), (3, 0), (3, -1), (3, 1.5), (3, "2"), (3, None)])
def test_latent_dims_that_are_no_positive_integers_are_refused_with_their_value(dims):
    with pytest.raises(ValueError, match="one for each layer, layer 1 nearest to x; got") as error:
        check_latent_dims(dims, (9,))
    assert repr(dims) in str(error.value)


@pytest.mark.parametrize(
    "shape, options, message",
    [
        ((5,), {"network": "resnet"}, "'resnet' is for images, but X holds tables"),
        (COLOUR, {"network": "mlp"}, "'mlp' is for tables, but X holds images"),
        (COLOUR, {"n_spatial_layers": 4}, "=4 is more than the 3 layers that can be maps"),
        ((5,), {"n_spatial_layers": 1}, "=1 is more than the 0 layers that can be maps"),
    ],
)
def test_what_does_not_fit_the_rows_is_refused(shape, options, message):
    with pytest.raises(ValueError, match=message):
        plan_network(shape, n_rows=1000, **options)


def test_colour_images_at_full_resolution_get_the_latents_of_the_paper():
    """Havtorn et al. 2021, appendix B.1."""
    plan = plan_network((3, 32, 32), network="resnet", n_rows=1000)
    assert plan.latents == [(128, 16, 16), (64, 8, 8), (32,)]
    grey = plan_network((1, 28, 28), network="resnet", n_rows=1000)
    assert grey.latents == [(8, 14, 14), (16,), (8,)]

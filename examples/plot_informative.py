"""
How to keep the top layers alive?
=================================

The informative objective keeps the top layers of a deep hierarchy alive. It asks for a
reconstruction of x not only from all layers but also from the upper ones alone, so that they
cannot leave the work to those below. The price is a slightly lower bound.

After Li et al. 2022, figures 2 and 6 and table 14. Prints the bounds L>k of both models and saves
``informative.png``.
"""

# %%
# The same network of five layers twice, on 14 x 14 tiles of the two photographs that scikit-learn
# ships: once with the plain bound, without free bits or warm-up, once with `InformativeELBO`, which
# has neither. No outliers take part.

import warnings

import matplotlib.pyplot as plt
import numpy as np

from skood import ELBO, HVAE, CollapseWarning, InformativeELBO
from skood.datasets import load_photo_tiles
from skood.plotting import LayerKLDisplay, ReconstructionDisplay

X_train, X_test = np.split(load_photo_tiles(14)[:1800], [1300])
options = {"latent_dims": (8, 16, 8, 8, 8), "max_epochs": 40, "random_state": 0}
models = {
    "plain bound": HVAE(objective=ELBO(free_bits=0, warmup=0), **options),
    "informative": HVAE(objective=InformativeELBO(), **options),
}
for model in models.values():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CollapseWarning)  # it is what this example is about
        model.fit(X_train)

# %%
# Left: what each layer carries during training. Right: tiles that neither model was trained on,
# rebuilt from all layers (z > 0) down to the top layer alone (z > 4).

figure = plt.figure(figsize=(12, 8), layout="constrained")
contrast = X_test.std(axis=(1, 2)).argsort()[::-1]  # a tile of plain sky is no picture
pictures = X_test[contrast[:120:10]]
grid = figure.subplots(2, 2, width_ratios=[1, 1.5])
for (left, right), (name, model) in zip(grid, models.items()):
    LayerKLDisplay.from_estimator(model, ax=left)
    left.set(title=f"{name}: information per layer", ylim=(-0.02, 50))
    ReconstructionDisplay.from_estimator(model, pictures, ax=right)
    right.set_title(f"{name}: reconstructions")
figure.savefig("informative.png", dpi=130)

# %%
# The bound L>k says how well x is known from the layers above k, in nats per tile: the higher, the
# better.

print(f"{'bounds (nats)':<16}" + "".join(f"{f'L>{k}' if k else 'L':>9}" for k in range(5)))
for name, model in models.items():
    bounds, _ = model.bounds(X_test, n_importance_samples=8)
    print(f"{name:<16}" + "".join(f"{bound:>9.1f}" for bound in bounds.mean(axis=1)))

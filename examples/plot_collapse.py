"""
What if a layer carries nothing?
================================

A layer that carries nothing ruins the likelihood ratios that rest on it. Without precautions the
top layers of a hierarchy collapse: their posterior is the prior whatever x is, so what they say
about an image is noise. Free bits, the default, prevent that.

After section 3.2 of Li et al. 2022. Prints the information in each layer and how well each ratio
tells digits from photographs, and saves ``collapse.png``.
"""

# %%
# The same network twice, on 14 x 14 tiles of the two photographs that scikit-learn ships: with the
# plain bound from the first step on, and with the default objective, which grants each layer above
# the lowest a few nats for free and raises the weight of the divergences slowly.
#
# Settings were chosen by the divergences. Collapse is a matter of luck in a training as short as
# this: of three seeds, one leaves a single unit of the top layer alive without free bits, and the
# seed here leaves none.

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.frozen import FrozenEstimator

from skood import ELBO, HVAE, CollapseWarning, HierarchicalLLR
from skood.datasets import load_digit_images, load_photo_tiles
from skood.metrics import auroc
from skood.plotting import LayerKLDisplay, ScoreDensityDisplay

X_train, X_calibration, X_test = np.split(load_photo_tiles(14)[:2080], [1300, 1600])
digits = load_digit_images(14)

models = {
    "plain bound": HVAE(objective=ELBO(free_bits=0, warmup=0), max_epochs=40, random_state=1),
    "free bits": HVAE(max_epochs=40, random_state=1),
}
for name, model in models.items():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", CollapseWarning)
        model.fit(X_train)
    for warning in caught:
        print(f"{name}: {warning.message}")

# %%
# The ratio LLR>2 compares what all layers know of an image with what the top layer knows; LLR>1
# leaves the top two layers together, and "ada" is a weighted sum that contains both. If the top
# layer knows nothing, LLR>2 and all that contains it compare with a fixed grey average.

detectors = {}
for name, model in models.items():
    for k in (1, 2, "ada"):
        detector = HierarchicalLLR(FrozenEstimator(model), k=k, random_state=0)
        detectors[name, k] = detector.fit(X_calibration)
sets = {"photographs": X_test, "digits": digits}

figure, grid = plt.subplots(2, 3, figsize=(13, 6.5), layout="constrained")
for row, (name, model) in zip(grid, models.items()):
    LayerKLDisplay.from_estimator(model, ax=row[0])
    row[0].set(title=f"{name}: information per layer", ylim=(-0.02, 50))
    for ax, k in zip(row[1:], (2, "ada")):
        ScoreDensityDisplay.from_estimator(detectors[name, k], sets, ax=ax)
        ax.set_title(f"{name}: LLR " + ("ada" if k == "ada" else f"> {k}"))
figure.savefig("collapse.png", dpi=130)

# %%
# AUROC of digits against photographs, 0.5 for a guess and 1 for a perfect detector.

print(f"{'':<14}{'KL of layers 1, 2, 3 (nats)':>30}{'LLR>1':>8}{'LLR>2':>8}{'ada':>8}")
for name, model in models.items():
    kl = ", ".join(f"{nats:.2f}" for nats in model.history_["kl"][-1])
    line = f"{name:<14}{kl:>30}"
    for k in (1, 2, "ada"):
        normal, strange = (detectors[name, k].ood_score(X) for X in sets.values())
        line += f"{auroc(normal, strange):>8.3f}"
    print(line)

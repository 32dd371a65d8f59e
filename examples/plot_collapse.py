"""
What if a layer carries nothing?
================================

A layer that carries nothing ruins the likelihood ratios that rest on it. Without precautions the
upper layers of a hierarchy collapse: their posterior is the prior whatever x is, so that what is
rebuilt from them is the same for all images. Free bits, the default, prevent that.

After section 3.2 of Li et al. 2022. Prints the information in each layer and how well each ratio
tells digits from photographs, and saves ``collapse.png``.
"""

# %%
# The same network of five layers twice, on 14 x 14 tiles of the two photographs that scikit-learn
# ships: once with the plain bound at full weight from the first step on, once with the default
# objective, which grants each layer above the lowest a few nats for free and raises the weight of
# the divergences slowly. The likelihood of 256 grey levels, the narrow network and the fast
# training are what learns most in a minute, by the bound on photographs held out.

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.frozen import FrozenEstimator

from skood import ELBO, HVAE, CollapseWarning, HierarchicalLLR
from skood.datasets import load_digit_images, load_photo_tiles
from skood.metrics import auroc
from skood.plotting import LayerKLDisplay, ScoreDensityDisplay

X_train, X_calibration, X_test = np.split(load_photo_tiles(14)[:2100], [1300, 1600])
digits = load_digit_images(14)

options = {
    "latent_dims": (8, 16, 8, 8, 8),
    "likelihood": "discretized_logistic",
    "width": 16,
    "batch_size": 64,
    "learning_rate": 3e-3,
    "max_epochs": 60,
    "random_state": 0,
}
models = {
    "plain bound": HVAE(objective=ELBO(free_bits=0, warmup=0), **options),
    "free bits": HVAE(**options),
}
for name, model in models.items():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", CollapseWarning)
        model.fit(X_train)
    for warning in caught:
        print(f"{name}: {warning.message}\n")

# %%
# LLR>k compares what all layers know of an image with what the layers above k know. Where these
# know nothing it compares with one and the same picture for all images.

ratios = {"LLR>1": 1, "LLR>2": 2, "LLR>3": 3, "LLR>4": 4, "ada": "ada"}
detectors = {
    (name, ratio): HierarchicalLLR(FrozenEstimator(model), k=k, random_state=0).fit(X_calibration)
    for name, model in models.items()
    for ratio, k in ratios.items()
}
sets = {"photographs": X_test, "digits": digits}

figure, grid = plt.subplots(2, 3, figsize=(13, 6.5), layout="constrained")
for row, (name, model) in zip(grid, models.items()):
    LayerKLDisplay.from_estimator(model, ax=row[0])
    row[0].set_title(f"{name}: information per layer")
    for ax, ratio in zip(row[1:], ("LLR>2", "ada")):
        ScoreDensityDisplay.from_estimator(detectors[name, ratio], sets, ax=ax)
        ax.set_title(f"{name}: {ratio}")
figure.savefig("collapse.png", dpi=130)

# %%
# AUROC of digits against photographs, 0.5 for a guess and 1 for a perfect detector.

print(f"{'':<12}{'KL of layers 1 to 5 (nats)':>34}" + "".join(f"{r:>8}" for r in ratios))
for name, model in models.items():
    line = f"{name:<12}" + f"{', '.join(f'{kl:.2f}' for kl in model.history_['kl'][-1]):>34}"
    for ratio in ratios:
        normal, strange = (detectors[name, ratio].ood_score(X) for X in sets.values())
        line += f"{auroc(normal, strange):>8.3f}"
    print(line)

"""
Which score sees what?
======================

No single score sees everything, and each is blind to something that another one finds easy. Here
are ten detectors over two models and nine ways for an image to be wrong, as a picture.

Runs in about a minute on two CPU cores.
"""

# %%
# Normal data: 16 x 16 tiles of the two photographs that scikit-learn ships. What is wrong with the
# others is made from tiles that no model has seen, but for the digits. Two models are trained once,
# on the same tiles: a hierarchical VAE, and a Gaussian in closed form.

import matplotlib.pyplot as plt
import numpy as np
from scipy.ndimage import uniform_filter
from sklearn.frozen import FrozenEstimator

from skood import (
    HVAE,
    DoSE,
    Gaussian,
    GradientNorm,
    HierarchicalLLR,
    InputComplexity,
    KNNDistance,
    LatentGoodnessOfFit,
    Likelihood,
    ScoreNorm,
    Typicality,
)
from skood.datasets import load_digit_images, load_photo_tiles
from skood.metrics import auroc

tiles = load_photo_tiles(16)
X_train, X_calibration, X_test = np.split(tiles, [1400, 1900])
X_test = X_test[:300]
rng = np.random.default_rng(0)


def as_bytes(values):
    """Rounded, from 0 to 255."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


means = X_test.mean(axis=(1, 2), keepdims=True)
quarters = X_test.reshape(-1, 2, 8, 2, 8)
ood = {
    "digits": load_digit_images(16)[:300],
    "one grey level": np.broadcast_to(as_bytes(means), X_test.shape),
    "noise": rng.integers(0, 256, X_test.shape, dtype=np.uint8),
    "a little noise": as_bytes(X_test + rng.normal(0, 8, X_test.shape)),
    "blurred": as_bytes(uniform_filter(X_test.astype(float), (1, 3, 3))),
    "half contrast": as_bytes((X_test + means) / 2),
    "upside down": X_test[:, ::-1],
    "inverted": 255 - X_test,
    "quarters swapped": quarters[:, ::-1, :, ::-1].reshape(X_test.shape),
}

hvae = FrozenEstimator(HVAE(max_epochs=60, random_state=0).fit(X_train))
gaussian = FrozenEstimator(Gaussian(random_state=0).fit(X_train))

# %%
# Each detector sets its threshold with tiles that the models have not seen; `KNNDistance` has no
# model, and learns from the training tiles itself.

detectors = {
    "Likelihood": Likelihood(hvae),
    "Typicality": Typicality(hvae),
    "HierarchicalLLR": HierarchicalLLR(hvae, k=1),
    "DoSE": DoSE(hvae),
    "GradientNorm": GradientNorm(hvae),
    "Likelihood, Gaussian": Likelihood(gaussian),
    "InputComplexity": InputComplexity(gaussian),
    "LatentGoodnessOfFit": LatentGoodnessOfFit(gaussian),
    "ScoreNorm": ScoreNorm(gaussian),
    "KNNDistance": KNNDistance(),
}
table = np.empty((len(ood), len(detectors)))
for column, (name, detector) in enumerate(detectors.items()):
    vectors = name == "KNNDistance"
    X_fit = X_train.reshape(len(X_train), -1) if vectors else X_calibration
    detector.set_params(random_state=0).fit(X_fit)

    def score(X, detector=detector, vectors=vectors):
        """Of images, or of rows of a table."""
        return detector.ood_score(X.reshape(len(X), -1) if vectors else X)

    normal = score(X_test)
    table[:, column] = [auroc(normal, score(images)) for images in ood.values()]

# %%
# AUROC: 1 finds all, 0.5 is a guess, and less than 0.5 calls them more normal than normal ones. No
# column is good everywhere, and the colours of two rows are hardly ever the same. One grey level is
# what a likelihood finds most normal of all; noise is normal to the ratio of layers; and tiles that
# are upside down look ordinary to every score here, since photographs of flowers and roofs do.

figure, axes = plt.subplots(figsize=(9, 5.5), layout="constrained")
image = axes.imshow(table, vmin=0, vmax=1, cmap="RdYlGn")
axes.set_xticks(range(len(detectors)), detectors, rotation=40, ha="right", rotation_mode="anchor")
axes.set_yticks(range(len(ood)), ood)
for (row, column), value in np.ndenumerate(table):
    axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=8)
figure.colorbar(image, label="AUROC")
plt.show()

worst = table.min(axis=0)
for name, value, mean in zip(detectors, worst, table.mean(axis=0), strict=True):
    print(f"{name:22} mean {mean:.2f}, worst {value:.2f}")
print(f"best score for each kind: mean {table.max(axis=1).mean():.2f}")

# %%
# The last line is what a combination could reach that knew which score to trust. `CombinedDetector`
# does not know, and adds up what several say: see :ref:`sphx_glr_gallery_plot_quickstart.py`. Where
# this stops to hold: the models are small and the tiles come from two photographs, so the numbers
# are those of this example, and not of the methods; :doc:`/results` has them on real data.

"""
Noise and blur lie on opposite sides
====================================

The size of the score at one noise level finds noise or blur, but not both: one is larger than
normal, the other smaller. `ScoreNorm` looks at six levels together, on both sides, and finds both.

Runs in seconds.
"""

# %%
# Normal data: 12 x 12 colour tiles of the two photographs that scikit-learn ships. What is wrong
# with the others is made from tiles that were not learned from.

import matplotlib.pyplot as plt
import numpy as np
from scipy.ndimage import uniform_filter
from sklearn.datasets import load_sample_images

from skood import ScoreNorm
from skood.metrics import auroc

SIZE = 12
photos = np.stack(load_sample_images().images)[:, : 427 // SIZE * SIZE, : 640 // SIZE * SIZE]
n_photos, height, width, _ = photos.shape
tiles = photos.reshape(n_photos, height // SIZE, SIZE, width // SIZE, SIZE, 3)
tiles = tiles.swapaxes(2, 3).reshape(-1, SIZE, SIZE, 3)
rng = np.random.default_rng(0)
X, X_test = np.split(rng.permutation(tiles), [-500])


def as_bytes(values):
    """Rounded, from 0 to 255."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


ood = {
    "a little noise": as_bytes(X_test + rng.normal(0, 5, X_test.shape)),
    "blurred": as_bytes(uniform_filter(X_test.astype(float), (1, 3, 3, 1))),
    "without colour": as_bytes(np.repeat(X_test.mean(axis=3, keepdims=True), 3, axis=3)),
    "upside down": X_test[:, ::-1],
}

# %%
# The score is the gradient of the log density with respect to the image: where it would have to
# change, and how much, to become likelier. Its norm at a low noise level is large for sharp
# details, at a high one for contrast and colour.

detector = ScoreNorm(random_state=0).fit(X)


def log_norms(images):
    return np.log(detector.model_.score_norms(images, detector.noise_levels))


normal = log_norms(X_test)
centre, spread = np.median(normal, axis=0), normal.std(axis=0)

# %%
# Each level alone, the larger norm being the more unusual, and all levels together, on both sides:
# noise has large norms at low levels and blurred tiles small ones, so that any rule for one level
# that flags one calls the other normal.

print("AUROC".ljust(18), *(f"{level:>6g}" for level in detector.noise_levels), "   all")
scores = detector.ood_score(X_test)
for name, images in ood.items():
    alone = (auroc(normal[:, i], column) for i, column in enumerate(log_norms(images).T))
    together = auroc(scores, detector.ood_score(images))
    print(name.ljust(18), *(f"{value:6.2f}" for value in alone), f"{together:6.2f}")

# %%
# Where it stops to hold: a Gaussian knows how much neighbouring pixels differ and not what is up or
# down, so tiles upside down, inverted or with swapped contents have the norms of normal ones. For
# those take a detector that knows contents, or the combination: :doc:`plot_which_score`.

fig, (samples, curves) = plt.subplots(
    1, 2, figsize=(10, 4), layout="constrained", width_ratios=[1, 2]
)
shown = [X_test, *ood.values()]
samples.imshow(np.vstack([np.hstack(images[:6]) for images in shown]))
middles = (np.arange(len(shown)) + 0.5) * SIZE - 0.5
samples.set(yticks=middles, yticklabels=["normal", *ood], xticks=[])
curves.axhspan(-1, 1, color="0.9", label="normal: one standard deviation")
for name, images in ood.items():
    deviation = (np.median(log_norms(images), axis=0) - centre) / spread
    curves.plot(detector.noise_levels, deviation, marker="o", label=name)
curves.set(
    xscale="log",
    xlabel="noise level, in standard deviations of the pixels",
    ylabel="log norm of the score, from normal",
    title="Median tile of each kind",
)
curves.legend(loc="upper right", fontsize="small")
fig.savefig("score_norms.png", dpi=150)

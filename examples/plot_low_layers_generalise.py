"""
What do the layers of a hierarchy know?
=======================================

Low layers know strokes and edges, which all images share; high layers know what one kind of image
looks like. Two models, one of photographs and one of handwritten digits, agree in their lowest layer
on any images and disagree above it. So a model of photographs can rebuild digits from its lowest
layer, and a likelihood, to which that layer adds most, finds nothing wrong with them.

After figures 1 and 2 of Havtorn et al. 2021. Prints the agreement layer by layer and saves
``low_layers_generalise.png``.
"""

# %%
# Tiles of the two photographs that scikit-learn ships, and its digits, both 14 x 14. The models
# have their default parameters; 40 epochs are what fits into a minute.

import matplotlib.pyplot as plt
import numpy as np

from skood import HVAE
from skood.datasets import load_digit_images, load_photo_tiles
from skood.plotting import LayerCorrelationDisplay, ReconstructionDisplay

tiles = load_photo_tiles(14)
digits = np.random.default_rng(0).permutation(load_digit_images(14))
X_train, X_test = tiles[:1300], tiles[1300:1797]
digits_train, digits_test = digits[:1300], digits[1300:]

of_photos = HVAE(max_epochs=40, random_state=0).fit(X_train)
of_digits = HVAE(max_epochs=40, random_state=0).fit(digits_train)

# %%
# Left: how alike the two models represent the same images, neither of them seen in training. The
# measure is linear centred kernel alignment, 1 for the same representation and 0 for unrelated
# ones. Tiles of photographs differ from each other most of all in brightness, which both models see
# in all layers; digits have no such thing in common with photographs.
#
# Right: what the model of photographs makes of both. The digits come back from all layers, and
# dissolve into photographs when the lowest layers have to come from the prior.

figure = plt.figure(figsize=(12, 4), layout="constrained")
left, right = figure.subplots(1, 2, width_ratios=[1, 2.2])
display = LayerCorrelationDisplay.from_estimators(
    of_photos, of_digits, {"photographs": X_test, "digits": digits_test}, ax=left
)
left.set_title("model of photographs against model of digits")

contrast = X_test.std(axis=(1, 2)).argsort()[::-1]  # a tile of plain sky is no picture
pictures = np.concatenate([X_test[contrast[:16:2]], digits_test[:8]])
ReconstructionDisplay.from_estimator(of_photos, pictures, ax=right)
right.set_title("rebuilt by the model of photographs")
figure.savefig("low_layers_generalise.png", dpi=130)

print(f"{'agreement (linear CKA)':<24}" + "".join(f"{f'layer {i}':>9}" for i in (1, 2, 3)))
for name, values in display.correlations.items():
    print(f"{name:<24}" + "".join(f"{value:>9.2f}" for value in values))

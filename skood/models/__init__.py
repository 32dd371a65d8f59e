"""Generative models: density estimators in the manner of scikit-learn's GaussianMixture.

Notation, the same in all modules (and in docs/understand/notation.md):

- x is a row; z_1, ..., z_L are the latent variables of its L layers, z_1 nearest to x, and z is all
  of them; in diagrams z1, z2, z3.
- p(x, z) = p(z) p(x | z) is the model; q(z | x) is the approximate posterior, from which z is drawn
  in training and scoring. An arrow in a diagram of p generates, one in a diagram of q infers.
- L, where it stands for a bound, is the evidence lower bound of log p(x), the mean over q of
  log p(x, z) - log q(z | x). In L>k the k layers nearest to x come from the prior given those
  above, in L<l the layers from l on. LLR>k = L - L>k. Training minimises an objective, which is -L
  or comes from it.
- e are the base variables of a flow, x = f(e); p(x) = p(e) |det de/dx|. e_l are those of a latent
  layer, z_l = f_l(e_l).
- x_i is one value of a row, or a pixel with its channels, and x_<i those before it.
- sigma is a level of noise, and p_sigma the density of rows with such noise added.
- N(e; 0, 1) is a normal density. Logarithms are natural: log-likelihoods are in nats.
"""

from skood.models._biva import BIVA
from skood.models._gaussian import Gaussian
from skood.models._glow import Glow
from skood.models._hvae import HVAE
from skood.models._ladder_vae import LadderVAE
from skood.models._maf import MAF
from skood.models._pixel_cnn import PixelCNN
from skood.models._sere_maf import SeReMAF
from skood.models._sere_vae import SeReVAE
from skood.models._vae import VAE

__all__ = [
    "BIVA",
    "HVAE",
    "MAF",
    "VAE",
    "Gaussian",
    "Glow",
    "LadderVAE",
    "PixelCNN",
    "SeReMAF",
    "SeReVAE",
]

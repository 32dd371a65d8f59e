"""Generative models: density estimators in the manner of scikit-learn's GaussianMixture."""

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

"""Errors and warnings of skood."""

__all__ = [
    "CollapseWarning",
    "ExportError",
    "InterruptedFitWarning",
    "LoadError",
    "TrainingError",
]


class LoadError(ValueError):
    """A file cannot be loaded: it is none of skood's, or damaged, too new, or inconsistent.

    Examples
    --------
    >>> import tempfile
    >>> import skood
    >>> with tempfile.NamedTemporaryFile() as empty:
    ...     skood.load(empty.name)
    Traceback (most recent call last):
        ...
    skood.core.exceptions.LoadError: ...
    """


class TrainingError(RuntimeError):
    """Training produced a loss, weights or bounds that are not finite; the message says where.

    Examples
    --------
    >>> import numpy as np
    >>> from skood import VAE
    >>> X = np.random.default_rng(0).normal(size=(200, 4))
    >>> VAE(learning_rate=1e6, max_epochs=1, random_state=0).fit(X)
    Traceback (most recent call last):
        ...
    skood.core.exceptions.TrainingError: ...Lower learning_rate (now 1e+06)...
    """


class ExportError(RuntimeError):
    """A detector cannot be exported, or its exported score is not its score.

    Examples
    --------
    >>> import numpy as np
    >>> import skood
    >>> X = np.random.default_rng(0).normal(size=(200, 4))
    >>> skood.export(skood.KNNDistance(random_state=0).fit(X), "neighbours.pt2")
    Traceback (most recent call last):
        ...
    skood.core.exceptions.ExportError: KNNDistance cannot be exported, since...
    """


class CollapseWarning(UserWarning):
    """A latent layer carries no information about the input (posterior collapse).

    Examples
    --------
    With 500 copies of one picture there is nothing for a latent variable to tell. A program that
    must not go on then turns the warning into an error:

    >>> import warnings
    >>> import numpy as np
    >>> from skood import VAE, CollapseWarning
    >>> from skood.testing import easy_images
    >>> X = np.repeat(easy_images(1), 500, axis=0)
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", CollapseWarning)
    ...     VAE(latent_dim=1, width=16, learning_rate=0.01, max_epochs=50, random_state=0).fit(X)
    Traceback (most recent call last):
        ...
    skood.core.exceptions.CollapseWarning: Latent layer 1 of VAE carries no information about X...
    """


class InterruptedFitWarning(UserWarning):
    """Training was stopped from the keyboard; the estimator is fitted with what it had learned.

    Examples
    --------
    Ctrl-C, here after the first of five epochs:

    >>> import warnings
    >>> import numpy as np
    >>> from skorch.callbacks import Callback
    >>> from skood import VAE, InterruptedFitWarning, Trainer
    >>> class CtrlC(Callback):
    ...     def on_epoch_end(self, net, **kwargs):
    ...         raise KeyboardInterrupt
    >>> trainer = Trainer(callbacks=[CtrlC()], on_interrupt="keep")
    >>> X = np.random.default_rng(0).normal(size=(200, 4))
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always", InterruptedFitWarning)
    ...     model = VAE(trainer=trainer, max_epochs=5, random_state=0).fit(X)
    >>> caught[0].category.__name__, model.n_iter_
    ('InterruptedFitWarning', 1)
    """

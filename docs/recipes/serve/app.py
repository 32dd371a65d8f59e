"""A service that says of posted images whether they are like those that a detector was fitted on.

The detector is the file that the environment variable SKOOD_DETECTOR names; README.md tells how to
write one, and how to start the service.
"""

import os

from fastapi import FastAPI, HTTPException, UploadFile
from pixels import BadImage, pixels_of
from pydantic import BaseModel

import skood


class Verdict(BaseModel):
    """What the detector says of one image."""

    p_value: float
    is_normal: bool


def create_app() -> FastAPI:
    """Called once, by the master: the workers are forks of it, and share the detector's memory."""
    detector = skood.load(os.environ["SKOOD_DETECTOR"])
    app = FastAPI(title="skood")

    # No coroutine: FastAPI calls it in a thread of its pool, and a detector may be used by any
    # number of threads. The event loop meanwhile takes further requests.
    @app.post("/score")
    def score(image: UploadFile) -> Verdict:
        try:
            X = pixels_of(image.file, detector.input_shape_)
        except BadImage as error:
            raise HTTPException(422, str(error)) from error
        p_value = float(detector.p_values(X[None])[0])
        return Verdict(p_value=p_value, is_normal=p_value > detector.fpr)

    @app.get("/health")
    async def health() -> None:
        """Answers while the worker takes requests."""

    return app

"""Score Parquet files with the columns id and image on a Ray cluster, in so many processes.

python score_with_ray.py detector.safetensors rows/ scores/ 64
"""

import sys

import ray

import skood


class Scorer:
    """Each process of the pool makes one."""

    def __init__(self, detector):
        self.detector = detector

    def __call__(self, batch):
        return {"id": batch["id"], "score": self.detector.score_samples(batch["image"])}


def score(detector, rows, scores, n_processes):
    ray.data.read_parquet(rows, columns=["id", "image"]).map_batches(
        Scorer,
        fn_constructor_args=[detector],
        batch_size=4096,
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=n_processes),
        num_cpus=1,
    ).write_parquet(scores, mode="overwrite")


if __name__ == "__main__":
    score(skood.load(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]))

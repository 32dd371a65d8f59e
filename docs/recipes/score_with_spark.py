"""Score Parquet files with the columns id and image, an array of all its pixels, on Spark.

spark-submit score_with_spark.py detector.safetensors rows/ scores/
"""

import sys

import numpy as np
from pyspark.ml.functions import predict_batch_udf
from pyspark.sql import SparkSession
from pyspark.sql.types import DoubleType

import skood


def score(spark, detector, rows, scores):
    everywhere = spark.sparkContext.broadcast(detector)

    def scorer():
        # Spark has no type for 8-bit pixels, and a detector wants the type that it was fitted on.
        return lambda images: everywhere.value.score_samples(images.astype(np.uint8))

    score_of = predict_batch_udf(
        scorer,
        return_type=DoubleType(),
        batch_size=4096,
        input_tensor_shapes=[list(detector.input_shape_)],
    )
    images = spark.read.parquet(rows)
    images.select("id", score_of("image").alias("score")).write.parquet(scores, mode="overwrite")


if __name__ == "__main__":
    score(SparkSession.builder.getOrCreate(), skood.load(sys.argv[1]), *sys.argv[2:4])

"""Encoders of every kind, and samples for them."""

import numpy as np

from eventsim.training import Direct, Frames, GaussianThreshold, Latency, Rate, SigmaDelta

RANDOM = [
    GaussianThreshold(3, seed=5),
    GaussianThreshold(3, seed=5, stratified=True),
    Rate(3, seed=5),
    Rate(3, seed=5, law="poisson", gain=2.0),
    Rate(3, seed=5, stratified=True),
]
FIXED = [Direct(3), Latency(3), Latency(3, "logarithmic"), SigmaDelta(3, 0.1), Frames(3), Frames(3, most=9)]


def samples(encoder, n, inputs=9, seed=0):
    rng = np.random.default_rng(seed)
    kind = np.uint8 if isinstance(encoder, Frames) else np.float32
    return (rng.random((n, inputs)) * (20 if kind == np.uint8 else 1)).astype(kind)

"""A convolutional student of MTJ neurons, trained by both rules and put on a chip.

    python examples/05_train_a_conv_net.py

Both rules start from the same parameters and see the same batches; RateBP keeps less for its backward pass. The engine
then simulates the student on a chip whose devices differ, and emits what the training's forward pass emits there.
"""

import numpy as np

from eventsim import MTJ, Variation, simulate
from eventsim.training import (
    AdamW,
    CrossEntropy,
    FitConfig,
    GaussianThreshold,
    accuracy,
    fit,
    gradient,
    load,
    predict,
    to_events,
    to_network,
    two_conv,
    weights,
)
from eventsim.training.deploy import spikes_that_differ
from eventsim.training.linear import Grid
from eventsim.training.spiking import Spiking

TICKS = 8


def main() -> None:
    digits, encoder = load("digits"), GaussianThreshold(TICKS, seed=0)
    model = two_conv(Spiking(MTJ()), inputs=(8, 8, 1), classes=10, width=1 / 8, grid=Grid(levels=16))
    start, labels = model.initial(seed=0), digits.labels
    print(f"{weights(start):,} weights of 16 levels, {TICKS} ticks")
    batch = encoder(encoder.prepare(digits.x[:32]), np.arange(32), epoch=1)
    fitted = {}
    for method in ("bptt", "ratebp"):
        step = gradient(model, start, batch, labels[:32], CrossEntropy(), method=method)
        config = FitConfig(epochs=6, batch=32, rate=5e-3, optimiser=AdamW(decay=0.1), method=method)
        fitted[method] = fit(model, start, digits, encoder, CrossEntropy(), config)
        found = accuracy(predict(model, fitted[method].params, digits, digits.test, encoder), labels[digits.test])
        print(f"{method}: test accuracy {found:.3f}, {step.backward_bytes / 1e6:.2f} MB kept for a batch of 32")
    network = to_network(model, fitted["ratebp"].params)
    chip = network.on_chip(Variation.all(0.05), seed=0, chip=0)
    signal = encoder(encoder.prepare(digits.x[digits.test]), digits.test, epoch=0)
    found = accuracy(simulate(chip, to_events(model, signal)).readout["readout"], labels[digits.test])
    differ = spikes_that_differ(model, fitted["ratebp"].params, signal, chip)
    print(f"on a chip with 5 % variation: test accuracy {found:.3f}, {differ} spikes and logits differ from training")


if __name__ == "__main__":
    main()

"""Teacher, cache, student, chips: the way of ``eventsim demo`` by hand, on real handwritten digits.

python examples/03_distil.py
"""

import tempfile
from pathlib import Path

import numpy as np

from eventsim import Events
from eventsim.store import fingerprint
from eventsim.training import (
    CrossEntropy,
    Direct,
    FitConfig,
    GaussianThreshold,
    SoftTargets,
    TeacherCache,
    accuracy,
    fit,
    load,
    mtj_mlp,
    predict,
    relu_mlp,
    to_network,
)
from eventsim.training.deploy import deploy


def main() -> None:
    digits = load("digits")
    labels = digits.labels[digits.test]

    teacher, recipe = relu_mlp((64, 100, 10)), {"model": "relu_mlp", "sizes": [64, 100, 10], "seed": 0}
    taught = fit(
        teacher, teacher.initial(0, "teacher"), digits, Direct(), CrossEntropy(), FitConfig(epochs=20, batch=32)
    )
    logits = predict(teacher, taught.params, digits, np.arange(len(digits.labels)), Direct())
    print(f"teacher   {100 * accuracy(logits[digits.test], labels):.1f} %")

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "teacher.h5"
        TeacherCache(logits, recipe, fingerprint(**taught.params), taught.best.epoch).write(path, digits)
        cache = TeacherCache.read(path, digits, recipe)  # refuses another data set, split or teacher

    student, encoder = mtj_mlp((64, 64, 10), levels=16), GaussianThreshold(ticks=4, seed=0)
    objective, config = CrossEntropy() + 1.0 * SoftTargets(2.0), FitConfig(epochs=30, batch=32, rate=5e-3)
    trained = fit(student, student.initial(0, "student"), digits, encoder, objective, config, teacher=cache.logits)
    print(f"student   {100 * accuracy(predict(student, trained.params, digits, digits.test, encoder), labels):.1f} %")

    signal = encoder(encoder.prepare(digits.x[digits.test]), digits.test, epoch=0)
    network = to_network(student, trained.params)
    for cv in (0.05, 0.1, 0.2):
        chips = deploy(network, Events.from_frames(signal.values), labels, cv, chips=5, seed=0)
        print(f"{100 * cv:3.0f} % variation: {', '.join(f'{100 * a:.1f}' for a in chips.accuracies)} % on five chips")


if __name__ == "__main__":
    main()

"""Teacher, cache, student, chips: the way of ``eventsim demo`` by hand, on real handwritten digits.

python examples/03_distil.py
"""

import tempfile
from pathlib import Path

from eventsim import Events
from eventsim.training import (
    CrossEntropy,
    Direct,
    FitConfig,
    GaussianThreshold,
    ModelTeacher,
    SoftTargets,
    accuracy,
    cached,
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

    teacher = relu_mlp((64, 100, 10))
    taught = fit(
        teacher, teacher.initial(0, "teacher"), digits, Direct(), CrossEntropy(), FitConfig(epochs=20, batch=32)
    )

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "teacher.h5"
        cache = cached(path, ModelTeacher(teacher, taught.params, Direct()), digits)  # made once, read from then on
    print(f"teacher   {100 * accuracy(cache.batch(digits.test).logits, labels):.1f} %")

    student, encoder = mtj_mlp((64, 64, 10), levels=16), GaussianThreshold(ticks=4, seed=0)
    objective, config = CrossEntropy() + 1.0 * SoftTargets(2.0), FitConfig(epochs=30, batch=32, rate=5e-3)
    trained = fit(student, student.initial(0, "student"), digits, encoder, objective, config, teacher=cache)
    print(f"student   {100 * accuracy(predict(student, trained.params, digits, digits.test, encoder), labels):.1f} %")

    signal = encoder(encoder.prepare(digits.x[digits.test]), digits.test, epoch=0)
    network = to_network(student, trained.params)
    for cv in (0.05, 0.1, 0.2):
        chips = deploy(network, Events.from_frames(signal.values), labels, cv, chips=5, seed=0)
        print(f"{100 * cv:3.0f} % variation: {', '.join(f'{100 * a:.1f}' for a in chips.accuracies)} % on five chips")


if __name__ == "__main__":
    main()

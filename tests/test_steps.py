"""A training is the loop that anybody would write: batches in their order, a gradient, a step, an average."""

import math

import numpy as np
import pytest

from eventsim import keys
from eventsim.training import SGD, CrossEntropy, Direct, fit, gradient, load
from eventsim.training.optim import average, clip
from eventsim.training.schedule import OneCycle, Steps
from tests.training_cases import conv_net, every_setting

OBJECTIVE = CrossEntropy()


def by_hand(model, params, dataset, encoder, config):
    """Parameters and their average after all epochs, with the running statistics that belong to them."""
    steps, done = config.epochs * math.ceil(len(dataset.train) / config.batch), 0
    state = config.optimiser.start(params, [name for name in params if "mean" not in name and "variance" not in name])
    mean = params
    for epoch in range(1, config.epochs + 1):
        order = dataset.train[keys.permutation(config.seed, "batches", len(dataset.train), epoch)]
        for first in range(0, len(order), config.batch):
            ids = order[first : first + config.batch]
            found = gradient(
                model,
                params,
                encoder(encoder.prepare(dataset.x[ids]), ids, epoch),
                dataset.labels[ids],
                OBJECTIVE,
                ticks=encoder.ticks,
                method=config.method,
                seed=config.seed,
                step=done,
            )
            rate = config.rate * config.schedule(done / steps)
            params, state = config.optimiser.step(params, clip(found.params, config.clip)[0], state, rate)
            params = {**params, **found.moved}
            mean = average(mean, params, config.average, done)
            done += 1
    return params, mean


@pytest.mark.parametrize(
    "changed",
    [
        {"schedule": OneCycle(peak=0.5), "method": "ratebp"},
        {"schedule": Steps((0.25, 0.75), 0.1), "method": "bptt", "optimiser": SGD(0.8, nesterov=True)},
    ],
    ids=["one cycle", "steps"],
)
def test_a_training_is_its_steps_one_after_the_other(changed):
    """To the last bit, with normalisation, dropout, clipping and an average, in two epochs."""
    digits, model, encoder = load("digits"), conv_net(), Direct(2)
    config = every_setting(2, augment=(), seed=3, keep="last", batch=300, **changed)
    params, mean = by_hand(model, model.initial(1), digits, encoder, config)
    found = fit(model, model.initial(1), digits, encoder, OBJECTIVE, config).params
    assert found.keys() == mean.keys()
    assert all(np.array_equal(found[name], mean[name]) for name in mean)
    assert not any(np.array_equal(params[name], model.initial(1)[name]) for name in ("1/mean", "1/variance"))


def test_masks_are_drawn_anew_in_every_step():
    model = conv_net()
    params, x = model.initial(0), np.random.default_rng(0).random((8, 1, 64), np.float32)
    by_step = [gradient(model, params, x, np.arange(8), OBJECTIVE, seed=1, step=step).params for step in (0, 0, 1)]
    one, again, other = (grads["5/weight"] for grads in by_step)
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)

"""What no encoder takes is refused before anything is drawn."""

import numpy as np
import pytest

from eventsim.errors import DataError
from tests.encoder_cases import FIXED, RANDOM, samples

BAD_SAMPLES = [
    np.full((2, 9), np.nan),
    np.array([[0.5] * 8 + [np.inf]]),
    np.full((2, 9), "1"),
    np.full((2, 9), 1j),
    np.zeros((0, 9)),
    np.zeros(9),
    [[0.1, 0.2], [0.3]],
    np.ma.array(np.zeros((1, 9)), mask=[[True] + [False] * 8]),
    None,
]


@pytest.mark.parametrize("encoder", [*RANDOM, *FIXED], ids=repr)
@pytest.mark.parametrize("x", BAD_SAMPLES, ids=range(len(BAD_SAMPLES)))
def test_samples_that_cannot_be_encoded_are_refused(encoder, x):
    with pytest.raises(DataError, match="cannot be encoded"):
        encoder.prepare(x)


@pytest.mark.parametrize("encoder", RANDOM, ids=repr)
@pytest.mark.parametrize("ids", [[0], [0, 1, 2], [], [0, -1], [0, 2**32], [0.0, 1.0], [[0, 1]], None], ids=repr)
def test_a_number_is_asked_for_each_sample(encoder, ids):
    prepared = encoder.prepare(samples(encoder, 2))
    with pytest.raises(DataError, match="for 2 samples; epoch 1"):
        encoder(prepared, ids, 1)
    assert np.array_equal(encoder(prepared, [3, 4], 1).values, encoder(prepared, np.array([3, 4]), 1).values)


@pytest.mark.parametrize("encoder", RANDOM, ids=repr)
@pytest.mark.parametrize("epoch", [-1, 2**32, 1.5, None, True])
def test_an_epoch_is_a_whole_number(encoder, epoch):
    with pytest.raises(DataError, match="samples are not numbered"):
        encoder(encoder.prepare(samples(encoder, 2)), np.arange(2), epoch)

"""A recipe that uses most of what there is, and changes to it."""

import tomllib

RECIPE = """
[data]
name = "digits"

[[stage]]
name = "teacher"
seed = 3
model = { type = "relu_mlp", sizes = [64, 20, 10] }
encoder = { type = "direct" }
objective = [{ type = "cross_entropy" }]

[stage.training]
epochs = 2
batch = 64
rate = 2e-3
optimiser = { type = "adamw", decay = 0.1 }
schedule = { type = "warm_up", share = 0.1, schedule = { type = "cosine" } }

[stage.cache]
features = ["1"]
views = { count = 2, augment = [{ type = "shift", by = 1 }], seed = 1, shape = [8, 8, 1] }
form = { dtype = "float16" }

[[stage]]
name = "student"
teacher = "teacher"
model = { type = "mtj_mlp", sizes = [64, 12, 10], levels = 16, neuron = { type = "mtj", k1 = 200.0 } }
heads = { map = { at = "1", layers = [{ type = "dense", sources = 12, targets = 20 }] } }
encoder = { type = "gaussian_threshold", ticks = 3, seed = 0 }
objective = [
    { type = "cross_entropy" },
    { type = "soft_targets", weight = 0.5, temperature = 4.0 },
    { type = "feature_distance", weight = 0.1, student = "map", teacher = "1", ramp = { type = "cosine" } },
]
training = { epochs = 2, batch = 64, rate = 6e-3, checkpoint_every = 5 }
"""


def changed(*changes):
    """The recipe with other values at some places; None takes out what is there."""
    table = tomllib.loads(RECIPE)
    for place, value in zip(changes[::2], changes[1::2], strict=True):
        *way, last = [int(part) if part.isdigit() else part for part in place.split(".")]
        at = table
        for part in way:
            at = at[part]
        if value is None:
            at.pop(last, None)
        else:
            at[last] = value
    return table

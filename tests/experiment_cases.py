"""A small experiment on the digits: a teacher, two students, two variants, a further test set."""

EXPERIMENT = """
title = "Small"
source = "Nobody, Table 0"
chips = ["distilled"]

[data]
name = "digits"

[[stage]]
name = "teacher"
model = { type = "relu_mlp", sizes = [64, 20, 10] }
encoder = { type = "direct" }
objective = [{ type = "cross_entropy" }]
training = { epochs = 2, batch = 64, rate = 5e-3 }

[[stage]]
name = "plain"
model = { type = "mtj_mlp", sizes = [64, 12, 10], levels = 16 }
encoder = { type = "gaussian_threshold", ticks = 2, seed = 5 }
objective = [{ type = "cross_entropy", gain = 10.0 }]
training = { epochs = 2, batch = 64, rate = 1e-2 }

[[stage]]
name = "distilled"
like = "plain"
teacher = "teacher"
objective = [{ type = "cross_entropy", gain = 10.0 }, { type = "soft_targets", gain = 10.0 }]
training.epochs = 3

[[case]]
name = "many"

[[case]]
name = "few"
data.train = 200

[[test]]
name = "part"
data.test = 50

[[row]]
label = "teacher"
stage = "teacher"
case = "many"
published = 70.0

[[row]]
label = "with a teacher"
stage = "distilled"
case = "many"
baseline = "plain"
published = 60.5
quick_minimum = 30.0

[[row]]
label = "with a teacher, some"
stage = "distilled"
case = "many"
test = "part"
baseline = "plain"

[[row]]
label = "few samples"
stage = "plain"
case = "few"

[quick]
batch = 50
epochs = { teacher = 1, distilled = 1 }
cases = ["many"]
stages = ["distilled"]
data.train = 300
"""


def written(folder, *changes):
    """A file of the experiment, with texts in it changed."""
    text = EXPERIMENT
    for old, new in zip(changes[::2], changes[1::2], strict=True):
        assert old in text
        text = text.replace(old, new, 1)
    path = folder / "small.toml"
    path.write_text(text, encoding="utf-8")
    return path

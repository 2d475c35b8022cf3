"""A teacher cache of a million samples: rates of writing and reading, memory, and batches against a plain copy of rows.

python benchmarks/teacher_cache.py [--samples 1000000] [--classes 100] [--folder DIR]

Writing, reading from disk and reading in memory run in processes of their own, whose largest resident size is told; the
data set itself (labels and one input for each sample) is in each of them. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from eventsim.training import Dataset, FunctionTeacher, TeacherCache, cached

BATCH, BATCHES, ROUNDS = 128, 500, 7


def data(samples: int, classes: int) -> Dataset:
    x = np.arange(samples, dtype=np.float32)[:, None] / samples
    none = np.arange(0)
    return Dataset("numbers", x, np.arange(samples) % classes, np.arange(samples), none, none, (1, 1))


def teacher(classes: int) -> FunctionTeacher:
    steps = np.arange(classes, dtype=np.float32)
    return FunctionTeacher(lambda x: x + steps, "steps", "0" * 64)


def batches(samples: int) -> list[np.ndarray]:
    rng = np.random.Generator(np.random.PCG64(0))
    return [rng.integers(0, samples, BATCH) for _ in range(BATCHES)]


def seconds(work, parts) -> float:
    begin = time.perf_counter()
    for part in parts:
        work(part)
    return time.perf_counter() - begin


def write(path: Path, samples: int, classes: int) -> dict[str, float]:
    numbers = data(samples, classes)
    begin = time.perf_counter()
    cached(path, teacher(classes), numbers, splits=("train",), memory=0).close()
    return {"write_rows_per_s": samples / (time.perf_counter() - begin)}


def disk(path: Path, samples: int, classes: int) -> dict[str, float]:
    numbers, ids = data(samples, classes), batches(samples)
    with TeacherCache.read(path, numbers, memory=0) as cache:
        stretches = np.split(np.arange(samples), range(256, samples, 256))
        first = seconds(lambda part: cache.batch(part[:1]), stretches)  # checks every chunk
        found = min(seconds(cache.batch, ids[:100]) for _ in range(3))
    return {"disk_check_rows_per_s": samples / first, "disk_batch_rows_per_s": 100 * BATCH / found}


def memory(path: Path, samples: int, classes: int) -> dict[str, float]:
    numbers, ids = data(samples, classes), batches(samples)
    begin = time.perf_counter()
    cache = TeacherCache.read(path, numbers)
    loaded = time.perf_counter() - begin
    plain = cache.batch(np.arange(samples)).logits
    rounds = [(seconds(lambda i: np.take(plain, i, axis=0), ids), seconds(cache.batch, ids)) for _ in range(ROUNDS)]
    copy, batch = (min(times) for times in zip(*rounds, strict=True))
    rows = BATCH * BATCHES
    rates = {"copy_rows_per_s": rows / copy, "memory_batch_rows_per_s": rows / batch, "of_copy": copy / batch}
    return {"read_rows_per_s": samples / loaded, **rates}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=1_000_000)
    parser.add_argument("--classes", type=int, default=100)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--stage", choices=("write", "disk", "memory"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.stage:
        path = asked.folder / "cache.h5"
        found = {"write": write, "disk": disk, "memory": memory}[asked.stage](path, asked.samples, asked.classes)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({**found, f"{asked.stage}_peak_mib": peak}))
        return
    found = {"samples": asked.samples, "classes": asked.classes, "batch": BATCH}
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        size = ("--samples", str(asked.samples), "--classes", str(asked.classes), "--folder", folder)
        for stage in ("write", "disk", "memory"):
            out = subprocess.run([sys.executable, __file__, *size, "--stage", stage], capture_output=True, check=True)
            found |= {name: round(value, 3) for name, value in json.loads(out.stdout).items()}
            print(stage, out.stdout.decode().strip())
        found["file_mib"] = round((Path(folder) / "cache.h5").stat().st_size / 2**20, 1)
    print(json.dumps(found))


if __name__ == "__main__":
    main()

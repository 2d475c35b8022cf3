"""Fit a device to a table of measured positions, and see how far the standard errors can be trusted.

python examples/04_fit_a_device.py
"""

import tempfile
from pathlib import Path

import numpy as np

from eventsim import MTJ
from eventsim.measurement import fit, write_report

NOISE = 0.1  # nm


def measure(device: MTJ, rng: np.random.Generator) -> str:
    """Pulses of 1 ns and decays, sampled every 0.5 ns with a noisy read-out; one trace per pulse height."""
    rows = ["# a device nobody has seen before", "time_ns,drive,position_nm,trace,sigma_nm"]
    for trace, height in enumerate((0.3, 0.5, 0.7, 0.9, -0.5)):
        x = 0.0
        for sample in range(60):
            drive = height if sample % 20 in (1, 2) else 0.0  # a pulse every 10 ns
            x = float(device.step(x, drive, 0.5)) if sample else x
            rows.append(f"{sample / 2},{drive},{x + rng.normal(0, NOISE):.4f},{trace},{NOISE}")
    return "\n".join(rows) + "\n"


def main() -> None:
    truth = MTJ(k1=180.0, k2=-31.0, gain=0.9)
    folder = Path(tempfile.mkdtemp(prefix="eventsim-fit-"))
    fits = []
    for seed in range(20):
        table = folder / f"device-{seed}.csv"
        table.write_text(measure(truth, np.random.default_rng(seed)), encoding="utf-8")
        fits.append(fit(table))
    print(fits[0])

    print("pulls, (value - truth)/error, over 20 such tables: about 0 ± 1 if the errors are honest")
    for name in fits[0].standard_errors:
        pulls = [(getattr(f.device, name) - getattr(truth, name)) / f.standard_errors[name] for f in fits]
        print(f"  {name:<5} {np.mean(pulls):+.2f} ± {np.std(pulls):.2f}")

    write_report(fits[0], folder / "report")
    print(f"report and picture: {folder / 'report'}")


if __name__ == "__main__":
    main()

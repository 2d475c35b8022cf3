"""The network of ``sparse_network.py`` in Brian2 (C++ standalone): neurons fanout rate ticks mtj|lif threads."""

import json
import sys
import tempfile

import brian2 as b
import numpy as np

n, fanout, rate, ticks, model, threads = (
    kind(a) for kind, a in zip((int, int, float, int, str, int), sys.argv[1:], strict=True)
)
folder = tempfile.TemporaryDirectory()
b.set_device("cpp_standalone", build_on_run=False)
b.prefs.devices.cpp_standalone.openmp_threads = threads if threads > 1 else 0
b.prefs.core.default_float_dtype = np.float32
b.defaultclock.dt = 1 * b.ms
equations = {
    "lif": ("dv/dt = -v / (10*ms) : 1", "v > 1", "exact"),
    "mtj": ("dv/dt = (v**2 - 27.6*v) / (212*ms) : 1", "v > 20", "rk4"),
}
motion, fires, method = equations[model]
neurons = b.NeuronGroup(n, motion, threshold=fires, reset="v = 0", method=method)
synapses = b.Synapses(neurons, neurons, "w : 1", on_pre="v_post += w", delay=1 * b.ms)
synapses.connect(i=np.repeat(np.arange(n), fanout), j=np.random.default_rng(0).integers(0, n, n * fanout))
synapses.w = "1e-6 * randn()"
drive = b.PoissonInput(neurons, "v", N=1, rate=rate / (1 * b.ms), weight=1000)
monitor = b.SpikeMonitor(neurons, record=False)
everything = b.Network(neurons, synapses, drive, monitor)
everything.run(ticks * b.ms)
b.device.build(directory=folder.name, run=False, compile=True)  # without a directory it is ./output
times = []
for _ in range(3):
    b.device.run()
    times.append(b.device._last_run_time)
seconds, events = float(np.median(times)), int(monitor.num_spikes) * fanout
print(json.dumps({"ns_per_event": 1e9 * seconds / events, "us_per_tick": 1e6 * seconds / ticks}))
folder.cleanup()

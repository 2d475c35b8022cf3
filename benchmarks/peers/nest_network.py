"""The network of ``sparse_network.py`` in NEST, LIF neurons: neurons fanout rate ticks lif threads."""

import json
import sys
import time

import nest

n, fanout, rate, ticks, model, threads = (
    kind(a) for kind, a in zip((int, int, float, int, str, int), sys.argv[1:], strict=True)
)
nest.set_verbosity("M_ERROR")
nest.ResetKernel()
nest.SetKernelStatus({"resolution": 1.0, "local_num_threads": threads})
cell = {"E_L": 0.0, "V_m": 0.0, "V_th": 1.0, "V_reset": 0.0, "tau_m": 10.0, "t_ref": 1.0, "C_m": 10.0}
neurons = nest.Create("iaf_psc_delta", n, cell)
drive = nest.Create("poisson_generator", params={"rate": 1000.0 * rate})
nest.Connect(drive, neurons, syn_spec={"weight": 1000.0, "delay": 1.0})
synapse = {"synapse_model": "static_synapse_hpc", "weight": 1e-6, "delay": 1.0}
nest.Connect(neurons, neurons, {"rule": "fixed_outdegree", "outdegree": fanout}, synapse)
nest.Prepare()
nest.Run(5.0)
times = []
for _ in range(3):
    start = time.perf_counter()
    nest.Run(float(ticks))
    times.append(time.perf_counter() - start)
events = nest.GetKernelStatus("local_spike_counter") * fanout  # the spikes of the last call of Run alone
nest.Cleanup()
seconds = sorted(times)[1]
print(json.dumps({"ns_per_event": 1e9 * seconds / max(events, 1), "us_per_tick": 1e6 * seconds / ticks}))

"""How the cost of a tick follows neurons, fan-out, rate and threads: the tables of docs/performance.md.

    python benchmarks/scaling.py [--model mtj|lif]

Networks are those of ``sparse_network.py``. Prints a table in Markdown, and one JSON line last.
"""

import json
import statistics

import click
from sparse_network import network, runs

from eventsim.parallel import cores

SERIES = {
    "neurons": [(n, 100, 0.01) for n in (1_000, 10_000, 100_000, 1_000_000)],
    "fan-out": [(100_000, k, 0.01) for k in (10, 100, 1000)],
    "rate": [(100_000, 1000, r) for r in (0.00001, 0.0001, 0.0005, 0.001, 0.01, 0.1)],
    "rate, short rows": [(100_000, 100, r) for r in (0.00001, 0.0001, 0.0005, 0.001, 0.01, 0.1)],
}


def ticks_of(neurons: int, fanout: int, rate: float) -> int:
    """Ticks that take some tenths of a second."""
    return int(min(5000, max(20, 2e8 / (neurons * (1 + fanout * rate)))))


@click.command()
@click.option("--model", default="mtj", show_default=True, type=click.Choice(["mtj", "lif"]))
def main(model: str) -> None:
    rows, nets = [], {}
    print("| series | neurons | fan-out | rate | threads | µs per tick | ns per synaptic event |")
    print("|---|---|---|---|---|---|---|")
    for series, points in SERIES.items():
        for neurons, fanout, rate in points:
            key = (neurons, fanout, rate)
            nets = {key: nets.get(key) or network(neurons, fanout, rate, model, 0.05, {})}
            ticks = ticks_of(neurons, fanout, rate)
            for threads in sorted({1, cores()}):
                runs(nets[key], 1, threads)
                times, events = runs(nets[key], ticks, threads)
                us = 1e6 * statistics.median(times) / ticks
                ns = 1e3 * us * ticks / max(events, 1)
                rows.append([series, neurons, fanout, rate, threads, round(us, 2), round(ns, 3)])
                cells = f"{neurons:,} | {fanout:,} | {rate:.3%} | {threads} | {us:,.1f} | {ns:.2f}"
                print(f"| {series} | {cells} |", flush=True)
    columns = ["series", "neurons", "fanout", "rate", "threads", "us_per_tick", "ns_per_event"]
    print(json.dumps({"model": model, "columns": columns, "rows": rows}))


if __name__ == "__main__":
    main()

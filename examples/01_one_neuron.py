"""One skyrmion-MTJ neuron: drive it with pulses and let it decay, exactly.

python examples/01_one_neuron.py
"""

from eventsim import MTJ


def main() -> None:
    neuron = MTJ()  # 20 nm threshold, 1 ns ticks; every parameter has a default
    print(f"one pulse from rest (threshold {neuron.threshold:g} nm)")
    for drive in (0.25, 0.5, 1.0, 1.0339):
        x = float(neuron.step(0.0, drive))
        print(f"  I = {drive:<7g} x = {x:7.3f} nm  {'spike' if x >= neuron.threshold else ''}")

    print("free decay from 10 nm")
    for time in (1, 5, 10, 20, 40):
        print(f"  after {time:2d} ns  x = {float(neuron.step(10.0, 0.0, time)):7.4f} nm")

    print("pulses of I = 0.4, one every 5 ns: integrate, leak, fire, reset")
    x = 0.0
    for pulse in range(1, 11):
        top = float(neuron.step(x, 0.4))
        if top >= neuron.threshold:
            print(f"  pulse {pulse:2d}: spike")
            x = neuron.reset
        else:
            x = float(neuron.step(top, 0.0, 4.0))
            print(f"  pulse {pulse:2d}: up to {top:6.2f} nm, back to {x:6.2f} nm")


if __name__ == "__main__":
    main()

"""One training step of the benchmark's networks in torch: run by ``training_step.py --peer``.

    python train_torch.py conv|mlp bptt|ratebp|spikingjelly|ratebp-bfloat16 TICKS BATCH THREADS

Leaky neurons with leak 0.2, threshold 1, soft reset that is left out of the derivative, sigmoid surrogate of sharpness
4; images are held channels last, torch's fastest layout. Prints one JSON line: seconds of each step.
"""

import json
import resource
import sys
import time

import torch
from torch import nn
from torch.nn import functional

LEAK = 0.2


class Step(torch.autograd.Function):
    """A spike, with the slope of the sigmoid."""

    @staticmethod
    def forward(context, u):
        context.save_for_backward(u)
        return (u >= 0).to(u.dtype)

    @staticmethod
    def backward(context, grad):
        (u,) = context.saved_tensors
        p = torch.sigmoid(4 * u)
        return grad * 4 * p * (1 - p)


class Loop(nn.Module):
    """One tick of backpropagation through time; the membrane is kept between calls."""

    def forward(self, x):
        self.v = x if self.v is None else LEAK * self.v + x
        spike = Step.apply(self.v - 1)
        self.v = self.v - spike.detach()
        return spike


class Rate(nn.Module):
    """All ticks without a graph, then once with the rate and its slope."""

    def forward(self, x):
        if torch.is_grad_enabled():
            return self.rate + self.kappa * (x - x.detach())
        x = x.view(TICKS, -1, *x.shape[1:])
        v, rate, kappa, eps = torch.zeros_like(x[0]), torch.zeros_like(x[0]), torch.zeros_like(x[0]), 1.0
        spikes = torch.empty_like(x)
        for t in range(TICKS):
            v = LEAK * v + x[t]
            p = torch.sigmoid(4 * (v - 1))
            spike = (v >= 1).to(v.dtype)
            kappa += eps * 4 * p * (1 - p)
            rate += spike
            v = v - spike
            eps = 1 + LEAK * eps
            spikes[t] = spike
        self.rate, self.kappa = rate / TICKS, kappa / TICKS
        return spikes.flatten(0, 1)


def build(net, linear, conv, norm, pool, flat, neuron):
    if net == "mlp":
        return nn.Sequential(linear(784, 800), neuron(), linear(800, 10))
    layers, channels = [], 3
    for width in (64, 128, 256):
        for _ in range(2):
            layers += [conv(channels, width, 3, padding=1, bias=False), norm(width), neuron()]
            channels = width
        layers.append(pool(2))
    return nn.Sequential(*layers, flat(), linear(4096, 256), neuron(), linear(256, 10))


def library(net):
    from spikingjelly.activation_based import functional as states
    from spikingjelly.activation_based import layer, neuron, surrogate

    def lif():
        slope = surrogate.Sigmoid(4.0)
        return neuron.LIFNode(1.25, False, v_reset=None, surrogate_function=slope, detach_reset=True, step_mode="m")

    layers = (layer.Linear, layer.Conv2d, layer.BatchNorm2d, layer.AvgPool2d, layer.Flatten)

    def many(kind):
        return lambda *args, **options: kind(*args, **options, step_mode="m")

    model = build(net, *map(many, layers), lif)

    def forward(x):
        states.reset_net(model)
        return model(x.unsqueeze(0).expand(TICKS, *x.shape)).mean(0)

    return model, forward


def plain(net, neuron):
    model = build(net, nn.Linear, nn.Conv2d, nn.BatchNorm2d, nn.AvgPool2d, nn.Flatten, neuron)

    def loop(x):
        for module in model.modules():
            if isinstance(module, Loop):
                module.v = None
        return sum(model(x) for _ in range(TICKS)) / TICKS

    def rates(x):
        with torch.no_grad():
            model(x.repeat(TICKS, *[1] * (x.dim() - 1)))
        return model(x)

    return model, loop if neuron is Loop else rates


NET, KIND = sys.argv[1:3]
TICKS, BATCH, THREADS = map(int, sys.argv[3:])


def main():
    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    if KIND == "spikingjelly":
        model, forward = library(NET)
    else:
        model, forward = plain(NET, Loop if KIND == "bptt" else Rate)
    x = torch.rand(BATCH, 784) if NET == "mlp" else torch.randn(BATCH, 3, 32, 32)
    labels = torch.randint(0, 10, (BATCH,))
    if NET == "conv":
        model, x = model.to(memory_format=torch.channels_last), x.contiguous(memory_format=torch.channels_last)
    optimiser = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)

    def step():
        optimiser.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=KIND.endswith("bfloat16")):
            loss = functional.cross_entropy(forward(x), labels)
        loss.backward()
        optimiser.step()

    step()
    step()
    seconds = []
    for _ in range(5 if NET == "conv" else 30):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "peak_rss_mb": round(peak), "torch": torch.__version__}))


if __name__ == "__main__":
    main()

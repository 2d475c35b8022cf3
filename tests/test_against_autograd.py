"""Both gradients against automatic differentiation of the same small networks, in double precision."""

import math

import numpy as np
import pytest

from eventsim import IF, LIF, MTJ
from eventsim.training import CrossEntropy, gradient
from eventsim.training.linear import Conv, Dense
from eventsim.training.norm import BatchNorm
from eventsim.training.pooling import AvgPool, GlobalPool, MaxPool
from eventsim.training.residual import Residual
from eventsim.training.shaping import Flatten
from eventsim.training.spiking import Spiking
from tests.nets import batch, moving, net

torch = pytest.importorskip("torch")
F = torch.nn.functional


class Step(torch.autograd.Function):
    """A step whose backward pass is that of a sigmoid of the same height."""

    @staticmethod
    def forward(ctx, u, threshold, alpha):
        ctx.save_for_backward(u)
        ctx.rule = threshold, alpha
        return (u >= threshold).to(u.dtype)

    @staticmethod
    def backward(ctx, grad):
        threshold, alpha = ctx.rule
        p = torch.sigmoid(alpha * (ctx.saved_tensors[0] / threshold - 1))
        return grad * alpha / threshold * p * (1 - p), None, None


def moved(neuron, x, drive):
    """One tick of a neuron, in the framework's own operations."""
    push = neuron.gain * neuron.threshold / neuron.dt * drive
    if isinstance(neuron, LIF):
        left = math.exp(-neuron.dt / neuron.tau)
        return left * x + neuron.tau * (1 - left) * push
    if isinstance(neuron, IF):
        return x + neuron.dt * push
    s, h, q = neuron.dt / neuron.k1, -neuron.k2 / 2, neuron.k1 * push
    d = h * h - q
    root = torch.sqrt(torch.abs(d))
    slow, fast = torch.tanh(root * s) / root, torch.tan(root * s) / root
    g = torch.where(d > 0, slow, fast)
    below, top = 1 - g * (x - h), 2 * neuron.threshold
    away = below <= 0  # ran away; as what is further than twice the threshold
    return torch.where(away, top, (x + g * (q - h * x)) / torch.where(away, 1.0, below)).clamp(max=top)


class Neurons(torch.nn.Module):
    """A spiking layer: a loop over the ticks, or the measured rate with kappa as its slope."""

    def __init__(self, layer):
        super().__init__()
        self.layer, self.rate, self.ticks = layer, None, 0

    def spikes(self, drive):
        """Of drives (ticks, batch, ...)."""
        neuron, v, out = self.layer.nominal, torch.zeros_like(drive[0]), []
        for now in drive:
            u = moved(neuron, v, now)
            s = Step.apply(u, neuron.threshold, self.layer.alpha)
            gone = s.detach() if self.layer.detach_reset else s
            way = neuron.threshold - neuron.reset if neuron.reset_mode == "soft" else u - neuron.reset
            v = u - gone * way
            out.append(s)
        return torch.stack(out)

    def forward(self, x):
        if self.rate is not None:
            rate, kappa = self.rate
            return rate + kappa * (x - x.detach())
        return self.spikes(x.unflatten(0, (self.ticks, -1))).flatten(0, 1)

    def measure(self, x):
        """Spikes, and how the rate answers to a shift of all drives."""
        shift = torch.zeros_like(x.unflatten(0, (self.ticks, -1))[0], requires_grad=True)
        with torch.enable_grad():
            out = self.spikes(x.unflatten(0, (self.ticks, -1)).detach() + shift)
            (kappa,) = torch.autograd.grad(out.mean(0).sum(), shift)
        self.rate = out.mean(0).detach(), kappa
        return out.flatten(0, 1).detach()


class Norm(torch.nn.Module):
    """Batch normalisation, with the derivative through mean and variance of the rates where there are only rates."""

    def __init__(self, eps):
        super().__init__()
        self.eps, self.found, self.gamma, self.beta = eps, None, None, None

    def forward(self, x):
        axes = [0, *range(2, x.ndim)]
        mean, variance = x.mean(axes, keepdim=True), x.var(axes, keepdim=True, unbiased=False)
        if self.found is not None:  # the values of the spiking pass, the slopes of the rates
            held_mean, held = self.found
            second = (x - x.mean(axes, keepdim=True)).square().mean(axes, keepdim=True)
            mean, variance = mean - mean.detach() + held_mean, second - second.detach() + held
        shape = (1, -1, *(1,) * (x.ndim - 2))
        return self.gamma.reshape(shape) * (x - mean) / torch.sqrt(variance + self.eps) + self.beta.reshape(shape)

    def measure(self, x):
        axes = [0, *range(2, x.ndim)]
        out = self(x)
        self.found = x.mean(axes, keepdim=True), x.var(axes, keepdim=True, unbiased=False)
        return out


class Added(torch.nn.Module):
    """Two branches from one input, added."""

    def __init__(self, branches):
        super().__init__()
        self.branches = branches

    def measure(self, x):
        return sum(through(branch, x, measure=True) for branch in self.branches)

    def forward(self, x):
        return sum(through(branch, x) for branch in self.branches)


def through(layers, x, *, measure=False):
    for own in layers:
        x = own.measure(x) if measure and hasattr(own, "measure") else own(x)
    return x


class Twin:
    """A model in the framework: channels first, ticks merged with the batch."""

    def __init__(self, model, params):
        self.layers, self.flat = model.layers, len(model.inputs)
        self.params = {name: torch.tensor(value, requires_grad=True) for name, value in params.items()}
        self.neurons = []
        self.own = [self._own(i, layer) for i, layer in enumerate(model.layers)]

    def _own(self, i, layer):
        if isinstance(layer, Spiking):
            self.neurons.append(Neurons(layer))
            return self.neurons[-1]
        if isinstance(layer, Residual):
            branches = {"main": layer.main, "shortcut": layer.shortcut}
            return Added([[self._own(f"{i}/{k}/{j}", e) for j, e in enumerate(row)] for k, row in branches.items()])
        if isinstance(layer, BatchNorm):
            own = Norm(layer.eps)
            own.gamma, own.beta = self.params[f"{i}/gamma"], self.params[f"{i}/beta"]
            return own
        return lambda x: self._plain(i, layer, x)

    def _plain(self, i, layer, x):
        weight, bias = self.params.get(f"{i}/weight"), self.params.get(f"{i}/bias")
        deep = x.ndim == 4
        if isinstance(layer, Dense):
            return F.linear(x, weight.T, bias)
        if isinstance(layer, Conv):
            turned = weight.permute(3, 2, 0, 1) if deep else weight.permute(2, 1, 0)
            return (F.conv2d if deep else F.conv1d)(x, turned, bias, layer.stride, layer.padding, groups=layer.groups)
        if isinstance(layer, AvgPool):
            return (F.avg_pool2d if deep else F.avg_pool1d)(x, layer.size, layer.step)
        if isinstance(layer, MaxPool):
            return (F.max_pool2d if deep else F.max_pool1d)(x, layer.size, layer.step)
        if isinstance(layer, GlobalPool):
            return x.flatten(2).mean(2)
        assert isinstance(layer, Flatten)
        return x.movedim(1, -1).flatten(1)

    def gradient(self, x, labels, ticks, method):
        x = torch.tensor(np.repeat(x, ticks // x.shape[1], axis=1)).movedim(1, 0)
        x = x.movedim(-1, 2) if x.ndim > 3 else x
        many, mean = x.flatten(0, 1), x.mean(0)
        for own in self.neurons:
            own.ticks = ticks
        if method == "ratebp":
            with torch.no_grad():
                through(self.own, many, measure=True)
        many = through(self.own, mean if method == "ratebp" else many)
        logits = many if method == "ratebp" else many.unflatten(0, (ticks, -1)).mean(0)
        loss = F.cross_entropy(logits, torch.tensor(labels))
        loss.backward()
        return loss.item(), {name: value.grad for name, value in self.params.items() if value.grad is not None}


SLOW = LIF(tau=0.6213349345596119, reset_mode="soft")
"""A leak of 0.2, as the authors have it."""
MODELS = {
    "rows, LIF": lambda d: net((6,), Dense(6, 9), Spiking(LIF(), detach_reset=d), Dense(9, 7), Spiking(SLOW)),
    "rows, MTJ": lambda d: net((6,), Dense(6, 9), Spiking(MTJ(), detach_reset=d), Dense(9, 7), Spiking(MTJ(k2=-35.0))),
    "batch norm": lambda d: net(
        (6, 6, 2),
        Conv(2, 5, padding=1),
        BatchNorm(5),
        Spiking(LIF(), detach_reset=d),
        AvgPool(2),
        Conv(5, 4, (2, 2)),
        BatchNorm(4),
        Spiking(SLOW, detach_reset=d),
        GlobalPool(),
    ),
    "largest": lambda d: net(
        (6, 6, 2),
        Conv(2, 5, padding=1, bias=True),
        Spiking(IF(), detach_reset=d),
        Conv(5, 4),
        MaxPool(2),
        Spiking(LIF()),
    ),
    "residual": lambda d: net(
        (6, 6, 2),
        Conv(2, 5, padding=1),
        Spiking(LIF(), detach_reset=d),
        Residual(
            [Conv(5, 4, stride=2), BatchNorm(4), Spiking(SLOW), Conv(4, 4, (1, 1))], [Conv(5, 4, stride=2, bias=True)]
        ),
        Spiking(LIF(), detach_reset=d),
        Residual([Conv(4, 4, padding=1), BatchNorm(4), Spiking(SLOW)], add="spike"),
    ),
    "groups": lambda d: net(
        (7, 6, 4),
        Conv(4, 8, stride=2, padding=1, groups=4),
        Spiking(MTJ(), detach_reset=d),
        Conv(8, 6, (2, 2), groups=2),
    ),
    "series": lambda d: net(
        (12, 2),
        Conv(2, 6, (5,), padding=2),
        Spiking(LIF(), detach_reset=d),
        AvgPool(2),
        Conv(6, 4, (3,), stride=2),
    ),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("method", ["bptt", "ratebp"])
@pytest.mark.parametrize("detach", [True, False], ids=["detached", "attached"])
@pytest.mark.parametrize(("ticks", "static"), [(1, True), (4, True), (4, False)])
def test_both_gradients_are_those_of_automatic_differentiation(name, method, detach, ticks, static):
    model = MODELS[name](detach)
    params, (x, labels) = moving(model, 0), batch(model, 0, 1 if static else ticks, samples=6)
    value, wanted = Twin(model, params).gradient(x, labels, ticks, method)
    found = gradient(model, params, x, labels, CrossEntropy(), ticks=ticks, method=method)
    assert found.value == pytest.approx(value, rel=1e-10)
    assert all(rate > 0 for rate in found.rates.values())
    size = max(float(grad.abs().max()) for grad in wanted.values())
    assert size > 1e-4
    for key, grad in wanted.items():
        assert found.params[key] == pytest.approx(grad.numpy(), rel=1e-8, abs=1e-10 * max(size, 1)), key

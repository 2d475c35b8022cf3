"""Students on the engine: what is counted of one that is fed with real values."""

from eventsim import MTJ
from eventsim.training import Direct, load
from eventsim.training.linear import Grid
from eventsim.training.measured import OnEngine
from eventsim.training.resnets import resnet18
from eventsim.training.spiking import Spiking


def test_a_residual_student_of_direct_coding():
    model = resnet18(Spiking(MTJ()), inputs=(8, 8, 1), width=1 / 32, grid=Grid(16))
    found = OnEngine(model, model.initial(0), Direct(ticks=2), load("digits", test=10), threads=1).activity(seed=0)
    assert found.samples == 10
    assert found.front_macs == 2 * 8 * 8 * 9 * 2
    assert found.differ == 0
    assert found.spikes > 0

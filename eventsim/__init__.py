"""eventsim: spiking networks of magnetic tunnel junctions on an ordinary CPU.

The names here describe devices and networks and run them; :mod:`eventsim.training` trains them.
"""

from eventsim.conductance import MTJSynapse
from eventsim.crossbar import program
from eventsim.device import Devices, Neuron
from eventsim.energy import energy
from eventsim.errors import InputError
from eventsim.events import Events
from eventsim.material import drive_coefficient, drive_velocity
from eventsim.models import IF, LIF, MTJ, DomainWall, Oscillator, TaperedDomainWall
from eventsim.network import Network, Population, Projection, Readout, Source
from eventsim.recording import Recording
from eventsim.response import respond
from eventsim.simulate import simulate
from eventsim.stochastic import BackHoppingMTJ, SuperparamagneticMTJ, SwitchingMTJ
from eventsim.synapse import largest_level, to_levels
from eventsim.variation import LogNormal, Normal, Variation

__all__ = [
    "IF",
    "LIF",
    "MTJ",
    "BackHoppingMTJ",
    "Devices",
    "DomainWall",
    "Events",
    "InputError",
    "LogNormal",
    "MTJSynapse",
    "Network",
    "Neuron",
    "Normal",
    "Oscillator",
    "Population",
    "Projection",
    "Readout",
    "Recording",
    "Source",
    "SuperparamagneticMTJ",
    "SwitchingMTJ",
    "TaperedDomainWall",
    "Variation",
    "drive_coefficient",
    "drive_velocity",
    "energy",
    "largest_level",
    "program",
    "respond",
    "simulate",
    "to_levels",
]
__version__ = "0.1.0"

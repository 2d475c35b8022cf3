"""eventsim: spiking networks of magnetic tunnel junctions on an ordinary CPU.

The names here describe devices and networks and run them; :mod:`eventsim.training` trains them.
"""

from eventsim.conductance import MTJSynapse
from eventsim.connection import Convolution, Dense, OneToOne, pooling
from eventsim.crossbar import program
from eventsim.device import Devices, Neuron
from eventsim.energy import energy
from eventsim.errors import InputError
from eventsim.events import Events
from eventsim.material import drive_coefficient, drive_velocity
from eventsim.models import IF, LIF, MTJ, DomainWall, Oscillator, TaperedDomainWall
from eventsim.network import Network, Projection
from eventsim.population import Generator, Population, Readout, Relay, Source
from eventsim.recorder import read_recording
from eventsim.recording import Record, Recording
from eventsim.response import respond
from eventsim.simulate import simulate
from eventsim.sparse import Bernoulli, FixedFanIn, FixedFanOut, Levels, Pairs
from eventsim.state import NetworkState
from eventsim.stochastic import BackHoppingMTJ, SuperparamagneticMTJ, SwitchingMTJ
from eventsim.stream import EventFile, EventWriter, write_events
from eventsim.synapse import largest_level, to_levels
from eventsim.variation import LogNormal, Normal, Variation

__all__ = [
    "IF",
    "LIF",
    "MTJ",
    "BackHoppingMTJ",
    "Bernoulli",
    "Convolution",
    "Dense",
    "Devices",
    "DomainWall",
    "EventFile",
    "EventWriter",
    "Events",
    "FixedFanIn",
    "FixedFanOut",
    "Generator",
    "InputError",
    "Levels",
    "LogNormal",
    "MTJSynapse",
    "Network",
    "NetworkState",
    "Neuron",
    "Normal",
    "OneToOne",
    "Oscillator",
    "Pairs",
    "Population",
    "Projection",
    "Readout",
    "Record",
    "Recording",
    "Relay",
    "Source",
    "SuperparamagneticMTJ",
    "SwitchingMTJ",
    "TaperedDomainWall",
    "Variation",
    "drive_coefficient",
    "drive_velocity",
    "energy",
    "largest_level",
    "pooling",
    "program",
    "read_recording",
    "respond",
    "simulate",
    "to_levels",
    "write_events",
]
__version__ = "0.1.0"

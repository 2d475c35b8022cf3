"""eventsim: spiking networks of magnetic tunnel junctions on an ordinary CPU.

The names here describe devices and networks and run them; :mod:`eventsim.training` trains them.
"""

from eventsim.device import MTJ, Devices, Variation
from eventsim.energy import energy
from eventsim.errors import InputError
from eventsim.events import Events
from eventsim.network import Network, Population, Projection, Readout, Source
from eventsim.recording import Recording
from eventsim.simulate import simulate
from eventsim.synapse import largest_level, to_levels

__all__ = [
    "MTJ",
    "Devices",
    "Events",
    "InputError",
    "Network",
    "Population",
    "Projection",
    "Readout",
    "Recording",
    "Source",
    "Variation",
    "energy",
    "largest_level",
    "simulate",
    "to_levels",
]
__version__ = "0.1.0"

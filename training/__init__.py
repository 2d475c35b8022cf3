"""Training: data, teachers and their cache, students of MTJ neurons, and the way from one to the other."""

from eventsim.training.builders import mtj_mlp, relu_mlp
from eventsim.training.data import Dataset, load
from eventsim.training.encode import Direct, GaussianThreshold
from eventsim.training.fit import Fitted, fit
from eventsim.training.gradient import gradient
from eventsim.training.loss import Objective
from eventsim.training.model import Model
from eventsim.training.monitor import Epoch, FiringWarning
from eventsim.training.network import to_network
from eventsim.training.optim import SGD, Adam, AdamW
from eventsim.training.plan import FitConfig
from eventsim.training.predict import accuracy, predict
from eventsim.training.teacher import TeacherCache

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "Dataset",
    "Direct",
    "Epoch",
    "FiringWarning",
    "FitConfig",
    "Fitted",
    "GaussianThreshold",
    "Model",
    "Objective",
    "TeacherCache",
    "accuracy",
    "fit",
    "gradient",
    "load",
    "mtj_mlp",
    "predict",
    "relu_mlp",
    "to_network",
]

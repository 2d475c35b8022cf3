"""Training: data, teachers and their cache, students of MTJ neurons, and the way from one to the other."""

from eventsim.training.builders import mlp, mtj_mlp, relu_mlp, weights
from eventsim.training.convnets import five_conv_1d, six_conv, two_conv, vgg11
from eventsim.training.data import Dataset, load
from eventsim.training.encode import Direct, GaussianThreshold
from eventsim.training.feature_objective import FeatureDistance, PartialL2
from eventsim.training.fit import Fitted, fit
from eventsim.training.front import cut
from eventsim.training.gradient import gradient
from eventsim.training.label_objective import CrossEntropy, SquaredError
from eventsim.training.model import Head, Model
from eventsim.training.monitor import Epoch, FiringWarning
from eventsim.training.network import to_events, to_network
from eventsim.training.objective import Objective
from eventsim.training.optim import SGD, Adam, AdamW
from eventsim.training.plan import FitConfig
from eventsim.training.predict import accuracy, predict
from eventsim.training.resnets import resnet18, resnet19, wide_resnet16
from eventsim.training.soft_objective import SoftTargets
from eventsim.training.taught import Taught
from eventsim.training.teacher import TeacherCache

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "CrossEntropy",
    "Dataset",
    "Direct",
    "Epoch",
    "FeatureDistance",
    "FiringWarning",
    "FitConfig",
    "Fitted",
    "GaussianThreshold",
    "Head",
    "Model",
    "Objective",
    "PartialL2",
    "SoftTargets",
    "SquaredError",
    "Taught",
    "TeacherCache",
    "accuracy",
    "cut",
    "fit",
    "five_conv_1d",
    "gradient",
    "load",
    "mlp",
    "mtj_mlp",
    "predict",
    "relu_mlp",
    "resnet18",
    "resnet19",
    "six_conv",
    "to_events",
    "to_network",
    "two_conv",
    "vgg11",
    "weights",
    "wide_resnet16",
]

"""Training: data, teachers and their cache, students of MTJ neurons, and the way from one to the other."""

from eventsim.training.arrays import from_arrays
from eventsim.training.branches import branches, regressor, stage_ends, with_heads
from eventsim.training.builders import mlp, mtj_mlp, relu_mlp, weights
from eventsim.training.cache import TeacherCache
from eventsim.training.cachewriter import cached
from eventsim.training.convnets import five_conv_1d, six_conv, two_conv, vgg11
from eventsim.training.data import load
from eventsim.training.dataset import Dataset
from eventsim.training.delta import SigmaDelta
from eventsim.training.encode import Direct, GaussianThreshold
from eventsim.training.feature_objective import FeatureDistance, PartialL2
from eventsim.training.fit import Fitted, fit
from eventsim.training.form import Form
from eventsim.training.frames import Frames
from eventsim.training.front import cut
from eventsim.training.gradient import gradient
from eventsim.training.heads_objective import SelfDistillation, TemporalEfficient, TemporalSelfDistillation
from eventsim.training.label_objective import BrierScore, CrossEntropy, SquaredError
from eventsim.training.latency import Latency
from eventsim.training.lessons import Online
from eventsim.training.logits import LogitsTeacher
from eventsim.training.model import Head, Model
from eventsim.training.monitor import Epoch, FiringWarning
from eventsim.training.network import to_events, to_network
from eventsim.training.objective import Objective
from eventsim.training.onnx_teacher import OnnxTeacher
from eventsim.training.optim import SGD, Adam, AdamW
from eventsim.training.plan import FitConfig
from eventsim.training.predict import accuracy, predict
from eventsim.training.rate import Rate
from eventsim.training.recordings import from_tonic
from eventsim.training.resnets import resnet18, resnet19, wide_resnet16
from eventsim.training.soft_objective import SoftTargets
from eventsim.training.spike_objective import SlidingL1, SlidingL2, SpikeDistillation, SpikeKL, SpikeL1, SpikeL2
from eventsim.training.taught import Taught
from eventsim.training.teachers import FunctionTeacher, ModelTeacher
from eventsim.training.views import Views

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "BrierScore",
    "CrossEntropy",
    "Dataset",
    "Direct",
    "Epoch",
    "FeatureDistance",
    "FiringWarning",
    "FitConfig",
    "Fitted",
    "Form",
    "Frames",
    "FunctionTeacher",
    "GaussianThreshold",
    "Head",
    "Latency",
    "LogitsTeacher",
    "Model",
    "ModelTeacher",
    "Objective",
    "Online",
    "OnnxTeacher",
    "PartialL2",
    "Rate",
    "SelfDistillation",
    "SigmaDelta",
    "SlidingL1",
    "SlidingL2",
    "SoftTargets",
    "SpikeDistillation",
    "SpikeKL",
    "SpikeL1",
    "SpikeL2",
    "SquaredError",
    "Taught",
    "TeacherCache",
    "TemporalEfficient",
    "TemporalSelfDistillation",
    "Views",
    "accuracy",
    "branches",
    "cached",
    "cut",
    "fit",
    "five_conv_1d",
    "from_arrays",
    "from_tonic",
    "gradient",
    "load",
    "mlp",
    "mtj_mlp",
    "predict",
    "regressor",
    "relu_mlp",
    "resnet18",
    "resnet19",
    "six_conv",
    "stage_ends",
    "to_events",
    "to_network",
    "two_conv",
    "vgg11",
    "weights",
    "wide_resnet16",
    "with_heads",
]

"""Exports a trained network to files that other programs run."""

from .answer_code import answer_code as answer_code
from .c_header import write_c as write_c
from .card import Evidence as Evidence
from .card import Facts as Facts
from .card import Written as Written
from .card import card_of as card_of
from .check import keras_answer as keras_answer
from .check import onnx_answer as onnx_answer
from .check import torch_answer as torch_answer
from .fixed_point import Program as Program
from .hub import HubFacts as HubFacts
from .hub import config_of as config_of
from .hub import dataset_on_hub as dataset_on_hub
from .hub import metadata_block as metadata_block
from .keras_model import write_keras as write_keras
from .onnx_int8 import CALIBRATION_IMAGES as CALIBRATION_IMAGES
from .onnx_int8 import write_onnx_int8 as write_onnx_int8
from .onnx_model import Distance as Distance
from .onnx_model import write_onnx as write_onnx
from .own_module import write_own_torch as write_own_torch
from .picture_code import picture_code as picture_code
from .plain_files import write_safetensors as write_safetensors
from .portable import Portable as Portable
from .torch_module import write_torch as write_torch

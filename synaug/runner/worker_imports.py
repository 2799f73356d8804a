"""Imported once by the local runner's fork server: workers start with the heavy libraries in memory."""

import os

import open_clip
import timm
import torch
from diffusers import DiffusionPipeline, DPMSolverMultistepScheduler, UNet2DConditionModel
from torchvision.transforms import v2
from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer, BertModel, LlamaForCausalLM

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
LOADED = (  # diffusers and transformers import a class when it is first named
    AutoModel,
    AutoModelForCausalLM,
    AutoTokenizer,
    BertModel,
    DiffusionPipeline,
    DPMSolverMultistepScheduler,
    LlamaForCausalLM,
    UNet2DConditionModel,
    open_clip,
    timm,
    v2,
)

"""Imported once by the local runner's fork server, so that workers start with the heavy libraries in memory."""

import os

import diffusers
import open_clip
import timm
import torch
import transformers

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
MODULES = (diffusers, open_clip, timm, torch, transformers)

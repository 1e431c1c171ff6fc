"""
Training over several processes, as torchrun starts them: each takes its share of the streams and carries its streams' states;
gradients are summed before every update, so that all hold the same weights.

    torchrun --standalone --nproc-per-node 2 models/train/train.py --seed 1

The networks have some 35,000 weights: one all-reduce of them all at once, in place of buckets that overlap with the backward pass.
"""

import os
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import distributed


@dataclass(frozen=True)
class Workers:
    """This process among those that train together; alone when `count` is 1."""

    rank: int = 0
    count: int = 1

    @property
    def first(self):
        return self.rank == 0

    def share(self, items):
        """This process's part of what all take together: every `count`-th."""
        return items[self.rank :: self.count]

    def sum_gradients(self, parameters):
        if self.count == 1:
            return
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        distributed.all_reduce(flat)
        for gradient, part in zip(gradients, flat.split([gradient.numel() for gradient in gradients])):
            gradient.copy_(part.view_as(gradient))

    def from_first(self, make):
        """What `make()` gives on the first process, on all of them; the others do not call it."""
        if self.count == 1:
            return make()
        held = [make() if self.first else None]
        distributed.broadcast_object_list(held, src=0)
        return held[0]


@contextmanager
def workers(device):
    """The processes that torchrun has started; one where it has not. gloo on a CPU, NCCL on GPUs."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Workers()
        return
    rank = int(os.environ["RANK"])
    if device.startswith("cuda"):
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    distributed.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    try:
        yield Workers(rank, count)
    finally:
        distributed.destroy_process_group()

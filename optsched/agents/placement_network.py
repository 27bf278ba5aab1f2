"""The policy for tasks: scores of (task, node) pairs, for any number of nodes.

Nodes look at each other in two layers of attention, and each gets a score beside a summary of all.
The score is what is added to earliest finish time: a node that answers twice as late begins with
`GREED` log 2 less, so that a network that has learned nothing acts almost like EFT.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from optsched.agents.attention import NEVER, Attend
from optsched.kernels.views import EFT, NODE_WIDE, TASK_WIDE

WIDTH, LAYERS = 48, 2
GREED = 20.0
WAITING, REJECTING = -6.0, -12.0  # first scores of deferring and of rejecting
_EXISTS = 21  # the column of nodes that is 1 where there is one


class PlacementNetwork(nn.Module):
    """Scores of nodes, of deferring and of rejecting."""

    def __init__(self, width: int = WIDTH, layers: int = LAYERS) -> None:
        super().__init__()
        self.about = nn.Sequential(nn.Linear(TASK_WIDE, width), nn.ReLU(), nn.Linear(width, width))
        self.enter = nn.Linear(NODE_WIDE, width)
        self.looks = nn.ModuleList(Attend(width) for _ in range(layers))
        self.score = nn.Sequential(nn.Linear(3 * width, width), nn.ReLU(), nn.Linear(width, 1))
        self.rest = nn.Sequential(nn.Linear(2 * width, width), nn.ReLU(), nn.Linear(width, 2))
        self.greed = nn.Parameter(torch.tensor(math.log(GREED)))
        for head, bias in ((self.score[-1], [0.0]), (self.rest[-1], [WAITING, REJECTING])):
            nn.init.zeros_(head.weight)  # type: ignore[arg-type]
            with torch.no_grad():
                head.bias.copy_(torch.tensor(bias))  # type: ignore[operator]

    def forward(self, nodes: Tensor, task: Tensor) -> Tensor:
        """(B, N + 2) scores from nodes (B, N, NODE_WIDE) and task (B, TASK_WIDE); nothing masked.

        The last two are those of deferring and rejecting.
        """
        there = nodes[..., _EXISTS]
        bias = (1 - there) * NEVER
        about = self.about(task)
        each = torch.relu(self.enter(nodes) + about.unsqueeze(1))
        for layer in self.looks:
            each = layer(each, each, bias)
        many = there.sum(dim=1, keepdim=True).clamp(min=1.0)
        mean = (each * there.unsqueeze(-1)).sum(dim=1) / many
        whole = torch.cat([mean, about], dim=-1)
        wide = whole.unsqueeze(1).expand(-1, nodes.shape[1], -1)
        score = self.score(torch.cat([each, wide], dim=-1)).squeeze(-1)
        score = score - torch.exp(self.greed) * nodes[..., EFT]
        return torch.cat([score, self.rest(whole)], dim=-1)


def masked(scores: Tensor, mask: Tensor) -> Tensor:
    """Scores of what is allowed; the rest is so low that its probability is 0."""
    return torch.where(mask, scores, torch.full_like(scores, NEVER))

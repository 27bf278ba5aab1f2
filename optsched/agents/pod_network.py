"""The policy for pods that arrive one by one: a set of nodes of any size, and one pointer.

Nodes are encoded one by one with the pod, look at a summary of all (cross attention with inducing
points: Lee et al., Set Transformer, 2019), and each gets a score; leaving the pod pending gets one
too.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from optsched.agents.attention import NEVER, Attend
from optsched.simulate.pod_sight import HOST_WIDE, TASK_WIDE

WIDTH, LATENTS = 48, 4
_FITS, _THERE = 6, 7


class PodNetwork(nn.Module):
    """Scores of nodes and of leaving, and a value."""

    def __init__(self, width: int = WIDTH, latents: int = LATENTS) -> None:
        super().__init__()
        self.context = nn.Sequential(
            nn.Linear(TASK_WIDE, 2 * width), nn.ReLU(), nn.Linear(2 * width, width), nn.ReLU()
        )
        self.host_in, self.host_context = nn.Linear(HOST_WIDE, width), nn.Linear(width, width)
        self.host_deep = nn.Linear(width, width)
        self.latents = nn.Parameter(torch.randn(latents, width) * 0.5)
        self.latent_context = nn.Linear(width, width)
        self.gather, self.look = Attend(width), Attend(width)
        self.score = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1))
        self.leave, self.worth = (
            nn.Sequential(
                nn.Linear(3 * width, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(),
                nn.Linear(width, 1),
            )
            for _ in range(2)
        )  # fmt: skip

    def forward(self, hosts: Tensor, task: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of nodes (B, H), of leaving (B, 1), and the value (B,).

        Parameters
        ----------
        hosts, task
            (B, H, HOST_WIDE) and (B, TASK_WIDE); rows of zeros are padding.
        """
        about = self.context(task)
        here = about.unsqueeze(1)
        host = torch.relu(self.host_in(hosts) + self.host_context(here))
        host = host + torch.relu(self.host_deep(host))
        absent = (1 - hosts[..., _THERE]) * NEVER
        summary = self.gather(self.latents + self.latent_context(here), host, absent)
        scores = self.score(self.look(host, summary)).squeeze(-1)
        # The best node that fits decides whether leaving is better.
        unfit = (1 - hosts[..., _FITS]) * NEVER
        best = torch.softmax(scores + unfit, dim=1).unsqueeze(1) @ host
        known = torch.cat([about, summary.mean(dim=1), best.squeeze(1)], dim=-1)
        # What the value needs to learn at first must not disturb what was cloned.
        return scores, self.leave(known), self.worth(known.detach()).squeeze(1)

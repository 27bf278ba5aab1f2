"""Attention over sets of any size, for the networks of all agents."""

from __future__ import annotations

import torch
from torch import Tensor, nn

NEVER = -1e8  # finite: a softmax over nothing but masked entries is then still a number


class Attend(nn.Module):
    """One head of attention with a residual and a hidden layer."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query, self.key = nn.Linear(width, width), nn.Linear(width, width)
        self.value, self.out = nn.Linear(width, width), nn.Linear(2 * width, width)
        self.scale = width**-0.5

    def forward(self, asking: Tensor, asked: Tensor, bias: Tensor | None = None) -> Tensor:
        """(B, Q, d) from queries (B, Q, d), tokens (B, T, d) and their biases (B, T)."""
        scores = self.query(asking) @ self.key(asked).transpose(1, 2) * self.scale
        if bias is not None:
            scores = scores + bias.unsqueeze(1)
        seen = torch.softmax(scores, dim=-1) @ self.value(asked)
        return asking + torch.relu(self.out(torch.cat([asking, seen], dim=-1)))

"""The policy for migrations: a set of items and a set of cells, of any size, in two pointers.

Cells are encoded one by one and summed up by a few learned queries (cross attention with inducing
points: Lee et al., Set Transformer, 2019). Groups of items look at that summary, and each gets a
score; then, once an item is chosen, each cell gets one. Nothing depends on how many there are or in
which order they come.

Equal rows may be given once, with the logarithm of their number as bias: attention weighs them so
that the answer is the same, which is where most of the speed comes from.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from optsched.agents.attention import Attend
from optsched.kernels.layout import BINS, CELL_WIDE, CHOSEN_AT, GROUP_WIDE, TASK_WIDE

WIDTH, LATENTS = 48, 8
_STEP = BINS - 1


def hats(values: Tensor, low: float, high: float) -> Tensor:
    """(..., n) soft one-hot codes of values, one hat per sixteenth of a block."""
    count = round((high - low) * _STEP) + 1
    at = torch.arange(count, dtype=values.dtype, device=values.device)
    return torch.relu(1 - ((values.unsqueeze(-1) - low) * _STEP - at).abs())


def _coded(table: Tensor, spans: dict[int, float]) -> Tensor:
    """The columns of a table, and the hats of some that reach from 0 to so many blocks."""
    parts = [table]
    for column, span in spans.items():
        parts.append(hats(table[..., column] * span, 0.0, span))
    return torch.cat(parts, dim=-1)


def _coded_width(wide: int, spans: dict[int, float]) -> int:
    return wide + sum(round(span * _STEP) + 1 for span in spans.values())


# Columns, see `kernels.layout`, and how many blocks a value of 1 is.
CELL_SPANS = {0: 1.0, 2: 2.0, 3: 1.0, 5: 1.0, 9: 1.0, 10: 1.0}
GROUP_SPANS = {0: 2.0, 1: 1.0, 2: 1.0, 5: 1.0, 6: 1.0, 10: 1.0}
TASK_SPANS = {CHOSEN_AT: 2.0, CHOSEN_AT + 1: 1.0, CHOSEN_AT + 2: 1.0, CHOSEN_AT + 5: 1.0}
_REST, _ROOM, _TWIN = 0, 2, 5
_UNITS, _WIDE = CHOSEN_AT, CHOSEN_AT + 4  # of the chosen group, in the table of the task


class MigrationNetwork(nn.Module):
    """Scores of groups, of the stop and of cells, and a value; for sets of any size."""

    def __init__(self, width: int = WIDTH, latents: int = LATENTS) -> None:
        super().__init__()
        self.width = width
        self.context = nn.Sequential(
            nn.Linear(_coded_width(TASK_WIDE, TASK_SPANS), 2 * width),
            nn.ReLU(),
            nn.Linear(2 * width, width),
            nn.ReLU(),
        )
        self.cell_in = nn.Linear(_coded_width(CELL_WIDE, CELL_SPANS), width)
        self.cell_context, self.group_context = nn.Linear(width, width), nn.Linear(width, width)
        self.cell_deep = nn.Linear(width, width)
        self.group_in = nn.Linear(_coded_width(GROUP_WIDE, GROUP_SPANS), width)
        self.latents = nn.Parameter(torch.randn(latents, width) * 0.5)
        self.latent_context = nn.Linear(width, width)
        self.gather, self.groups_look = Attend(width), Attend(width)
        self.cells_look = Attend(width)
        self.group_score = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1))
        self.fit = nn.Linear(2 * (3 * _STEP + 1) + 4 * _STEP + 1 + 1, width)
        self.fit_cell, self.fit_context = nn.Linear(width, width), nn.Linear(width, width)
        self.cell_score = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1))
        # Coefficients that are not learned by descent, see `agents.tilting`.
        self.group_tilt: Tensor
        self.cell_tilt: Tensor
        self.register_buffer("group_tilt", torch.zeros(GROUP_WIDE))
        self.register_buffer("cell_tilt", torch.zeros(CELL_WIDE))
        self.whole = nn.Sequential(nn.Linear(2 * width, width), nn.ReLU(), nn.Linear(width, 2))

    def forward(
        self, cells: Tensor, bias: Tensor, groups: Tensor, task: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Scores.

        Parameters
        ----------
        cells, bias
            (B, C, CELL_WIDE), and (B, C): the logarithm of how often a row is meant, `NEVER` for
            padding.
        groups
            (B, G, GROUP_WIDE); padding gets scores too, which nobody reads.
        task
            (B, TASK_WIDE).

        Returns
        -------
        Of groups (B, G), of the stop (B, 1), of cells given the chosen group (B, C), value (B,).
        """
        about = self.context(_coded(task, TASK_SPANS))
        here = about.unsqueeze(1)
        cell = torch.relu(self.cell_in(_coded(cells, CELL_SPANS)) + self.cell_context(here))
        cell = cell + torch.relu(self.cell_deep(cell))
        summary = self.gather(self.latents + self.latent_context(here), cell, bias)

        group = torch.relu(self.group_in(_coded(groups, GROUP_SPANS)) + self.group_context(here))
        group_score = self.group_score(self.groups_look(group, summary)).squeeze(-1)
        group_score = group_score + groups @ self.group_tilt

        if torch.onnx.is_in_onnx_export() or bool((task[:, 0] > 0).any()):
            cell_score = self._cells(cells, cell, task, here, summary)
        else:  # in the first phase nobody reads them, and they are half of the work
            cell_score = torch.zeros_like(bias)
        known = torch.cat([about, summary.mean(dim=1)], dim=-1)
        # What the value needs to learn at first must not disturb what was cloned.
        stop, worth = self.whole(known)[:, :1], self.whole(known.detach())[:, 1]
        return group_score, stop, cell_score, worth

    def _cells(
        self, cells: Tensor, cell: Tensor, task: Tensor, here: Tensor, summary: Tensor
    ) -> Tensor:
        """(B, C) the scores of cells given the chosen group."""
        units, wide = 2 * task[:, _UNITS, None], task[:, _WIDE, None, None]
        fit = torch.cat(
            [
                hats(cells[..., _REST] - units, -2.0, 1.0),
                hats(cells[..., _TWIN] - units, -2.0, 1.0) * wide,
                hats(2 * cells[..., _ROOM] - units, -2.0, 2.0),
                wide.expand(-1, cells.shape[1], 1),
            ],
            dim=-1,
        )
        entry = torch.relu(self.fit(fit) + self.fit_cell(cell) + self.fit_context(here))
        scores = self.cell_score(self.cells_look(entry, summary)).squeeze(-1)
        tilted: Tensor = scores + cells @ self.cell_tilt
        return tilted

"""The published schemas of the documents: `python -m optsched.cli.documents.schema`."""

from __future__ import annotations

import msgspec

from optsched.snapshot.schema import publish

from .answers import Check, Comparison, Curve, Evaluation, Explanation
from .service import Examination, SimulationDocument
from .tasks import OnlineDocument, OutcomeDocument

DOCUMENTS: dict[str, type[msgspec.Struct]] = {
    "check": Check,
    "comparison": Comparison,
    "curve": Curve,
    "evaluation": Evaluation,
    "examination": Examination,
    "explanation": Explanation,
    "online": OnlineDocument,
    "outcome": OutcomeDocument,
    "simulation": SimulationDocument,
}

if __name__ == "__main__":
    publish(DOCUMENTS)

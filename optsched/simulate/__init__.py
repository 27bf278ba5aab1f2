"""What happens when plans are carried out: replay of moves, one after another."""

from .replay import Replay, replay

__all__ = ["Replay", "replay"]

"""What happens when plans are carried out: replay of moves, and tasks that arrive over time."""

from .online import Online, Played
from .replay import Replay, replay
from .rolling import Window, roll
from .worlds import Knobs, World

__all__ = ["Knobs", "Online", "Played", "Replay", "Window", "World", "replay", "roll"]

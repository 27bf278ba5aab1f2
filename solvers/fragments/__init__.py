"""Fewest fragments with few moves, proven: exchanges of classes of items, priced exactly."""

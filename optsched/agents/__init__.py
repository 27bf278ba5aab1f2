"""Agents: networks, cloning of solvers, training, evaluation and export. The only room with torch.

What runs an agent afterwards is `solvers.policy`, which needs onnxruntime and no torch.
"""

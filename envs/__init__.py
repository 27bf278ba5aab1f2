"""Gymnasium environments over the problems of optsched."""

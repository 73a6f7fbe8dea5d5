"""Recognize neurons that a module computes in its own code."""

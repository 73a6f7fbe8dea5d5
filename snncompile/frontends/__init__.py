"""One folder per source: torch modules, NIR files, lava-dl's .net files.

In: a model of somebody else. Out: a float network that spikes like it, or a refusal by name.
"""

"""One folder per source: torch modules, NIR files, lava-dl's .net files.

In: a model of another library. Out: a float network with the same spikes, or a refusal by name.
"""

"""The sweep: a study of models, chips and options, searched by as many processes as there are.

In: a study file, networks and npz files. Out: a folder of results, one per trial, and its front.
"""

"""Place: cores on chips and on the mesh, by measured spike traffic.

In: slices and traffic. Out: a site for every core.
"""

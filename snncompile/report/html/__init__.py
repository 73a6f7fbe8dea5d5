"""The report: one HTML file that answers what a network costs on a chip, and why.

In: Programs and their input. Out: the text of one HTML file that needs nothing else.
"""

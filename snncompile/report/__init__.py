"""Tables for the command line.

In: a Program, an estimate, a trial. Out: tables of rich and plain values.
"""

"""The command line, one file per group of commands; the only place that prints.

In: arguments. Out: tables or JSON, exit code 1 on a mistake.
"""

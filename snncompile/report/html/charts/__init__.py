"""Charts of the report, one file per question: a sentence, a picture, its numbers.

In: the facts of one Program. Out: charts.
"""

"""The Moré–Wild suite: 53 least-squares problems in four settings, and who solves them.

python -m benchmarks.dfo          # everything: a record, tables and pictures
python -m benchmarks.dfo tune     # how the step sizes were chosen, on problems outside the suite
"""

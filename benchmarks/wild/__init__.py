"""Public Functions of other packages, and what is to be said of each: `benchmarks/in_the_wild.py`."""

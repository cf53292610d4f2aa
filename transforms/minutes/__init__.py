"""Sums by the minute, exact and in any order; what `Summarize` is wired of."""

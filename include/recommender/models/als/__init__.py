"""Alternating least squares: training by two solvers, and scores from a history."""

"""Linear mixed models with crossed, nested and singular random effects."""

__version__ = "0.1.0"

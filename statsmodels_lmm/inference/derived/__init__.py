"""Functions of the parameters, with intervals."""

"""Warnings that batches repeat, issued once."""

import warnings
from contextlib import contextmanager

from statsmodels_lmm.exceptions import warn


class ToldOnce:
    """Warnings issued so far."""

    def __init__(self):
        self._told = set()

    @contextmanager
    def listening(self):
        """Pass on warnings issued within, each once in the life of this object."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield
        for each in caught:
            self.tell(str(each.message), each.category)

    def tell(self, message, category):
        """
        Issue a warning unless it has been issued.

        Parameters
        ----------
        message : str
            What happened.
        category : type
            Class of the warning.
        """
        if message not in self._told:
            self._told.add(message)
            warn(message, category)

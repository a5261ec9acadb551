"""Description and loader of an example data set."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import as_file, files

from pandas import read_csv
from statsmodels.datasets.utils import Dataset, process_pandas


def _natural(level):
    return (int(level) if level.isdigit() else 0, level)


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class ExampleData:
    """
    An example data set with the interface of a statsmodels data module.

    Parameters
    ----------
    file : str
        Name of the CSV file in the ``data`` folder.
    endog : str
        Name of the response.
    factors : tuple of str
        Names of the categorical columns.
    n_obs : int
        Number of rows.
    variables : mapping of str to str
        Meaning and unit of each column, in the order of the file.
    TITLE, SOURCE, DESCRSHORT, DESCRLONG : str
        Title, original publication, short and long description.
    COPYRIGHT : str, optional
        Statement on the rights to the data.
    levels : mapping of str to str, optional
        Levels, separated by blanks, of the factors whose levels are in neither
        numerical nor alphabetical order.
    ordered : tuple of str, optional
        Names of the ordered factors.
    """

    file: str
    endog: str
    factors: tuple[str, ...]
    n_obs: int
    variables: Mapping[str, str]
    TITLE: str
    SOURCE: str
    DESCRSHORT: str
    DESCRLONG: str
    COPYRIGHT: str = "Published measurements. No copyright is claimed for the data."
    levels: Mapping[str, str] = field(default_factory=dict)
    ordered: tuple[str, ...] = ()

    def __repr__(self):
        """Return the title."""
        return f"<{type(self).__name__}: {self.TITLE}>"

    @property
    def NOTE(self) -> str:
        """Number of rows and definitions of the variables."""
        width = max(map(len, self.variables))
        rows = (f"        {k:<{width}} - {v}\n" for k, v in self.variables.items())
        return (
            "::\n\n"
            f"    Number of observations - {self.n_obs}\n"
            f"    Number of variables - {len(self.variables)}\n"
            "    Variable name definitions::\n\n" + "".join(rows)
        )

    def load(self) -> Dataset:
        """
        Load the data; the same as `load_pandas`.

        Returns
        -------
        Dataset
            See `load_pandas`.
        """
        return self.load_pandas()

    def load_pandas(self) -> Dataset:
        """
        Load the data.

        Returns
        -------
        Dataset
            A statsmodels `Dataset` with ``data``, ``names``, ``endog``,
            ``exog``, ``endog_name`` and ``exog_name``. Factors are categorical,
            with their levels in R's order; other columns are float.
        """
        dtype: defaultdict = defaultdict(lambda: float)
        dtype.update(dict.fromkeys(self.factors, "category"))
        with as_file(files(__package__) / "data" / self.file) as path:
            data = read_csv(path, dtype=dtype)
        for name in self.factors:
            # pandas may have read labels such as "308" as numbers
            factor = data[name].cat.rename_categories(str).cat
            levels = self.levels.get(name, "").split()
            data[name] = factor.reorder_categories(
                levels or sorted(factor.categories, key=_natural),
                ordered=name in self.ordered,
            )
        return process_pandas(data, endog_idx=data.columns.get_loc(self.endog))

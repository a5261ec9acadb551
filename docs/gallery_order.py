"""The order of the examples: whole analyses, single questions, planning, machinery."""

STORIES = """
priming rice lambs chicks seeds trial growth
split_plot subjects_items repeated_measures insteval kinship scan many_snps
contraception ticks blog_comments intervals genes
power power_logistic
dask
""".split()


def place(filename):
    """
    The place of an example in the gallery.

    Parameters
    ----------
    filename : str
        Such as "plot_rice.py".

    Returns
    -------
    int
    """
    return STORIES.index(filename.removeprefix("plot_").removesuffix(".py"))

"""Independent pieces of work in one or several processes, with a progress bar."""

import sys
import warnings
from contextlib import contextmanager, nullcontext
from importlib import import_module
from threading import Lock
from time import perf_counter
from typing import Any

import numpy as np

EXTRA = "install it with: pip install 'statsmodels_lmm[parallel]'"

DELAY = 2.0
"""Seconds after which a progress bar appears by default."""

START = 3.0
"""Seconds that other processes take to start and to import the package."""

TURN = 5.0
"""Seconds of work that another process is given at once."""


class _Silent:
    """A progress bar that shows nothing."""

    def update(self, count):
        """Do nothing."""

    def close(self):
        """Do nothing."""


def run(function, pieces, n_jobs=None, progress=None, parallel=False, keep=None):
    """
    Call a function on every piece of work.

    Parameters
    ----------
    function : callable
        Called with one piece; must be picklable if processes are used.
    pieces : list of list
        Pieces of work.
    n_jobs : int, optional
        Number of workers, as in joblib. Default is that of ``joblib.parallel_config``
        or, if not configured, all processors if `parallel` and otherwise one.
    progress : bool, optional
        Whether to show a progress bar. Default is to show one after two seconds on
        a terminal, if tqdm is installed.
    parallel : {False, "threads", "processes", "if it pays"}, optional
        Whether a piece is worth a thread or a process, or whether processes are
        started once the pieces that remain take longer than that, judged by those
        done. What the user has configured takes precedence.
    keep : callable, optional
        Called with each result, in order, to store less of it than all.

    Returns
    -------
    done : list
        Results of the function, in order, or what `keep` returns of them.
    interrupted : bool
        Whether the user interrupted the work, in which case `done` is incomplete.

    Raises
    ------
    ImportError
        If joblib or tqdm is requested but not installed.
    KeyboardInterrupt
        If the work was interrupted before any piece was done.
    """
    done: list = []
    interrupted = False
    bar = progress_bar(sum(map(len, pieces)), progress)
    try:
        # threads of this process cannot limit BLAS themselves
        with one_thread:
            for values in _results(function, pieces, n_jobs, parallel):
                done.append(values if keep is None else keep(values))
                bar.update(len(pieces[len(done) - 1]))
    except KeyboardInterrupt:
        if not done:
            raise
        interrupted = True
    finally:
        bar.close()
    return done, interrupted


def _results(function, pieces, n_jobs, parallel):
    """Results of the function, as they become available."""
    joblib = _optional("joblib", needed=n_jobs not in (None, 1))
    if n_jobs is None and parallel == "if it pays" and not _is_configured(joblib):
        yield from _if_it_pays(function, pieces, joblib)
        return
    if n_jobs is None:
        several = parallel and len(pieces) > 1
        n_jobs = _configured(joblib, "n_jobs") or (-1 if several else 1)
    if joblib is None or n_jobs == 1:
        yield from map(_OneThread(function), pieces)
        return
    yield from _by_workers(function, pieces, joblib, n_jobs, parallel)


def _by_workers(function, pieces, joblib, n_jobs, parallel):
    """Results of joblib's workers."""
    prefer = "threads" if parallel == "threads" else None
    backend, _ = joblib.parallel.get_active_backend(prefer=prefer)
    lazily = getattr(backend, "supports_return_generator", False)
    how = "generator" if lazily else "list"
    workers = joblib.Parallel(n_jobs=n_jobs, return_as=how, prefer=prefer)
    yield from workers(joblib.delayed(_OneThread(function))(p) for p in pieces)


def _if_it_pays(function, pieces, joblib):
    """Results of this process, and of others if what remains is worth their start."""
    workers = 1 if joblib is None else joblib.cpu_count()
    here, each = _OneThread(function), np.inf
    for done, piece in enumerate(pieces):
        rest = pieces[done:]
        if done and len(rest) * each * (1.0 - 1.0 / workers) > START:
            size = min(int(TURN / each), len(rest) // (4 * workers))
            size = max(size, 1)
            turns = [rest[i : i + size] for i in range(0, len(rest), size)]
            several = _Several(function)
            for values in _by_workers(several, turns, joblib, -1, "processes"):
                yield from values
            return
        start = perf_counter()
        result = here(piece)
        each = min(each, perf_counter() - start)
        yield result


def _is_configured(joblib):
    """Whether the user has configured a number or kind of workers."""
    return any(_configured(joblib, name) is not None for name in ("n_jobs", "backend"))


def _configured(joblib, name):
    """What the user has configured joblib to, None if nothing."""
    if joblib is None:
        return None
    unset = joblib.parallel.default_parallel_config
    # `get_active_backend` does not distinguish one worker from no configuration
    config = getattr(joblib.parallel._backend, "config", unset)
    value = config.get(name, unset[name])
    return None if value is unset[name] else value


class _Shared:
    """A context shared by threads, entered by the first and left by the last."""

    def __init__(self, make):
        self.make, self.count, self.lock = make, 0, Lock()
        self.context: Any = None

    def __enter__(self):
        with self.lock:
            if not self.count:
                self.context = self.make()
                self.context.__enter__()
            self.count += 1

    def __exit__(self, *error):
        with self.lock:
            self.count -= 1
            if not self.count:
                self.context.__exit__(*error)


def _one_thread_of_blas():
    limits = _optional("threadpoolctl")
    return nullcontext() if limits is None else limits.threadpool_limits(1)


@contextmanager
def _without_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


one_thread = _Shared(_one_thread_of_blas)
"""Limits BLAS to one thread, as in every worker, so that digits agree."""

quiet = _Shared(_without_warnings)
"""Suppresses warnings."""


class _OneThread:
    """A function, called with a single BLAS thread."""

    def __init__(self, function):
        self.function = function

    def __call__(self, piece):
        with one_thread:
            return self.function(piece)


class _Several:
    """A function, called with several pieces, which share what it has prepared."""

    def __init__(self, function):
        self.function = function

    def __call__(self, pieces):
        return [self.function(piece) for piece in pieces]


def progress_bar(total, progress, unit="fit", title=None):
    """
    A progress bar, or something silent in its place.

    Parameters
    ----------
    total : int or None
        Number of units of work, None if unknown.
    progress : bool or None
        Whether to show it; None to show it after two seconds on a terminal, if tqdm is
        installed.
    unit : str, optional
        What is counted.
    title : str, optional
        What is done.

    Returns
    -------
    object
        With the methods update and close.
    """
    if progress is False or (progress is None and not sys.stderr.isatty()):
        return _Silent()
    tqdm = _optional("tqdm", needed=bool(progress))
    if tqdm is None:
        return _Silent()
    shown = {} if title is None else {"desc": title, "unit_scale": True}
    delay = 0.0 if progress else DELAY
    return tqdm.tqdm(total=total, delay=delay, unit=unit, **shown)


def _optional(name, needed=False):
    """A module, or None if it is not installed."""
    try:
        return import_module(name)
    except ImportError:
        if needed:
            raise ImportError(f"{name} is needed; {EXTRA}") from None
        return None

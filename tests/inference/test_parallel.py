"""Pieces of work in order, whatever does them; interrupts and progress bars."""

import importlib
import os
import sys
import threading
import time

import joblib
import pytest

from statsmodels_lmm.inference import parallel
from statsmodels_lmm.inference.parallel import run

PIECES = [[1, 2, 3], [4, 5], [6], [7, 8, 9, 10]]


def total(piece):
    return sum(piece)


def process(piece):
    time.sleep(0.01)
    return os.getpid()


def thread(piece):
    time.sleep(0.01)
    return threading.get_ident()


def unequal(piece):
    """Later pieces are done earlier."""
    time.sleep(0.02 / sum(piece))
    return piece


def without(monkeypatch, *names):
    """As if some packages were not installed."""
    real = importlib.import_module

    def refuse(name, *args):
        if name in names:
            raise ImportError(f"No module named {name}")
        return real(name, *args)

    monkeypatch.setattr(parallel, "import_module", refuse)


class Joblib:
    """The arguments of every `joblib.Parallel`."""

    def __init__(self, monkeypatch):
        self.asked = []
        real = joblib.Parallel

        def record(*args, **kwargs):
            self.asked.append(kwargs.get("n_jobs"))
            return real(*args, **{**kwargs, "n_jobs": 1})

        monkeypatch.setattr(joblib, "Parallel", record)


# who does it ---------------------------------------------------------------


@pytest.mark.parametrize("n_jobs", [None, 1, 2])
def test_results_are_in_order(n_jobs):
    done, interrupted = run(total, PIECES, n_jobs)
    assert done == [6, 9, 6, 34]
    assert interrupted is False


@pytest.mark.parametrize("backend", ["loky", "threading", "multiprocessing"])
def test_order_under_any_backend(backend):
    with joblib.parallel_config(backend=backend):
        done, _ = run(unequal, PIECES, n_jobs=2)
    assert done == PIECES


def test_no_pieces():
    assert run(total, []) == ([], False)
    assert run(total, [], n_jobs=2) == ([], False)


def test_one_worker_is_this_process():
    pieces = [[i] for i in range(4)]
    assert set(run(process, pieces, n_jobs=1)[0]) == {os.getpid()}
    assert set(run(process, pieces, n_jobs=1, parallel="processes")[0]) == {os.getpid()}
    assert set(run(process, pieces)[0]) == {os.getpid()}


def test_two_workers_are_other_processes():
    found = set(run(process, [[i] for i in range(6)], n_jobs=2)[0])
    assert os.getpid() not in found


def test_threads():
    pieces = [[i] for i in range(6)]
    with joblib.parallel_config(backend="threading"):
        assert set(run(process, pieces, n_jobs=2)[0]) == {os.getpid()}
        found = set(run(thread, pieces, n_jobs=2)[0])
    assert threading.get_ident() not in found


def test_what_joblib_is_configured_to():
    """Without `n_jobs` the user's configuration counts, for small work, too."""
    pieces = [[i] for i in range(6)]
    with joblib.parallel_config(n_jobs=2):
        assert os.getpid() not in set(run(process, pieces)[0])
    with joblib.parallel_config(backend="threading", n_jobs=2):
        assert threading.get_ident() not in set(run(thread, pieces)[0])


def test_one_worker_by_configuration():
    """One who configures a single worker gets it."""
    with joblib.parallel_config(n_jobs=1):
        found = run(process, [[1], [2]], parallel="processes")[0]
    assert set(found) == {os.getpid()}


def test_large_work_is_for_all_processors(monkeypatch):
    record = Joblib(monkeypatch)
    assert run(total, PIECES, parallel="processes")[0] == [6, 9, 6, 34]
    assert record.asked == [-1]


class Clock:
    """A clock by which every piece takes as long as it says."""

    def __init__(self, monkeypatch, seconds):
        self.now, self.seconds = 0.0, iter(seconds)
        monkeypatch.setattr(parallel, "perf_counter", lambda: self.now)

    def __call__(self, piece):
        self.now += next(self.seconds, 0.0)
        return sum(piece)


@pytest.mark.parametrize(
    ("seconds", "here"),
    [
        ([0.2] * 20, 20),  # the others would save 1.9 seconds
        ([0.4] * 20, 1),  # 3.8 seconds
        ([9.0, *[0.1] * 19], 1),  # nothing better is known after the first
        ([0.0, *[0.4] * 19], 20),  # the shortest counts
    ],
)
def test_processes_start_when_they_pay(monkeypatch, seconds, here):
    record, pieces = Joblib(monkeypatch), [[i] for i in range(20)]
    monkeypatch.setattr(joblib, "cpu_count", lambda: 2)
    done_here = []

    def count(piece):
        done_here.append(len(record.asked) == 0)
        return clock(piece)

    clock = Clock(monkeypatch, seconds)
    done, _ = run(count, pieces, parallel="if it pays")
    assert done == list(range(20))
    assert sum(done_here) == here
    assert record.asked == [-1] * (here < 20)


def test_what_is_configured_goes_before_what_pays(monkeypatch):
    record = Joblib(monkeypatch)
    for settings in ({"n_jobs": 3}, {"backend": "threading"}):
        with joblib.parallel_config(**settings):
            assert run(total, PIECES, parallel="if it pays")[0] == [6, 9, 6, 34]
    assert record.asked == [3, -1]
    monkeypatch.setattr(joblib, "cpu_count", lambda: 1)
    clock = Clock(monkeypatch, [100.0] * 4)
    assert run(clock, PIECES, parallel="if it pays")[0] == [6, 9, 6, 34]
    assert len(record.asked) == 2


def test_an_interrupt_before_processes_start():
    def stops(piece):
        if piece == [6]:
            raise KeyboardInterrupt
        return sum(piece)

    assert run(stops, PIECES, parallel="if it pays") == ([6, 9], True)


def test_small_work_is_done_here(monkeypatch):
    record = Joblib(monkeypatch)
    assert run(total, PIECES, parallel=False)[0] == [6, 9, 6, 34]
    assert set(record.asked) <= {1, None}


def test_large_work_in_the_configured_backend():
    """A backend without a number of workers: all of them, and of that kind."""
    with joblib.parallel_config(backend="threading"):
        found = run(process, [[i] for i in range(4)], parallel="processes")[0]
        assert set(found) == {os.getpid()}
        found = run(thread, [[i] for i in range(8)], parallel="processes")[0]
    if joblib.cpu_count() > 1:
        assert threading.get_ident() not in found


def blas_threads(piece=()):
    """Threads of every BLAS that threadpoolctl knows."""
    threadpoolctl = pytest.importorskip("threadpoolctl")
    info = threadpoolctl.threadpool_info()
    return [i["num_threads"] for i in info if i["user_api"] == "blas"]


@pytest.fixture
def two_threads():
    """BLAS with two threads, where that can be said."""
    threadpoolctl = pytest.importorskip("threadpoolctl")
    with threadpoolctl.threadpool_limits(2):
        if set(blas_threads()) != {2}:
            pytest.skip("BLAS does not let its threads be set")
        yield


def test_one_thread_of_blas(two_threads):
    for n_jobs in (1, 2):
        for found in run(blas_threads, PIECES, n_jobs=n_jobs)[0]:
            assert set(found) == {1}
        assert set(blas_threads()) == {2}


def test_threads_leave_blas_as_it_was(two_threads):
    """Also where one begins before another ends."""

    def threads(piece):
        found = blas_threads()
        time.sleep(0.01 * len(piece))
        return max(found + blas_threads())

    pieces = [[1], [1, 2], [1], [1, 2], [1], [1, 2]]
    with joblib.parallel_config(backend="threading"):
        found = run(threads, pieces, n_jobs=2)[0]
    assert set(blas_threads()) == {2}
    assert set(found) == {1}


def test_without_joblib(monkeypatch):
    without(monkeypatch, "joblib", "threadpoolctl")
    for parallel_ in (False, "processes", "if it pays"):
        assert run(total, PIECES, parallel=parallel_)[0] == [6, 9, 6, 34]
        assert run(total, PIECES, n_jobs=1, parallel=parallel_)[0] == [6, 9, 6, 34]
    for n_jobs in (2, -1):
        with pytest.raises(ImportError, match=r"joblib .*statsmodels_lmm\[parallel\]"):
            run(total, PIECES, n_jobs=n_jobs)


# errors and interrupts -----------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_errors_are_passed_on(n_jobs):
    def fails(piece):
        if piece == [6]:
            raise RuntimeError("six")
        return piece

    with pytest.raises(RuntimeError, match="six"):
        run(fails, PIECES, n_jobs)


@pytest.mark.parametrize("configured", [False, True])
def test_interrupt(configured):
    """What is done by then is there; by joblib's own threads, too."""

    def stops(piece):
        if piece == [6]:
            raise KeyboardInterrupt
        return sum(piece)

    if configured:
        with joblib.parallel_config(backend="threading", n_jobs=1):
            done, interrupted = run(stops, PIECES)
    else:
        done, interrupted = run(stops, PIECES, n_jobs=1)
    assert done == [6, 9]
    assert interrupted is True


def test_interrupt_before_anything_is_done():
    def stops(piece):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(stops, PIECES, n_jobs=1)


# progress ------------------------------------------------------------------


class Bar:
    """A progress bar that counts."""

    made: list = []

    def __init__(self, total, delay=0.0, unit=""):
        self.total, self.delay, self.counts, self.closed = total, delay, [], False
        Bar.made.append(self)

    def update(self, count):
        self.counts.append(count)

    def close(self):
        self.closed = True


@pytest.fixture
def bars(monkeypatch):
    tqdm = pytest.importorskip("tqdm")
    monkeypatch.setattr(tqdm, "tqdm", Bar)
    Bar.made = []
    return Bar.made


class Terminal:
    """A stream that is a terminal or not."""

    def __init__(self, is_terminal):
        self.is_terminal = is_terminal

    def isatty(self):
        return self.is_terminal

    def write(self, text):
        """Nothing."""

    def flush(self):
        """Nothing."""


def test_bar_that_is_asked_for(bars):
    run(total, PIECES, n_jobs=1, progress=True)
    (bar,) = bars
    assert bar.total == 10
    assert bar.counts == [3, 2, 1, 4]
    assert bar.delay == 0.0
    assert bar.closed


def test_bar_of_other_processes(bars):
    run(total, PIECES, n_jobs=2, progress=True)
    assert bars[0].counts == [3, 2, 1, 4]


@pytest.mark.parametrize("progress", [None, False, True])
@pytest.mark.parametrize("terminal", [False, True])
def test_when_there_is_a_bar(bars, progress, terminal, monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal(terminal))
    run(total, PIECES, n_jobs=1, progress=progress)
    shown = progress is True or (progress is None and terminal)
    assert len(bars) == shown
    if progress is None and terminal:
        assert bars[0].delay == parallel.DELAY > 0.0


def test_bar_is_closed_by_an_error(bars):
    def fails(piece):
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        run(fails, PIECES, n_jobs=1, progress=True)
    assert bars[0].closed


def test_bar_without_tqdm(monkeypatch):
    without(monkeypatch, "tqdm")
    with pytest.raises(ImportError, match=r"tqdm .*statsmodels_lmm\[parallel\]"):
        run(total, PIECES, n_jobs=1, progress=True)
    monkeypatch.setattr(sys, "stderr", Terminal(True))
    # none by itself is no error
    assert run(total, PIECES, n_jobs=1)[0] == [6, 9, 6, 34]

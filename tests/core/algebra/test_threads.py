"""The same numbers whatever the number of threads."""

import threading

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse

from statsmodels_lmm.core.algebra import threads
from statsmodels_lmm.core.algebra.threads import by_columns, in_threads, thread_count


def use(monkeypatch, count):
    monkeypatch.setattr(threads, "thread_count", lambda: count)


def test_limits_of_the_environment(monkeypatch):
    for name in threads.LIMITS:
        monkeypatch.delenv(name, raising=False)
    assert thread_count() >= 1
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "5")
    assert thread_count() == 5
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert thread_count() == 3
    monkeypatch.setenv("MKL_NUM_THREADS", "all")
    assert thread_count() == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "0")
    assert thread_count() == 1


@pytest.mark.parametrize("count", [1, 2, 3, 7])
@pytest.mark.parametrize("m", [1, 2, 5, 16, 33])
def test_columns_have_the_same_bits(monkeypatch, count, m):
    rng = np.random.default_rng(m)
    matrix = sparse.random_array((60, 50), density=0.3, rng=rng).tocsr()
    x, widths = rng.standard_normal((50, m)), []

    def times(part):
        widths.append(part.shape[1])
        return matrix @ part

    use(monkeypatch, count)
    assert_array_equal(by_columns(times, x, 16, threads.WORTH), matrix @ x)
    assert sum(widths) == m
    assert max(widths) == min(16, m, max(2, -(-m // count)))


def test_little_work_stays_in_one_thread(monkeypatch):
    use(monkeypatch, 4)
    found = in_threads(lambda _: threading.get_ident(), range(8), 0.0)
    assert set(found) == {threading.get_ident()}


def test_much_work_is_shared_and_keeps_its_order(monkeypatch):
    use(monkeypatch, 2)
    both = threading.Barrier(2, timeout=60)  # passed only if two are there at once

    def work(item):
        both.wait()
        return item**2

    assert in_threads(work, [3, 4], threads.WORTH) == [9, 16]


def test_errors_are_raised(monkeypatch):
    use(monkeypatch, 2)
    with pytest.raises(ZeroDivisionError):
        in_threads(lambda item: 1 // item, [1, 0], threads.WORTH)

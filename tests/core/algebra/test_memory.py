"""How much memory there is, and what is refused for want of it."""

import pytest

from statsmodels_lmm.core.algebra import memory


def grouped(folder, names, limit, usage, cache):
    folder.mkdir(exist_ok=True)
    for name, value in zip(names, (limit, usage)):
        (folder / name).write_text(f"{value}\n")
    inside = "inactive_file" if names[0] == "memory.max" else "total_inactive_file"
    (folder / "memory.stat").write_text(f"anon 5\n{inside} {cache}\n")


SECOND = ("memory.max", "memory.current")
FIRST = ("memory.limit_in_bytes", "memory.usage_in_bytes")


def test_limit_of_a_container(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "GROUP", tmp_path)
    assert list(memory._of_group()) == []
    grouped(tmp_path, SECOND, 1000, 700, 50)
    assert list(memory._of_group()) == [350]
    grouped(tmp_path, SECOND, 1000, 1200, 0)
    assert list(memory._of_group()) == [1]
    grouped(tmp_path, SECOND, "max", 700, 50)
    grouped(tmp_path / "memory", FIRST, 2000, 700, 100)
    assert list(memory._of_group()) == [1400]
    memory._available_at.cache_clear()
    assert memory.available_bytes() == 1400
    memory._available_at.cache_clear()


def test_what_does_not_fit(monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: 2**30)
    memory.require_memory(2**30, "this", "Less.")
    with pytest.raises(MemoryError, match=r"this: about 2.0 GiB, 1.0 GiB are free"):
        memory.require_memory(2**31, "this", "Less.")
    memory.check_parameters(1000)
    with pytest.raises(MemoryError, match="derivatives of 10,000 variance parameters"):
        memory.check_parameters(10_000)
    monkeypatch.setattr(memory, "available_bytes", lambda: None)
    memory.require_memory(2**60, "this", "Less.")

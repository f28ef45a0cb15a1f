from pathlib import Path

import numpy as np

from cvgeo_ros.learn.place.bank import RowBank


def rows(value: float, count: int) -> np.ndarray:
    return np.full((count, 3), value, np.float16)


def test_entries_are_found_again(tmp_path: Path) -> None:
    bank = RowBank(tmp_path / "bank-1.5", 3)
    bank.add({"a": rows(1, 2), "b\n": rows(2, 1)})
    assert np.array_equal(bank["a"], rows(1, 2))
    bank.add({"c": rows(3, 4)})
    again = RowBank(tmp_path / "bank-1.5", 3)
    assert len(again) == 3
    assert "b\n" in again
    assert "d" not in again
    assert np.array_equal(again["b\n"], rows(2, 1))
    assert np.array_equal(again["c"], rows(3, 4))


def test_killed_while_writing(tmp_path: Path) -> None:
    """Rows without their line, a line cut short, a line without its rows: the whole entries stay."""
    bank = RowBank(tmp_path / "bank", 3)
    bank.add({"a": rows(1, 2), "b": rows(2, 2)})
    index, data = tmp_path / "bank.index", tmp_path / "bank.rows"
    with data.open("ab") as file:
        file.write(b"12345")
    with index.open("a") as file:
        file.write('["c", 1')
    again = RowBank(tmp_path / "bank", 3)
    assert len(again) == 2
    again.add({"c": rows(3, 1)})
    assert np.array_equal(RowBank(tmp_path / "bank", 3)["c"], rows(3, 1))

    with data.open("r+b") as file:
        file.truncate(3 * 2 * 4)
    cut = RowBank(tmp_path / "bank", 3)
    assert "c" not in cut
    assert np.array_equal(cut["b"], rows(2, 2))


def test_processes_may_share_a_bank(tmp_path: Path) -> None:
    first, second = RowBank(tmp_path / "bank", 3), RowBank(tmp_path / "bank", 3)
    first.add({"a": rows(2, 1)})
    second.add({"b": rows(1, 5), "a": rows(4, 9)})
    first.add({"c": rows(3, 7)})
    for bank in (first, RowBank(tmp_path / "bank", 3)):
        assert np.array_equal(bank["a"], rows(2, 1))
        assert np.array_equal(bank["b"], rows(1, 5))
        assert np.array_equal(bank["c"], rows(3, 7))
    assert np.array_equal(second["a"], rows(2, 1))

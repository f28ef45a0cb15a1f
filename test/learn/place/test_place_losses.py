import math

import torch

from cvgeo_ros.learn.place.losses import contrastive, word_loss

EYE = torch.eye(3)
ALL = torch.arange(3)


def test_matched_rows_cost_little_and_swapped_ones_much() -> None:
    scale = torch.tensor(10.0)
    right = contrastive(EYE, EYE, scale, ALL, ALL)
    assert math.isclose(float(right), math.log1p(2 * math.exp(-10)), abs_tol=1e-5)
    assert contrastive(EYE, EYE[[1, 0, 2]], scale, ALL, ALL) > 5


def test_what_describes_the_same_is_no_negative() -> None:
    """Rows 0 and 1 are alike in text, or in what the image shows: mixing them up costs nothing."""
    scale, mixed = torch.tensor(10.0), EYE[[0, 0, 2]]
    costly = contrastive(mixed, mixed, scale, ALL, ALL)
    for texts, groups in ((torch.tensor([4, 4, 5]), ALL), (ALL, torch.tensor([4, 4, 5]))):
        assert contrastive(mixed, mixed, scale, texts, groups) < 0.01 < costly


def test_mined_negatives_count_unless_they_show_the_same() -> None:
    scale = torch.tensor(10.0)
    plain = contrastive(EYE, EYE, scale, ALL, ALL)
    hard = contrastive(EYE, EYE, scale, ALL, ALL, EYE[[0]], torch.tensor([9]))
    same = contrastive(EYE, EYE, scale, ALL, ALL, EYE[[0]], torch.tensor([0]))
    assert abs(same - plain) < 1e-4
    assert hard > plain + 0.05


def test_word_loss_is_least_where_words_are_named() -> None:
    present = torch.tensor([[True, True, False, False]])
    rarity = torch.tensor([1.0, 3.0, 1.0, 1.0])
    best = word_loss(torch.log(torch.tensor([[0.25, 0.75, 1e-6, 1e-6]])), present, rarity)
    assert best < word_loss(torch.log(torch.tensor([[0.75, 0.25, 1e-6, 1e-6]])), present, rarity)
    assert best < word_loss(torch.zeros(1, 4), present, rarity)
    assert torch.isfinite(word_loss(torch.zeros(1, 4), torch.zeros(1, 4, dtype=torch.bool), rarity))

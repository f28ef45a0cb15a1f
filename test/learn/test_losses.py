"""Losses: known values, and finite ones with gradients where a batch holds no objects."""

import math

import pytest
import torch

from cvgeo_ros.learn.losses import (
    LossWeights,
    Objective,
    cell_centres,
    generalized_iou,
    project,
    soft_cross_entropy,
)
from cvgeo_ros.net import CrossViewLocator, NetConfig


def test_a_target_between_cells_is_shared_by_them() -> None:
    logits = torch.full((1, 12), -40.0)
    logits[0, [5, 6]] = 0.0  # row 1, columns 1 and 2 of (3, 4)
    between, astray = (soft_cross_entropy(logits, torch.tensor([p]), (3, 4)) for p in ([2.0, 1.5], [3.0, 1.5]))
    assert between.item() == pytest.approx(math.log(2), abs=1e-4)
    assert astray.item() == pytest.approx(math.log(2) / 2 + (40 + math.log(2)) / 2, abs=1e-3)


def test_generalized_iou_of_known_boxes() -> None:
    a = torch.tensor([[0.0, 0, 2, 2], [0.0, 0, 2, 2], [0.0, 0, 1, 1]])
    b = torch.tensor([[0.0, 0, 2, 2], [1.0, 0, 3, 2], [2.0, 0, 3, 1]])
    iou, giou = generalized_iou(a, b)
    assert iou.tolist() == pytest.approx([1.0, 1 / 3, 0.0])
    assert giou.tolist() == pytest.approx([1.0, 1 / 3, -1 / 3])


def test_project_divides_by_the_depth_of_each_matrix() -> None:
    matrices = torch.stack([torch.eye(3), torch.tensor([[1.0, 0, 4], [0, 1, 0], [0, 0, 2]])])
    assert project(matrices, torch.tensor([[2.0, 6.0]])).tolist() == [[[2.0, 6.0]], [[3.0, 3.0]]]


@pytest.mark.parametrize("objects", [True, False])
def test_every_part_is_finite_and_teaches(small_config: NetConfig, objects: bool) -> None:
    torch.manual_seed(0)
    objective = Objective(CrossViewLocator(small_config), LossWeights())
    boxes = torch.tensor([10.0, 10, 40, 40]) if objects else torch.full((4,), math.nan)
    batch = {
        "query": torch.randint(0, 255, (2, 3, 64, 64), dtype=torch.uint8),
        "tile": torch.randint(0, 255, (2, 3, 128, 128), dtype=torch.uint8),
        "gsd": torch.full((2,), 0.3),
        "mask": torch.ones(2, 8, 8, dtype=torch.bool),
        "to_tile": torch.eye(3).expand(2, 3, 3).clone(),
        "cells": (cell_centres(8, 8) * 8).expand(2, 64, 2).where(torch.arange(64)[:, None] > 5, math.nan),
        "lean": torch.rand(2, 4, 2),
        "clicks": torch.rand(2, 4, 2) * 60,
        "targets": torch.rand(2, 4, 2) * 120,
        "boxes": boxes.expand(2, 4, 4).clone(),
        "extents": boxes.expand(2, 3, 4).clone(),
    }
    total, watch = objective(batch)
    total.backward()
    assert total.isfinite() and all(value.isfinite() for value in watch.values())
    gradients = [p.grad for p in objective.parameters() if p.grad is not None]
    assert all(g.isfinite().all() for g in gradients)
    for layers in (objective.model.box_head.layers, objective.model.box_head.correct):
        gradient = layers[-1].weight.grad
        assert (gradient is not None and bool(gradient[:4].abs().sum() > 0)) is objects


def test_objects_that_look_alike_are_driven_apart(small_config: NetConfig) -> None:
    torch.manual_seed(0)
    objective = Objective(CrossViewLocator(small_config), LossWeights())
    match = torch.nn.functional.normalize(torch.randn(1, 16, 12, 12), dim=1)
    places = torch.tensor([[[2.5, 2.5], [9.5, 9.5]]])
    alike = match[:, :, 2, 2][:, None].expand(1, 2, 16)
    different = torch.stack([match[0, :, 2, 2], match[0, :, 9, 9]])[None]
    assert objective._apart(alike, match, places) > objective._apart(different, match, places) + 0.05
    clicked_twice = torch.cat([places[:, :1], places[:, :1] + 0.5, places[:, 1:]], 1)
    same = torch.cat([alike[:, :1], alike[:, :1], different[:, 1:]], 1)
    other = torch.cat([alike[:, :1], different[:, 1:], different[:, 1:]], 1)
    assert objective._apart(same, match, clicked_twice) < objective._apart(other, match, clicked_twice)


def test_objects_that_nobody_clicked_teach_their_extent(small_config: NetConfig) -> None:
    torch.manual_seed(0)
    objective = Objective(CrossViewLocator(small_config), LossWeights())
    image, gsd = torch.rand(1, 3, 128, 128), torch.tensor([0.3])
    (tile, _), around = objective.model.encode_tile(image, gsd), objective.model.surroundings(image, gsd)
    batch = {"boxes": torch.full((1, 2, 4), math.nan), "extents": torch.tensor([[[8.0, 8, 40, 24], [math.nan] * 4]])}
    prompts = torch.nn.functional.normalize(torch.randn(1, 2, 16), dim=-1)
    box, quality, iou = objective._boxes(batch, tile, around, prompts, torch.rand(1, 2, 2) * 16)
    assert len(iou) == 1 and box > 0 and quality > 0

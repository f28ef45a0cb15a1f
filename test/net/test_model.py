"""The network as a whole: conditioned on frame and click, any number of clicks in one pass, trainable in every part."""

import pytest
import torch

from cvgeo_ros.learn.losses import LossWeights, Objective, cell_centres
from cvgeo_ros.net import CONFIGS, CrossViewLocator, View, consensus
from cvgeo_ros.net.encoder import Encoder
from cvgeo_ros.net.head import Surroundings
from cvgeo_ros.net.model import Answer
from cvgeo_ros.net.prompt import sample
from cvgeo_ros.net.weights import find_weights, load_weights

GSD = torch.tensor([0.3])


@pytest.fixture(scope="module")
def nano() -> CrossViewLocator:
    return load_weights(find_weights("nano"))


def scene(size: int = 160, seed: int = 0) -> torch.Tensor:
    """A picture with structure at all scales."""
    generator = torch.Generator().manual_seed(seed)
    total = torch.zeros(1, 3, size, size)
    for cell in (4, 10, 20, 40):
        noise = torch.rand(1, 3, size // cell, size // cell, generator=generator)
        total += torch.nn.functional.interpolate(noise, size=(size, size), mode="nearest")
    return total / 4


def ask(model: CrossViewLocator, frame: torch.Tensor, tile: torch.Tensor, clicks: torch.Tensor) -> Answer:
    features, _ = model.encode_frame(frame, GSD)
    tile_features, _ = model.encode_tile(tile, GSD)
    mask = torch.ones(1, *features.match.shape[-2:])
    votes = consensus.correlate(features.match, mask, tile_features.match)
    return model.answer(features, clicks, tile_features, votes)


@pytest.mark.parametrize("name", ["nano", "tiny"])
@pytest.mark.parametrize("size", [(128, 128), (96, 200)])
def test_features_have_stride_8_at_any_size(name: str, size: tuple[int, int]) -> None:
    config = CONFIGS[name]
    with torch.inference_mode():
        features, _ = Encoder(config).eval()(torch.rand(1, 3, *size), View.DRONE, GSD)
    assert features.match.shape == (1, config.match_dim, size[0] // 8, size[1] // 8)
    assert features.context.shape == (1, config.context_dim, size[0] // 8, size[1] // 8)
    torch.testing.assert_close(features.match.norm(dim=1), torch.ones(1, size[0] // 8, size[1] // 8))


def test_tiny_is_of_the_published_size() -> None:
    millions = sum(p.numel() for p in Encoder(CONFIGS["tiny"]).parameters()) / 1e6
    assert millions == pytest.approx(53.5, abs=3.0)  # SMGeo: 53.5 M


@torch.inference_mode()
def test_n_clicks_in_one_pass_equal_n_single_passes(small: CrossViewLocator) -> None:
    clicks = torch.tensor([[[2.2, 3.1], [5.0, 5.0], [7.9, 0.4], [4.5, 6.5]]])
    frame, tile = scene()[..., 16:80, 24:88], scene()
    together = ask(small, frame, tile, clicks)
    for index in range(4):
        single = ask(small, frame, tile, clicks[:, index : index + 1])
        for whole, part in (
            (together.heat, single.heat),
            (together.boxes.corners(), single.boxes.corners()),
            (together.score, single.score),
            (together.peak.place, single.peak.place),
        ):
            torch.testing.assert_close(whole[:, index], part[:, 0], rtol=1e-4, atol=1e-4)


@torch.inference_mode()
def test_moving_the_click_moves_the_answer(nano: CrossViewLocator) -> None:
    frame, tile = scene(256)[..., 40:168, 72:200], scene(256)
    for dx, dy in ((5.0, 0.0), (0.0, 5.0)):
        here = ask(nano, frame, tile, torch.tensor([[[5.5, 5.5]]]))
        there = ask(nano, frame, tile, torch.tensor([[[5.5 + dx, 5.5 + dy]]]))
        moved = there.peak.place - here.peak.place
        torch.testing.assert_close(moved[0, 0], torch.tensor([dx, dy]), rtol=0, atol=0.6)
        assert not torch.allclose(here.boxes.centre, there.boxes.centre, atol=0.5)


@torch.inference_mode()
def test_another_frame_gives_another_answer(nano: CrossViewLocator) -> None:
    click = torch.tensor([[[8.0, 8.0]]])
    first = ask(nano, scene(256)[..., 16:144, 24:152], scene(256), click).peak.place
    second = ask(nano, scene(256)[..., 88:216, 72:200], scene(256), click).peak.place
    torch.testing.assert_close(first, torch.tensor([[[11.0, 10.0]]]), rtol=0, atol=0.5)
    torch.testing.assert_close(second, torch.tensor([[[17.0, 19.0]]]), rtol=0, atol=0.5)


@torch.inference_mode()
def test_a_frame_of_another_place_scores_low(nano: CrossViewLocator) -> None:
    clicks = torch.tensor([[[8.0, 8.0], [4.0, 10.0], [12.0, 5.0]]])
    here = ask(nano, scene(256)[..., 16:144, 24:152], scene(256), clicks).score.sigmoid()
    elsewhere = ask(nano, scene(256, seed=5)[..., 16:144, 24:152], scene(256), clicks).score.sigmoid()
    assert here.min() > elsewhere.max() + 0.2


@torch.inference_mode()
def test_the_clicks_own_evidence_wins_where_the_consensus_is_silent(small: CrossViewLocator) -> None:
    features, _ = small.encode_frame(scene()[..., 16:80, 24:88], GSD)
    tile, _ = small.encode_tile(scene(), GSD)
    votes = consensus.correlate(features.match, torch.ones(1, 8, 8), tile.match)
    silent = consensus.Votes(torch.zeros_like(votes.z), votes.origin)
    for click in ([2.5, 2.5], [5.5, 3.5]):
        cells = torch.tensor([[click]])
        place = small.answer(features, cells, tile, silent).heat.flatten(2).argmax(-1)
        similarity = torch.einsum("bnd,bdhw->bnhw", small.prompt(features.match, features.context, cells), tile.match)
        assert place == similarity.flatten(2).argmax(-1)


@torch.inference_mode()
def test_void_cells_are_never_the_answer(small: CrossViewLocator) -> None:
    features, _ = small.encode_frame(scene()[..., 16:80, 24:88], GSD)
    tile, _ = small.encode_tile(scene(), GSD)
    votes = consensus.correlate(features.match, torch.ones(1, 8, 8), tile.match)
    click = torch.tensor([[[4.5, 4.5]]])
    x, y = small.answer(features, click, tile, votes).peak.place[0, 0].floor().int().tolist()
    void = torch.zeros(1, 20, 20, dtype=torch.bool)
    void[:, y - 2 : y + 3, x - 2 : x + 3] = True
    place = small.answer(features, click, tile, votes, void=void).peak.place[0, 0].floor().int()
    assert not void[0, place[1], place[0]]


def test_gradient_reaches_every_part(small: CrossViewLocator) -> None:
    torch.manual_seed(0)
    with torch.no_grad():  # start from where every part already has a say
        for parameter in small.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    objective = Objective(small, LossWeights()).train()
    tile = torch.cat([scene(seed=k) for k in range(4)])
    batch = {
        "query": (tile[..., 16:80, 24:88] * 255).byte(),
        "tile": (tile * 255).byte(),
        "gsd": torch.tensor([0.3, 0.4, 0.25, 0.6]),
        "mask": torch.ones(4, 8, 8, dtype=torch.bool),
        "to_tile": torch.tensor([[1.0, 0, 24], [0, 1, 16], [0, 0, 1]]).expand(4, 3, 3),
        "clicks": torch.rand(4, 5, 2) * 48 + 8,
    }
    batch["targets"] = batch["clicks"] + torch.tensor([24.0, 16.0])
    batch["cells"] = cell_centres(8, 8).expand(4, 64, 2) * 8 + torch.tensor([24.0, 16.0])
    batch["lean"] = torch.rand(4, 5, 2)
    batch["boxes"] = torch.cat([batch["targets"] - 12, batch["targets"] + 10], -1)
    loss, _ = objective(batch)
    loss.backward()
    silent = [n for n, p in objective.named_parameters() if p.grad is None or p.grad.abs().max() == 0]
    # The score head stops gradients on purpose; everything else learns. Experts that nobody chose may rest.
    assert not silent


@pytest.mark.parametrize("kind, tolerance", [(torch.float16, 0.02), (torch.bfloat16, 0.08)])
@torch.inference_mode()
def test_half_precision_agrees_with_float32(small: CrossViewLocator, kind: torch.dtype, tolerance: float) -> None:
    full, _ = small.encode_frame(scene(), GSD)
    with torch.autocast("cpu", kind):
        half, _ = small.encode_frame(scene(), GSD)
    assert (1 - (full.match * half.match.float()).sum(1)).max() < tolerance
    click = torch.tensor([[[4.5, 4.5]]])
    whole = ask(small, scene()[..., 16:80, 24:88], scene(), click).peak.place
    with torch.autocast("cpu", kind):
        rough = ask(small, scene()[..., 16:80, 24:88], scene(), click).peak.place
    torch.testing.assert_close(whole, rough.float(), rtol=0, atol=0.5)


def test_sample_reads_cell_centres_at_half() -> None:
    features = torch.arange(12.0).reshape(1, 1, 3, 4)
    values = sample(features, torch.tensor([[[0.5, 0.5], [3.5, 2.5], [1.0, 0.5], [0.5, 1.0]]]))
    assert values.flatten().tolist() == pytest.approx([0.0, 11.0, 0.5, 2.0], abs=1e-5)


@torch.inference_mode()
def test_box_is_read_from_the_tile_at_the_place_found(small: CrossViewLocator) -> None:
    torch.manual_seed(0)
    prompts, places = torch.nn.functional.normalize(torch.randn(1, 1, 16), dim=-1), torch.tensor([[[5.5, 5.5]]])
    context = torch.randn(1, 16, 12, 12)
    before = small.box_head(context, prompts, places)
    far, near, beside = context.clone(), context.clone(), context.clone()
    far[..., 11, 11] += 1
    near[..., 5, 5] += 1
    beside[..., 3, 5] += 1  # within the first box, but not where it was read
    for look, moves in ((0, False), (1, True)):
        corners = before[look].corners()
        assert torch.equal(corners, small.box_head(far, prompts, places)[look].corners())
        assert not torch.allclose(corners, small.box_head(near, prompts, places)[look].corners())
        assert torch.equal(corners, small.box_head(beside, prompts, places)[look].corners()) is not moves


@torch.inference_mode()
def test_an_answers_box_is_the_mean_of_those_read_around_its_place(small: CrossViewLocator) -> None:
    torch.manual_seed(0)
    prompts = torch.nn.functional.normalize(torch.randn(1, 2, 16), dim=-1)
    places, context = torch.tensor([[[5.5, 5.5], [3.0, 7.0]]]), torch.randn(1, 16, 12, 12)
    shifts = [(0.0, 0.0), (0.7, 0.0), (-0.7, 0.0), (0.0, 0.7), (0.0, -0.7)]
    corners, quality = torch.zeros(1, 2, 4), torch.zeros(1, 2)
    for shift in shifts:
        for n in range(2):  # each click with its own prompt
            box = small.box_head(context, prompts[:, n : n + 1], places[:, n : n + 1] + torch.tensor(shift))[1]
            corners[:, n] += box.corners()[:, 0] / len(shifts)
            quality[:, n] += box.quality[:, 0] / len(shifts)
    steady = small.box_head.steady(context, prompts, places)
    torch.testing.assert_close(steady.corners(), corners)
    torch.testing.assert_close(steady.quality, quality)

    answer = ask(small, scene()[..., 16:80, 24:88], scene(), torch.tensor([[[3.0, 4.0]]]))
    tile, _ = small.encode_tile(scene(), GSD)
    expected = small.box_head.steady(tile.context, answer.prompts, answer.peak.place)
    torch.testing.assert_close(answer.boxes.corners(), expected.corners())


@torch.inference_mode()
def test_box_sees_the_surroundings_of_the_place_found(small: CrossViewLocator) -> None:
    torch.manual_seed(0)
    prompts, places = torch.nn.functional.normalize(torch.randn(1, 1, 16), dim=-1), torch.tensor([[[5.0, 7.0]]])
    context, around = torch.randn(1, 16, 12, 12), torch.randn(1, 16, 20, 20)
    alone = small.box_head(context, prompts, places)
    shift = (8.0, 9.0)  # the place is cell (10.5, 12.5) of the surroundings: the middle of column 10, row 12
    for look in (0, 1):  # fresh weights take no notice
        assert torch.equal(
            alone[look].corners(), small.box_head(context, prompts, places, Surroundings(around, shift))[look].corners()
        )
    torch.nn.init.normal_(small.box_head.around.weight)
    torch.nn.init.normal_(small.box_head.look_around.weight)
    before = small.box_head(context, prompts, places, Surroundings(around, shift))
    there, beside, far = around.clone(), around.clone(), around.clone()
    there[..., 12, 10] += 1
    beside[..., 12, 12:14] += 1  # beyond the first box, within its surroundings
    far[..., 0, 0] += 1
    for look, sees in ((0, False), (1, True)):
        corners = before[look].corners()
        boxes = (small.box_head(context, prompts, places, Surroundings(part, shift)) for part in (there, beside, far))
        same = [torch.equal(corners, box[look].corners()) for box in boxes]
        assert same == [False, not sees, True]


def test_surroundings_show_the_tile_at_half_the_resolution(small: CrossViewLocator) -> None:
    image = scene()[..., :152, :136]  # half of it is no multiple of the stride
    with torch.inference_mode():
        around = small.surroundings(image, GSD)
        half = torch.nn.functional.avg_pool2d(image, 2)
        padded = torch.nn.functional.pad(half, (0, 4, 0, 4), mode="replicate")
        expected = small.encode_tile(padded, GSD * 2)[0].context
    assert around.context.shape[-2:] == (10, 9)
    torch.testing.assert_close(around.context, expected)


@torch.inference_mode()
def test_a_roof_may_lie_away_from_where_the_ground_would(small: CrossViewLocator) -> None:
    features, _ = small.encode_frame(scene()[..., 16:80, 24:88], GSD)
    tile, _ = small.encode_tile(scene(), GSD)
    votes = consensus.correlate(features.match, torch.ones(1, 8, 8), tile.match)
    click, lean = torch.tensor([[[4.5, 4.5]]]), torch.tensor([[[0.5, 0.0]]])
    without, ground = (small.prior(votes, click, towards, (20, 20))[0, 0] for towards in (None, torch.zeros(1, 1, 2)))
    raised = small.prior(votes, click, lean, (20, 20))[0, 0]
    assert torch.equal(without[0], without[1]) and torch.equal(ground[0], ground[1])
    torch.testing.assert_close(raised[0], without[0])
    assert (raised[1] >= raised[0]).all() and raised[1, 6, 11] > raised[0, 6, 11]

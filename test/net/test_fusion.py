"""Fusion: on large tiles the convolutions look at a patch around the best cell, and say there what they say of all."""

import torch

from cvgeo_ros.net.fusion import CrossViewFusion


@torch.inference_mode()
def test_a_patch_says_what_the_whole_says() -> None:
    torch.manual_seed(0)
    fusion = CrossViewFusion(16, 16).eval()
    torch.nn.init.normal_(fusion.mix[-1].weight, std=0.05)
    match = torch.nn.functional.normalize(torch.randn(2, 16, 90, 120), dim=1)
    gated = fusion.prepare(torch.randn(2, 16, 90, 120))
    places = torch.tensor([[[5, 3], [60, 45], [119, 89]], [[0, 89], [100, 10], [30, 70]]])
    prompts = torch.stack([match[b, :, places[b, :, 1], places[b, :, 0]].T for b in range(2)])
    consensus = torch.randn(2, 3, 2, 90, 120)
    patched = fusion(prompts, match, gated, consensus)
    fusion.patch = 200
    whole = fusion(prompts, match, gated, consensus)
    assert torch.equal(patched.flatten(2).argmax(-1), whole.flatten(2).argmax(-1))
    for b in range(2):
        for n, (x, y) in enumerate(places[b].tolist()):
            near = (slice(max(y - 9, 0), y + 10), slice(max(x - 9, 0), x + 10))
            torch.testing.assert_close(patched[b, n][near], whole[b, n][near], rtol=1e-4, atol=1e-4)
    # Far away only the level of the correction is kept: what it adds there is small beside the evidence.
    assert (patched - whole).abs().mean() < 0.2 * (whole - whole.mean((-2, -1), keepdim=True)).abs().mean()

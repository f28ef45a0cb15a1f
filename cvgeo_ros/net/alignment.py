"""Alignment: a near-similarity fitted to local matches around the translation that the consensus has found."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

MATCHES = 1200
"""Cells of a frame that are matched for an alignment, at most."""


class Alignment(NamedTuple):
    """A fitted map from frame cells to tile cells.

    Attributes:
        matrix: (3, 3) homography, (x, y) frame cells to tile cells.
        support: mean similarity of the matches that agree, weighted by trust, zero for those that do not.
        inliers: share of the frame's cells whose match agrees with the fit.
        residual: root mean square residual of the agreeing matches, cells.
    """

    matrix: Tensor
    support: float
    inliers: float
    residual: float


class Matches(NamedTuple):
    """Cells of a frame and their likes on the tile.

    Attributes:
        cells: (M, 2) centres in the frame, cells (x, y).
        places: (M, 2) where they are on the tile, to a fraction of a cell.
        similarity: (M,) of the best match.
        trust: (M,) 0..1, how distinct it is.
    """

    cells: Tensor
    places: Tensor
    similarity: Tensor
    trust: Tensor


def match(
    query: Tensor,
    mask: Tensor,
    reference: Tensor,
    translation: Tensor,
    reach: int = 6,
    sharpness: float = 20.0,
    most: int = MATCHES,
) -> Matches | None:
    """Look for each cell of a frame within `reach` cells of where a translation puts it.

    Args:
        query, mask, reference, translation, reach, sharpness: as for `align`.
        most: cells that are looked for, about; of more every second, third ... row and column is.

    Returns:
        The matches, or None when too few cells fall on the tile, or the tile shows nothing there.
    """
    height, width = reference.shape[-2:]
    where = (mask > 0.5).nonzero()
    if where.shape[0] < 16:
        return None
    step = math.ceil(math.sqrt(where.shape[0] / most))
    where = where[(where % step == 0).all(1)]
    cells = where.flip(1).float() + 0.5
    shift = (translation + 0.5).floor().long()
    offsets = torch.stack(
        torch.meshgrid(*(torch.arange(-reach, reach + 1, device=query.device),) * 2, indexing="xy"), -1
    ).reshape(-1, 2)
    places = (where.flip(1) + shift)[:, None] + offsets
    inside = (places >= 0).all(-1) & (places[..., 0] < width) & (places[..., 1] < height)
    keep = inside.float().mean(1) > 0.5
    if int(keep.sum()) < 16:
        return None
    cells, inside, where = cells[keep], inside[keep], where[keep]
    similarity = _around(query[:, ::step, ::step], reference, shift, step, reach)
    row, column = (where // step).unbind(1)
    similarity = similarity[row, column].flatten(1).masked_fill(~inside, -1.0)
    best, peak = similarity.max(1)
    likely = ((similarity - best[:, None]) * sharpness).exp()
    # Sub-cell: the mean over the peak's neighbourhood only, so that a second candidate far away does not pull.
    beside = (offsets[:, None] - offsets).abs().amax(-1) <= 1
    weight = likely * (beside[peak] & inside)
    matched = where.flip(1) + shift + 0.5 + weight @ offsets.float() / weight.sum(1, keepdim=True)
    trust = best.clamp(min=0) / likely.sum(1)
    return Matches(cells, matched, best, trust) if bool(trust.any()) else None


def align(
    query: Tensor, mask: Tensor, reference: Tensor, translation: Tensor, reach: int = 6, sharpness: float = 20.0
) -> Alignment | None:
    """Fit a near-similarity to local matches around a translation.

    Each cell of the frame looks for its like within `reach` cells of where the translation puts it. A homography is
    fitted by iteratively reweighted least squares (Cauchy weights), so that moving objects, leaning roofs and changed
    places lose their say; shear and perspective, the marks of tilt, are held back until many matches ask for them.

    Args:
        query: (D, hq, wq) unit descriptors of the frame.
        mask: (hq, wq) weights of its cells.
        reference: (D, h, w) unit descriptors of the tile.
        translation: (2,) start, (x, y) cells.
        reach: search radius, cells.
        sharpness: inverse temperature of the soft match.

    Returns:
        The alignment, on the CPU, or None when too few cells fall on the tile.
    """
    # A thousand matches fit eight parameters as well as four thousand, in a quarter of the time.
    found = match(query, mask, reference, translation, reach, sharpness)
    if found is None:
        return None
    # Rounds of tiny products and an 8 x 8 system: a GPU would take longer to start them than a CPU to compute them.
    cells, matched, best, trust = (part.cpu() for part in found)
    matrix, residual = _fit(cells, matched, trust, translation.cpu())
    depth = cells @ matrix[2, :2] + matrix[2, 2]
    agree = residual < 1.5
    if int(agree.sum()) < 8 or bool((depth < 0.1).any()):  # or turned inside out within the frame
        return None
    return Alignment(
        matrix,
        support=float((best * trust * agree).sum() / trust.sum().clamp(min=1e-6)),
        inliers=float(agree.float().mean()),
        residual=float(residual[agree].square().mean().sqrt()),
    )


def _around(query: Tensor, reference: Tensor, shift: Tensor, step: int, reach: int) -> Tensor:
    """Similarities of every `step`-th cell of a frame with the tile's cells around where a shift puts it.

    Row by row, as products of a row's cells with the strip of the tile around it: gathering each cell's surroundings
    would move thirteen times as much memory.

    Args:
        query: (D, r, c) unit descriptors of the cells, cell (i, j) at (step j, step i).
        reference: (D, h, w); cells beyond it count as those at its border.
        shift: (2,) long, (x, y) cells from frame to tile.

    Returns:
        (r, c, n, n), n = 2 reach + 1: by offsets in y and in x.
    """
    rows, columns = query.shape[1:]
    around = torch.arange(-reach, reach + 1, device=query.device)
    y = step * torch.arange(rows, device=query.device)[:, None] + around + shift[1]
    x = torch.arange(-reach, step * (columns - 1) + reach + 1, device=query.device) + shift[0]
    strips = reference[:, :, x.clamp(0, reference.shape[2] - 1)][:, y.clamp(0, reference.shape[1] - 1)]
    products = torch.einsum("drc,drnm->rcnm", query, strips)
    seen = step * torch.arange(columns, device=query.device)[:, None] + around + reach
    return products.gather(3, seen[None, :, None].expand(rows, -1, len(around), -1))


def _fit(
    source: Tensor, target: Tensor, trust: Tensor, translation: Tensor, rounds: int = 15, stiffness: float = 0.02
) -> tuple[Tensor, Tensor]:
    """Robust homography source -> target near a similarity; its (3, 3) matrix and the residuals (M,).

    Linear in the parameters p of u (1 + g x + h y) = a x + b y + c, v (1 + g x + h y) = d x + e y + f, in coordinates
    scaled to about one; `stiffness` weighs a - e, b + d, g and h, which vanish for a similarity, against the matches.
    """
    centre, size = source.mean(0), source.std() + 1e-6
    x, y = ((source - centre) / size).unbind(1)
    u, v = ((target - translation - centre) / size).unbind(1)
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    rows = torch.stack(
        [
            torch.stack([x, y, one, zero, zero, zero, -u * x, -u * y], 1),
            torch.stack([zero, zero, zero, x, y, one, -v * x, -v * y], 1),
        ],
        1,
    )
    wanted = torch.stack([u, v], 1)
    soft = torch.zeros(4, 8, device=source.device)
    soft[0, 0], soft[0, 4], soft[1, 1], soft[1, 3], soft[2, 6], soft[3, 7] = 1.0, -1.0, 1.0, 1.0, 1.0, 1.0
    parameters = source.new_tensor([1.0, 0, 0, 0, 1.0, 0, 0, 0])
    residual = (source + translation - target).norm(dim=1)
    for step in range(rounds):
        scale = 4.0 * 0.8**step + 0.7  # annealed: first the bulk, then the precise ones
        weight = trust / (1 + (residual / scale).square())
        normal = torch.einsum("mri,m,mrj->ij", rows, weight, rows) + stiffness * weight.sum() * soft.T @ soft
        normal = normal + 1e-6 * weight.sum() * torch.eye(8, device=source.device)
        parameters = torch.linalg.solve(normal, torch.einsum("mri,m,mr->i", rows, weight, wanted))
        fitted = torch.einsum("mri,i->mr", rows, parameters) - wanted
        depth = 1 + parameters[6] * x + parameters[7] * y
        residual = (fitted / depth[:, None]).norm(dim=1) * size
    homography = torch.cat([parameters, parameters.new_ones(1)]).reshape(3, 3)
    to_unit = source.new_tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]) / size
    to_unit[2, 2], to_unit[:2, 2] = 1.0, -centre / size
    back = torch.eye(3, device=source.device) * size
    back[2, 2], back[:2, 2] = 1.0, centre + translation
    return back @ homography @ to_unit, residual

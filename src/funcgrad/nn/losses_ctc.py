"""Connectionist temporal classification: labels without alignment, by a scan over frames.

The one idea: a path through the labels with blanks between them, `_ a _ b _`; each frame stays,
steps on by one, or skips a blank between different labels. The scan sums the paths in logarithms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import lax
from .. import numpy as fnp
from ..core.sources import user_line
from .activations import log_softmax
from .operands import fitting, floats

if TYPE_CHECKING:
    from jaxtyping import Float, Integer, Num


def ctc_loss(
    logits: Float[Any, "..."],
    logit_paddings: Num[Any, "..."],
    labels: Integer[Any, "..."],
    label_paddings: Num[Any, "..."],
    *,
    blank_id: int = 0,
    log_epsilon: float = -1e5,
) -> Float[Any, "batch"]:
    """−log of the probability that the frames spell the labels, over all alignments.

    Args:
        logits: f32[batch, frames, classes].
        logit_paddings: f32[batch, frames], 1 at padded frames.
        labels: i32[batch, length], blanks excepted; out of range: NaN.
        label_paddings: f32[batch, length], 1 at padded labels, which stand at the end.
        blank_id: the class of the blank.
        log_epsilon: stands for log 0: labels that need more frames than there are have a loss of
            about −log_epsilon and a finite gradient.
    Returns:
        f32[batch].
    Raises:
        ValueError: the shapes do not fit; no class is `blank_id`.
    Source: Graves et al., ICML 2006, section 4.1.
    """
    logits, labels = floats(logits), fnp.asarray(labels)
    _check(logits, labels, blank_id)
    frames, letters = floats(logit_paddings), floats(label_paddings)
    said = f"the logits have shape {logits.shape}"
    fitting("ctc_loss", frames, logits.shape[:2], ("logit_paddings", said))
    fitting("ctc_loss", letters, labels.shape, ("label_paddings", f"labels {labels.shape}"))
    log_p = log_softmax(logits)
    valid = letters == 0
    known = (labels >= 0) & (labels < logits.shape[-1])
    path = _with_blanks(fnp.where(known, labels, blank_id), blank_id)
    batch, steps = path.shape
    start = fnp.full((batch, steps), log_epsilon, log_p.dtype).at[:, 0].set(0.0)
    skips = fnp.where(_may_skip(path, blank_id), 0.0, log_epsilon).astype(log_p.dtype)
    wide = fnp.broadcast_to(path[:, None], (batch, log_p.shape[1], steps))
    emitted = fnp.take_along_axis(log_p, wide, axis=-1)

    def advance(alpha: Any, frame: Any) -> tuple[Any, None]:
        emission, padded = frame
        on, over = (_shifted(alpha, by, log_epsilon) for by in (1, 2))
        sums = fnp.logaddexp(fnp.logaddexp(alpha, on), over + skips)
        return fnp.where(padded[:, None] == 0, sums + emission, alpha), None

    sequence = (fnp.moveaxis(emitted, 1, 0), frames.T)
    alpha, _ = lax.scan(advance, start, sequence)
    poison = fnp.where(fnp.all(known | ~valid, axis=1), 1.0, fnp.nan).astype(log_p.dtype)
    return -_at_the_end(alpha, fnp.sum(valid, axis=1), log_epsilon) * poison


def _check(logits: Any, labels: Any, blank_id: int) -> None:
    if logits.ndim != 3 or labels.ndim != 2 or labels.shape[0] != logits.shape[0]:
        raise ValueError(
            f"ctc_loss got logits of shape {logits.shape} and labels of shape {labels.shape}.\n"
            f"  {user_line()}\n"
            "  Give logits [batch, frames, classes] and labels [batch, length] of one batch size."
        )
    if not 0 <= blank_id < logits.shape[2]:
        raise ValueError(
            f"ctc_loss got blank_id={blank_id} with {logits.shape[2]} classes.\n  {user_line()}\n"
            f"  Give a class number from 0 to {logits.shape[2] - 1}."
        )


def _with_blanks(labels: Any, blank: int) -> Any:
    """[batch, 2 · length + 1]: a blank before, between and after the labels."""
    batch, length = labels.shape
    path = fnp.full((batch, 2 * length + 1), blank, labels.dtype)
    return path.at[:, 1::2].set(labels)


def _may_skip(path: Any, blank: int) -> Any:
    before = fnp.pad(path[:, :-2], ((0, 0), (2, 0)), constant_values=blank)
    return (path != blank) & (path != before)


def _shifted(alpha: Any, by: int, log_zero: float) -> Any:
    by = min(by, alpha.shape[1])
    kept = alpha[:, : alpha.shape[1] - by]
    return fnp.pad(kept, ((0, 0), (by, 0)), constant_values=log_zero)


def _at_the_end(alpha: Any, lengths: Any, log_zero: float) -> Any:
    """log of the probability of being at the last label or at the blank after it."""
    last = fnp.take_along_axis(alpha, 2 * lengths[:, None], axis=1)[:, 0]
    before = fnp.maximum(2 * lengths - 1, 0)[:, None]
    label = fnp.take_along_axis(alpha, before, axis=1)[:, 0]
    return fnp.where(lengths > 0, fnp.logaddexp(last, label), last)

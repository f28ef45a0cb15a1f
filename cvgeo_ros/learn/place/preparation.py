"""What PE-MoE (arXiv 2510.20291) does to captions before it trains: refine them by platform, and take the orientation
out of those that go with images which are turned or mirrored.

Rules stand where the paper asks a language model; `refine_by_command` asks one that the user runs.
"""

import json
import re
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ...errors import TrainingError
from ...place.text import sentences_of
from .data import PlaceImage

Refiner = Callable[[Sequence[str], Sequence[str]], list[str]]
"""Captions and the platform of each -> captions."""

_SIDE = r"(?:north|south|east|west)(?:[- ]?(?:north|south|east|west))*(?:ern|ward|wards|erly)?"
_EDGE = r"(?:far |very |upper|lower|top|bottom|left|right|[- ]|-hand|" + _SIDE + r"|central)+"
_SPOT = r"(?:corner|part|half|side|edge|end|area|section|portion|quarter|quadrant|third|margin|border|rim)s?"
_FRAME_NAMED = r"(?: of (?:the |this )?(?:image|picture|frame|scene|view|photo(?:graph)?|shot))"
_FRAME = rf"{_FRAME_NAMED}?"
_POLE = rf"(?:(?:(?:upper|lower|top|bottom)[- ])?(?:left|right)|top|bottom|{_SIDE})"
_WHERE = rf"(?:far )?(?:left|right|top|bottom|(?:upper|lower|top|bottom)[- ](?:left|right)|{_SIDE})"
_AT = r"(?:in|at|on|near|along|across|towards?|to|from|over|into|by)"

_PHRASES = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        # "from left to right", "from the lower left to the upper right", "from the north to the south"
        rf",?\s*\bfrom (?:the )?{_POLE} to (?:the )?{_POLE}\b",
        # "in the upper left corner of the image", "along the northern edge", "on the right", "at the top"
        rf",?\s*\b{_AT} the {_EDGE} ?{_SPOT}{_FRAME}\b,?",
        rf",?\s*\b{_AT} the {_WHERE}{_FRAME_NAMED}\b,?",
        rf",?\s*\b{_AT} the {_WHERE}\b(?![- ]\w),?",
        r"\b(?:diagonally|horizontally|vertically|anti-?clockwise|counter-?clockwise|clockwise)\s*",
    )
)
_THERE = re.compile(rf"^{_AT} the {_WHERE},? (?:there )?(is|are|lies?|stands?|sits?) ", re.IGNORECASE)
_BARE = re.compile(r"\b(is|are)(?: located| situated)?\.$")
_RELATIONS = tuple(
    (re.compile(pattern, re.IGNORECASE), replacement)
    for pattern, replacement in (
        # What lies in a direction from something still lies near it.
        (rf"\b(?:just |directly |immediately )?(?:(?:on|to) the )?{_SIDE}(?: side)? of\b", "near"),
        (
            r"\b(?:just |directly |immediately )?(?:on|to) the (?:(?:upper|lower|top|bottom)[- ])?(?:left|right)"
            r"(?:-hand)?(?: side)? of\b",
            "near",
        ),
        (r"\b(?:left|right) of\b", "near"),
        (r"\b(?:just |directly |immediately )?(?<!from )(?<!straight )(?:above|below)\b(?! and)", "near"),
        (r"\b(?:upper|lower|top|bottom)[- ](?:left|right) of\b", "near"),
    )
)
_KEYWORDS = re.compile(
    rf"\b(?:{_SIDE}|left(?!over)|leftmost|rightmost|right(?![- ](?:next|beside|behind|angle|angles|angled|in front))"
    r"|(?:upper|lower|top|bottom)[- ](?:left|right|half|part|corner|edge|third|side)"
    r"|(?:at|near|towards?|along|on) the (?:top|bottom)|horizontal|vertical|diagonal|clockwise)\b",
    re.IGNORECASE,
)

_OPENERS = re.compile(
    r"^(?:in (?:the|this) (?:image|picture|photo(?:graph)?|scene|view|shot|frame),? )?"
    r"(?:(?:the|this) (?:\w+ ){0,2}(?:image|picture|photo(?:graph)?|scene|view|shot|frame|caption) "
    r"(?:also )?(?:clearly )?(?:shows?|depicts?|displays?|captures?|presents?|features?|contains?|reveals?|provides?|"
    r"offers?|gives?|is(?= an? [^.]*\bview\b))(?: us)?|this is(?= an? [^.]*\bview\b)|"
    r"(?:here,? )?(?:we|you|one) can (?:also |clearly )?(?:see|observe|notice)|"
    r"it can be seen that|there can be seen) ",
    re.IGNORECASE,
)
_FRAMED = re.compile(r"^in (?:the|this) (?:image|picture|photo(?:graph)?|scene|view|shot|frame),? ", re.IGNORECASE)
_VIEW = re.compile(
    r"^(?:an? )?(?:\w+ )?(?:bird'?s[- ]eye|aerial|overhead|top[- ]down|satellite|drone|street[- ]level|ground[- ]level|"
    r"close-up)(?:[- ]\w+)? (?:view|image|picture|photo(?:graph)?|shot|perspective) of ",
    re.IGNORECASE,
)
_EMPTY = re.compile(
    r"^(?:overall|in general|in summary|all in all|the (?:image|picture|scene|photo(?:graph)?|view|overall \w+) "
    r"(?:is|appears|seems|looks|has|conveys|gives|exudes|suggests|evokes)|"
    r"it (?:is|appears|seems|looks|gives|conveys) |(?:the )?(?:atmosphere|mood|impression)\b)"
    r"|\b(?:sense of|atmosphere|impression of|well[- ]maintained and|peaceful|tranquil|bustling|picturesque|"
    r"image quality|high[- ]resolution|daylight conditions)\b",
    re.IGNORECASE,
)
_UNSEEN = {
    "satellite": re.compile(
        r"\b(?:sky|skies|clouds?|horizon|facades?|windows?|doors?|storeys?|stories|floors)\b", re.I
    ),
    "drone": re.compile(r"\b(?:sky|skies|clouds|horizon)\b", re.I),
    "ground": re.compile(r"\b(?:from above|bird'?s[- ]eye|aerial|rooftops? pattern|street grid)\b", re.I),
}


def without_orientation(sentence: str) -> str | None:
    """Take the orientation out of a sentence whose image is turned or mirrored.

    A phrase of position is cut out, a relation in a direction becomes nearness; where a word of orientation is left
    after that, the whole sentence goes, as it does in the paper.

    Returns:
        A readable sentence, or None where the sentence goes.
    """
    text = _THERE.sub(r"There \1 ", sentence)
    for pattern in _PHRASES:
        text = pattern.sub("", text)
    for pattern, near in _RELATIONS:
        text = pattern.sub(near, text)
    text = _BARE.sub(r"\1 visible.", tidy(text))
    return None if _KEYWORDS.search(text) or len(text.split()) < 3 else text


def tidy(text: str) -> str:
    """One space between words, none before a stop, a capital at the start and a stop at the end."""
    text = re.sub(r"\s+", " ", text).strip(" ,;")
    text = re.sub(r"\s+([.,;!?])", r"\1", re.sub(r"[,;]+\s*([.!?])", r"\1", text))
    if text and text[-1] not in ".!?":
        text += "."
    return text[:1].upper() + text[1:]


def refine(caption: str, platform: str) -> str:
    """Keep of a caption what tells places apart: no filler, nothing that the platform cannot show, nothing twice.

    Returns:
        The refined caption; the caption itself where nothing would be left.
    """
    kept: dict[str, str] = {}
    for sentence in sentences_of(caption):
        text = _FRAMED.sub("", _OPENERS.sub("", sentence))
        text = tidy(_VIEW.sub("", text))
        if _EMPTY.search(text) or _UNSEEN[platform].search(text) or len(text.split()) < 3:
            continue
        kept.setdefault(re.sub(r"\W+", " ", text.lower()).strip(), text)
    return " ".join(kept.values()) or tidy(caption)


def refine_by_rules(captions: Sequence[str], platforms: Sequence[str]) -> list[str]:
    """`refine` each caption."""
    return [refine(caption, platform) for caption, platform in zip(captions, platforms, strict=True)]


def refine_by_command(command: str) -> Refiner:
    """A refiner that asks a program of the user's, such as a language model.

    The program gets one JSON object a line, with `caption` and `platform`, and answers each with one, with `caption`.

    Args:
        command: shell command.
    """

    def ask(captions: Sequence[str], platforms: Sequence[str]) -> list[str]:
        lines = [
            json.dumps({"caption": caption, "platform": platform})
            for caption, platform in zip(captions, platforms, strict=True)
        ]
        done = subprocess.run(command, shell=True, input="\n".join(lines) + "\n", capture_output=True, text=True)
        if done.returncode:
            raise TrainingError(f"{command}: ended with status {done.returncode}: {done.stderr.strip()[-300:]}")
        try:
            refined = [str(json.loads(line)["caption"]) for line in done.stdout.splitlines() if line.strip()]
        except (ValueError, KeyError, TypeError) as error:
            raise TrainingError(f"{command}: its answer is no JSON object with 'caption' a line ({error})") from error
        if len(refined) != len(captions):
            raise TrainingError(f"{command}: answered {len(refined)} of {len(captions)} captions")
        return refined

    return ask


@dataclass(frozen=True)
class Wording:
    """What may be said of an image: captions, each a list of sentences.

    Attributes:
        raw: as they were.
        refined: for the image as it is.
        turned: for its turned and mirrored copies: refined, without orientation.
    """

    raw: list[list[str]]
    refined: list[list[str]]
    turned: list[list[str]]


def prepare(images: Sequence[PlaceImage], refiner: Refiner = refine_by_rules) -> list[Wording]:
    """Wordings of each image."""
    captions = [caption for image in images for caption in image.captions]
    refined = iter(refiner(captions, [image.platform for image in images for _ in image.captions]))
    wordings = []
    for image in images:
        raw = [sentences_of(caption) for caption in image.captions]
        fine = [sentences_of(next(refined)) for _ in image.captions]
        turned = [[text for text in map(without_orientation, caption) if text] for caption in fine]
        # Where every sentence was about orientation there is nothing true left to say of a turned copy.
        wordings.append(Wording(raw, fine, [caption for caption in turned if caption]))
    return wordings

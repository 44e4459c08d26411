"""Personal data that can be told by its form: where it stands in a text, and the text without it."""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["PERSONAL_DATA_KINDS", "PersonalDataFound", "PersonalDataKind", "find_personal_data", "redact_personal_data"]

PersonalDataKind = Literal["email", "phone", "card", "iban", "ip", "ssn"]
"""E-mail, telephone number, card (Luhn), bank account (mod 97), public IP address, US social security number."""

_GAP = "[ \\u00a0\\u202f-]"
_PATTERNS: dict[PersonalDataKind, re.Pattern[str]] = {
    "email": re.compile(r"(?<![\w.+-])[\w.+%-]{1,64}[@\uff20](?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24}(?![^\W_])"),
    "iban": re.compile(
        rf"\b[A-Z]{{2}}\d{{2}}(?:{_GAP}?[A-Z0-9]{{4}}){{2,7}}(?:{_GAP}?[A-Z0-9]{{1,3}})?\b", re.IGNORECASE | re.ASCII
    ),
    "card": re.compile(r"(?<![\d.,-])(?:\d[ -]?){12,18}\d(?![\d.,-]?\d)"),
    "ssn": re.compile(
        r"(?<![\d-])(?!000|666|9\d\d)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\d-])"
        r"|\b(?i:ssn|social security(?: number| no\.?)?)[\s:#]{1,4}(?:is\s)?"
        r"(?P<bare>(?!000|666|9\d\d)\d{3} ?\d{2} ?\d{4})(?![\d-])"
    ),
    "ip": re.compile(
        r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.]*\d)"
        r"|(?<![\w:.])[23][0-9A-Fa-f]{3}:(?:[0-9A-Fa-f]{0,4}:){1,6}[0-9A-Fa-f]{0,4}(?![\w:])"
    ),
    "phone": re.compile(
        r"(?<![\w.,/-])(?<!\d[ -])(?:(?!\+\d{1,3}\.\d{1,7}(?![\d.-]))"  # +51.507351 is a coordinate
        r"\+\d{1,3}[ .-]?(?:\(\d{1,4}\)[ .-]?)?\d(?:[ .-]?\d){6,12}"
        r"|00 ?[1-9]\d{0,2}[ .-]\d(?:[ .-]?\d){6,11}"
        r"|(?:1[ .-]?)?\(\d{3}\) ?\d{3}[ .-]\d{4}|8 ?\(\d{3}\) ?\d{3}-\d{2}-\d{2}|\(\d{2}\) ?\d{4,5}-\d{4}"
        r"|(?:1[.-])?(?!000)\d{3}[.-](?!000)\d{3}[.-]\d{4}|(?:1 )?[2-9]\d\d [2-9]\d\d \d{4}"
        r"|1[3-9]\d[ -]\d{4}[ -]\d{4}|0[1-9]-\d{4}-\d{4}"
        r"|0[1-9]-\d{8}|0[1-9](?:([ .-])\d{2})(?:\1\d{2}){3}|0[1-9]\d \d{3} \d{2} \d{2}"
        r"|07[1-9]\d{8}|01[5-7]\d{8,9}|0[4-7]\d{8}"  # mobile telephones of Britain, Germany, France and others
        r"|0[1-9]\d{1,3}[ /-]\d{3,4}[ -]?\d{3,5})(?![\w-]|[.,]\d)"
    ),
}
PERSONAL_DATA_KINDS: tuple[PersonalDataKind, ...] = tuple(_PATTERNS)
_VERSION = re.compile(r"(?:\b(?:version|release|build|section|chapter|clause|article|v|ver)\.?|§)\s*$", re.IGNORECASE)


_CARD_IN_GROUPS = re.compile(
    rf"(?<![\w.-])(?:\d{{4}}({_GAP})\d{{4}}\1\d{{4}}\1\d{{4}}|\d{{4}}{_GAP}\d{{6}}{_GAP}\d{{4,5}}|\d{{13,19}})(?![\w-])"
)
"""A card as it is printed, so that an expiry date or code behind it does not hide it."""
_IBAN_LENGTHS = {
    15: "NO", 16: "BE", 18: "DK FI FK FO GL NL SD", 19: "MK SI", 20: "AT BA EE KZ LT LU MN XK", 21: "CH HR LI LV",
    22: "BG BH CR DE GB GE IE ME RS VA", 23: "AE GI IL IQ OM SO TL", 24: "AD CZ ES MD PK RO SA SE SK TN VG",
    25: "LY PT ST", 26: "IS TR", 27: "BI DJ FR GR IT MC MR SM", 28: "AL AZ BY CY DO GT HN HU LB NI PL SV",
    29: "BR EG PS QA UA", 30: "JO KW MU YE", 31: "MT SC", 32: "LC", 33: "RU",
}  # fmt: skip
_IBAN_LENGTH = {country: length for length, countries in _IBAN_LENGTHS.items() for country in countries.split()}


class PersonalDataFound(NamedTuple):
    """Where personal data stands in a text."""

    kind: PersonalDataKind
    start: int
    end: int


def _luhn(digits: str) -> bool:
    doubled = [int(digit) if index % 2 == 0 else int(digit) * 2 for index, digit in enumerate(reversed(digits))]
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


def _is_real(kind: PersonalDataKind, text: str) -> bool:
    """Check what a pattern cannot: check digits, ranges."""
    if kind == "card":
        digits = "".join(str(unicodedata.digit(char)) for char in text if char.isdecimal())
        return 13 <= len(digits) <= 19 and digits[0] in "23456" and len(set(digits)) > 1 and _luhn(digits)
    if kind == "iban":
        plain = re.sub(_GAP, "", text)
        moved = plain[4:] + plain[:4]
        return 15 <= len(plain) <= 34 and int("".join(str(int(char, 36)) for char in moved)) % 97 == 1
    if kind == "ip":
        try:
            return ipaddress.ip_address(text).is_global
        except ValueError:
            return False
    return True


def _candidates(kind: PersonalDataKind, text: str) -> Iterator[tuple[int, int]]:
    """Yield where the form of a kind stands, without the words or digits that merely follow it."""
    for hit in _PATTERNS[kind].finditer(text):
        if kind == "ssn" and hit["bare"]:
            yield hit.span("bare")
        elif kind != "ip" or not _VERSION.search(text[max(0, hit.start() - 12) : hit.start()]):
            yield hit.start(), _iban_end(hit) if kind == "iban" else hit.end()
    if kind == "card":
        for hit in _CARD_IN_GROUPS.finditer(text):
            yield hit.span()


def _iban_end(hit: re.Match[str]) -> int:
    """Return where a bank account of this country ends: in `AT61 1904 3002 3457 3201 BIC` before `BIC`."""
    left = _IBAN_LENGTH.get(hit.group()[:2].upper(), len(hit.group()))
    for index, char in enumerate(hit.group()):
        left -= char.isalnum()
        if left == 0:
            return hit.start() + index + 1
    return hit.end()


def find_personal_data(text: str, kinds: Sequence[PersonalDataKind] = PERSONAL_DATA_KINDS) -> list[PersonalDataFound]:
    """Find personal data by its form; what overlaps is reported once, as the first kind of the list.

    Names and postal addresses have no form and are not found.

    Examples:
        >>> [found.kind for found in find_personal_data("Mail ada@example.org, card 4111 1111 1111 1111.")]
        ['email', 'card']
    """
    found: list[PersonalDataFound] = []
    taken = bytearray(len(text))
    for kind in _PATTERNS:
        if kind not in kinds:
            continue
        for start, end in _candidates(kind, text):
            if taken.find(1, start, end) == -1 and _is_real(kind, text[start:end]):
                taken[start:end] = b"\1" * (end - start)
                found.append(PersonalDataFound(kind, start, end))
    return sorted(found, key=lambda one: one.start)


def redact_personal_data(text: str, kinds: Sequence[PersonalDataKind] = PERSONAL_DATA_KINDS) -> str:
    """Replace personal data by `[email]`, `[card]` and so on.

    Examples:
        >>> redact_personal_data("Call +44 20 7946 0958 or write to ada@example.org.")
        'Call [phone] or write to [email].'
    """
    pieces: list[str] = []
    last = 0
    for found in find_personal_data(text, kinds):
        pieces += [text[last : found.start], f"[{found.kind}]"]
        last = found.end
    return "".join(pieces) + text[last:]

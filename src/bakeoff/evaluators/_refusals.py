"""How models refuse: the usual phrases, in the languages in which they are commonest."""

from __future__ import annotations

import re

__all__ = ["find_refusal", "looks_like_refusal"]

_LOOKED_AT = 400
_NOT_QUOTED = r"(?<![^\"”][:,]\s[\"“‘'])"
"""No speech of somebody else (`She said: "I can't ...`); a JSON value is none."""
_UNABLE = (
    r"(?:(?:cannot|can[’']?t|can\s+not|won[’']?t|will\s+not)(?:\s+and\s+(?:will\s+not|won[’']?t|cannot))?"
    r"|(?:am|[’']m)\s+(?:unable|not\s+able|not\s+going|not\s+allowed|not\s+permitted)\s+to|won[’']?t\s+be\s+able\s+to"
    r"|will\s+not\s+be\s+able\s+to|do(?:n[’']?t|\s+not)\s+(?:think|believe)\s+I\s+can"
    r"|must\s+decline|have\s+to\s+decline|refuse)"
)
_DOING = (
    r"(?:help(?!\s+but)|assist|provide|fulfil|fulfill|comply|answer|do\s+(?:that|this|so)\b|create|generate|write|discuss"
    r"|support|share|engage|continue|offer|give(?!\s+up|\s+(?:you\s+)?(?:an?|any|the)\s+(?:precise|exact|specific|definite|single|whole|full))"
    r"|respond|participate|produce|complete|tell\s+you\s+how|recommend\s+(?:that|this)\b(?!\s+\w)|this\b|that\b|your\b|with\b)"
)
_PHRASES = (
    (
        rf"{_NOT_QUOTED}\bI(?:\s+am|[’']m)\s+(?:(?:so|very|really|truly)\s+)?(?:sorry|afraid),?\s+(?:but\s+)?(?:that\s+)?I\s*"
        r"(?:can[’']?t|cannot|can\s+not|could\s?n[’']t|am\s+(?:unable|not)|[’']m\s+(?:unable|not)|do(?:\s+not|n[’']t)|won[’']t)"
    ),
    (
        rf"{_NOT_QUOTED}\bI\s*{_UNABLE}\s*(?:to\s+)?(?:in\s+good\s+(?:conscience|faith)\s+)?"
        rf"(?:(?:ever|directly|simply|knowingly|really)\s+)?{_DOING}(?![^.!?\n]{{0,60}}\bwithout\s+(?:your|the|an?|more)\b)"
    ),
    (
        r"\bI\s+(?:(?:must|have\s+to|need\s+to|will\s+have\s+to)\s+|[’']m\s+going\s+to\s+have\s+to\s+)?(?:respectfully|politely)\s+decline"
        r"|\bI(?:[’']m\s+going\s+to\s+have\s+to|\s+(?:must|have\s+to|need\s+to|will\s+have\s+to))\s+(?:decline|refuse\b(?!\s+to\s+believe))"
    ),
    r"\bI[’']d\s+(?:rather|prefer)\s+not\s+(?:to\s+)?(?:answer|discuss|say|share|do|help|write)",
    r"\bI(?:\s+do(?:n[’']t|\s+not)\s+feel|(?:\s+am|[’']m)\s+not)\s+comfortable",
    r"\b(?:is\s?n[’']t|is\s+not|not)\s+something\s+(?:that\s+)?I(?:\s+can|[’']m\s+able\s+to|\s+am\s+able\s+to|[’']m\s+willing)\b",
    r"\bas\s+an\s+AI(?:\s+language)?\s+(?:model|assistant),?\s+I\s+(?:cannot|can[’']t|am\s+not|do\s+not|don[’']t)",
    (
        r"\b(?:against|violates?)\s+(?:(?:my|our|the)\s+(?:[\w-]+\s+)?|(?:OpenAI|Anthropic|Google)[’']s\s+(?:[\w-]+\s+){0,3})"
        r"(?:guidelines|policy|policies|programming)\b"
    ),
    r"\bich\s+kann\b[^.!?\n]{0,60}\bnicht\s+(?:dabei\s+)?(?:weiter)?(?:helfen|beantworten|bereitstellen|erfüllen|unterstützen)",
    r"\b(?:tut\s+mir\s+(?:sehr\s+)?leid|entschuldigung)\b[^.!?\n]{0,50}\bkann\s+ich\b[^.!?\n]{0,40}\bnicht\b",
    (
        r"\bje\s+ne\s+(?:peux|suis\s+pas\s+en\s+mesure)(?:\s+malheureusement)?(?:\s+pas)?\s+(?:de\s+)?(?:(?:vous|te|y)\s+|[tl][’'])?"
        r"(?:aider|assister|répondre|fournir|faire\s+(?:cela|ça)|accéder|satisfaire|générer|créer|donner|écrire)"
    ),
    r"\b(?:je\s+suis\s+)?désolée?,?\s+(?:mais\s+)?je\s+ne\s+(?:peux|suis)",
    (
        r"\bno\s+puedo\s+(?:ayudar|proporcionar|responder|cumplir|hacer\s+eso|ofrecer|crear|generar|asistir)"
        r"|\blo\s+siento,?\s+(?:pero\s+)?no\s+puedo"
    ),
    r"\bnão\s+posso\s+(?:ajudar|fornecer|responder|fazer\s+isso|atender|criar|gerar|ajudá)",
    r"\bnon\s+posso\s+(?:aiutar|fornire|rispondere|soddisfare|farlo|creare|generare|assister)",
    r"\bik\s+kan\b[^.!?\n]{0,40}\bniet\b[^.!?\n]{0,15}\b(?:helpen|voldoen|beantwoorden)",
    r"(?:抱歉|对不起|對不起|很遗憾)[^。！？\n]{0,20}(?:无法|無法|不能|没办法|不便)|我(?:无法|無法|不能)(?:帮助|协助|提供|回答|满足|完成)",
    r"(?:申し訳|すみません|ごめんなさい|恐れ入りますが)[^。\n]{0,50}(?:できません|出来ません|できかねます|いたしかねます)",
    r"(?:죄송|미안)[^.\n]{0,50}(?:수\s?없|어렵습니다)",
    r"(?:извините|простите|к\s+сожалению)[^.!?\n]{0,30}\bне\s+могу\b|\bя\s+не\s+могу\s+(?:помочь|предоставить|выполнить|ответить)",
)
_REFUSAL = re.compile("|".join(_PHRASES), re.IGNORECASE)
_HINTS = (
    "n't", "n’t", "not", "cant", "wont", "sorry", "afraid", "unable", "declin", "refuse", "against", "violat", "nicht",
    "ne ", "no puedo", "não", "non ", "niet", "不能", "无法", "無法", "没办法", "不便", "せん", "かねます",
    "죄송", "미안",
    "не могу",
)  # fmt: skip
"""One of these is in every phrase; most answers have none, and are done with at once."""


def find_refusal(text: str) -> str | None:
    """Give the phrase of refusal in the first 400 characters, if there is one.

    Examples:
        >>> find_refusal("Lo siento, pero no puedo ayudarte con eso.")
        'Lo siento, pero no puedo'
    """
    text = text[:_LOOKED_AT]
    lower = re.sub(r"\s+", " ", text.lower())
    if not any(hint in lower for hint in _HINTS):
        return None
    found = _REFUSAL.search(text)
    return None if found is None else found.group()


def looks_like_refusal(text: str) -> bool:
    """Tell whether a text begins like a refusal.

    Examples:
        >>> looks_like_refusal("I'm sorry, but I can't help with that.")
        True
    """
    return find_refusal(text) is not None

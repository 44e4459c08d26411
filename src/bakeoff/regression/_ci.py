"""A gate for machines that run tests: JUnit XML, annotations, JSON."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from bakeoff.errors import StoreError
from bakeoff.experiments import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from bakeoff.regression._result import GateResult, ItemChange, RuleResult

__all__ = ["annotations", "junit_xml", "write_outputs"]

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MAX_ANNOTATION = 4000


def junit_xml(result: GateResult) -> str:
    """Return JUnit XML: one test case for each rule and one for each item.

    A failed rule is a failure, an undecided one is skipped with its reason, a broken run is an error. An item alone
    never fails the report - single items flip by chance, that is what the rules are for - unless it is a sentinel.

    Examples:
        >>> from bakeoff.regression import GateResult
        >>> empty = GateResult(run_id="r", experiment="e", outcome="pass", headline="PASS", rules=(), alpha=0.05,
        ...                    alpha_look=0.05, n_items=0, statement="")
        >>> junit_xml(empty).splitlines()[0]
        "<?xml version='1.0' encoding='utf-8'?>"
    """
    root = ET.Element("testsuites", name=_clean(f"bakeoff {result.experiment}"))
    gate = ET.SubElement(root, "testsuite", name="bakeoff.gate")
    properties = ET.SubElement(gate, "properties")
    for name, value in (
        ("run", result.run_id), ("outcome", result.outcome), ("baseline", result.baseline),
        ("statement", result.statement), *((f"note.{i + 1}", note) for i, note in enumerate(result.notes)),
    ):  # fmt: skip
        ET.SubElement(properties, "property", name=name, value=_clean(value))
    for rule in result.rules:
        _rule_case(gate, rule)
    if result.outcome == "infrastructure" and not any(rule.outcome == "infrastructure" for rule in result.rules):
        case = ET.SubElement(gate, "testcase", classname="bakeoff.gate", name="the run is complete")
        ET.SubElement(case, "error", message=_clean(result.headline), type="infrastructure")
    items = ET.SubElement(root, "testsuite", name="bakeoff.items")
    failing = {(item, rule.variant) for rule in result.rules if rule.outcome == "fail" for item in rule.items}
    for change in result.items:
        _item_case(items, change, failing=(change.item, change.variant) in failing)
    for suite in (gate, items):
        cases = list(suite.iter("testcase"))
        for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            suite.set(name, str(sum(case.find(tag) is not None for case in cases)))
        suite.set("tests", str(len(cases)))
    ET.indent(root)
    return ET.tostring(root, encoding="utf-8", xml_declaration=True).decode() + "\n"


def _rule_case(suite: ET.Element, rule: RuleResult) -> None:
    case = ET.SubElement(
        suite, "testcase", classname=f"bakeoff.gate.{_clean(rule.variant)}", name=_clean(rule.rule), time="0"
    )
    if rule.outcome == "fail":
        ET.SubElement(case, "failure", message=_clean(rule.because), type=rule.kind).text = _clean(_details(rule))
    elif rule.outcome == "inconclusive":
        ET.SubElement(case, "skipped", message=_clean(f"inconclusive: {rule.because}"))
    elif rule.outcome == "infrastructure":
        ET.SubElement(case, "error", message=_clean(rule.because), type="infrastructure")
    else:
        ET.SubElement(case, "system-out").text = _clean(rule.because)


def _details(rule: RuleResult) -> str:
    lines = [rule.because, *rule.warnings]
    if rule.is_statistical:
        lines.append(f"p = {rule.p_value:.3g}, {rule.p_adjusted:.3g} after correction; {rule.method}; n = {rule.n}")
    return "\n".join(lines)


def _item_case(suite: ET.Element, change: ItemChange, *, failing: bool) -> None:
    case = ET.SubElement(
        suite, "testcase", classname=f"bakeoff.items.{_clean(change.variant)}", name=_clean(change.item), time="0"
    )
    then = "-" if change.then != change.then else f"{change.then:.4g}"
    now = "-" if change.now != change.now else f"{change.now:.4g}"
    said = f"{change.metric}: {now} now, {then} in the baseline ({change.change})"
    if failing:
        ET.SubElement(case, "failure", message=_clean(f"sentinel item: {said}"), type="no_new_failures")
    elif change.change == "missing":
        ET.SubElement(case, "skipped", message=_clean(f"no score{': ' + change.error if change.error else ''}"))
    elif change.change != "same":
        ET.SubElement(case, "system-out").text = _clean(said)


def _clean(text: str) -> str:
    """Replace characters that XML 1.0 cannot hold."""
    return _NOT_XML.sub("\ufffd", text)


def annotations(result: GateResult, *, style: str = "github") -> list[str]:
    """Return one line for each rule that did not pass, as a CI system shows it beside the change.

    Args:
        result: The decision.
        style: `github` (workflow commands) or `plain`.
    """
    levels = {"fail": "error", "infrastructure": "error", "inconclusive": "warning"}
    lines: list[str] = []
    for rule in result.rules:
        if rule.outcome == "pass":
            continue
        title = f"{rule.outcome}: {rule.rule}" + (f" ({rule.variant})" if rule.variant else "")
        if style == "github":
            lines.append(f"::{levels[rule.outcome]} title={_property(title)}::{_command(rule.because)}")
        else:
            lines.append(" ".join(f"{levels[rule.outcome]}: {title}: {rule.because}".split()))
    if result.outcome == "infrastructure":
        lines.append(f"::error title=infrastructure::{_command(result.headline)}" if style == "github" else
                     f"error: {result.headline}")  # fmt: skip
    return lines


def _command(text: str) -> str:
    """Escape the data of a workflow command: no text of a model can start a command of its own."""
    return text[:_MAX_ANNOTATION].replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _command(text).replace(":", "%3A").replace(",", "%2C")


def write_outputs(result: GateResult, files: Iterable[tuple[Path, str]]) -> None:
    """Write reports; an empty text means the JSON of the whole decision.

    Raises:
        StoreError: A file cannot be written.
    """
    for path, text in files:
        content = text or json.dumps(result.to_dict(), indent=1, ensure_ascii=False) + "\n"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{str(path.parent)!r} cannot be made: {error.strerror}") from error
        write_atomically(path, content.encode("utf-8", "replace"))

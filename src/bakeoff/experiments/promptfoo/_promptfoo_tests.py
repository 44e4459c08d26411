"""promptfoo tests, scenarios and `defaultTest` as items with checks."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bakeoff.experiments.promptfoo._promptfoo_asserts import assertion_of_text, checks_of
from bakeoff.experiments.promptfoo._promptfoo_files import Date, Files, NotCarriedError, Notes, fill, listed
from bakeoff.experiments.promptfoo._promptfoo_text import AROUND

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["items_of"]

_MOST_ITEMS = 100_000
_SILENT = {"vars", "assert", "description", "threshold", "metadata", "options"}


def items_of(config: Mapping[str, Any], *, files: Files, notes: Notes) -> list[dict[str, Any]]:
    """Return one row by test and combination of variables: `id`, `inputs`, `metadata` with the checks.

    Args:
        config: The promptfoo file.
        files: Where `file://` leads.
        notes: What is left out or changed.
    """
    default = _default(config, files, notes)
    rows: list[dict[str, Any]] = []
    given = config.get("assertionTemplates")
    templates = given if isinstance(given, dict) else {}
    for test in _all_tests(config, files, notes):
        whole = _merged(default, test)
        for inputs in _expanded(whole, files, notes):
            if len(rows) >= _MOST_ITEMS:
                notes.lose(f"tests after the first {_MOST_ITEMS:,}")
                return rows
            rows.append(_row(len(rows), whole, inputs, templates=templates, files=files, notes=notes))
    return rows


def _row(
    index: int,
    test: Mapping[str, Any],
    inputs: dict[str, Any],
    *,
    templates: Mapping[str, Any],
    files: Files,
    notes: Notes,
) -> dict[str, Any]:
    threshold = test.get("threshold")
    by_score = isinstance(threshold, int | float) and not isinstance(threshold, bool)
    checks = checks_of(
        listed(test.get("assert")), inputs, templates=templates, files=files, notes=notes, shares=by_score
    )  # fmt: skip
    metadata: dict[str, Any] = dict(test["metadata"]) if isinstance(test.get("metadata"), dict) else {}
    if test.get("description"):
        metadata["description"] = str(test["description"])
    if isinstance(threshold, int | float) and by_score:
        least = min(max(float(threshold), 0.0), 1.0)
        metadata["checks"] = {"checks": checks, "threshold": least}
        if not 0 <= threshold <= 1:
            notes.change(f"tests: the threshold {threshold} is read as {least:g}; no score lies beyond")
    else:
        metadata["checks"] = checks
    if not checks and not test.get("assert"):
        notes.change("tests without assertions have no score; promptfoo passes them")
    elif not checks:
        notes.change("tests without a check that could be carried have no score")
    row: dict[str, Any] = {"id": f"t{index + 1:04d}", "inputs": inputs, "metadata": metadata}
    for key in AROUND:  # taken out again by `add_around`
        template = str(test["options"].get(key) or "")
        row[key] = (template, _filled(key, template, inputs, notes))
    return row


def _default(config: Mapping[str, Any], files: Files, notes: Notes) -> dict[str, Any]:
    found: Any = None
    try:
        found = files.value(config.get("defaultTest"))
    except NotCarriedError as error:
        notes.lose(f"defaultTest: {error}")
    return found if isinstance(found, dict) else {}


def _all_tests(config: Mapping[str, Any], files: Files, notes: Notes) -> Iterator[dict[str, Any]]:
    plain = list(_listed(config.get("tests"), files, notes, "tests"))
    scenarios = list(_listed(config.get("scenarios"), files, notes, "scenarios"))
    if not plain and not scenarios:
        yield {}  # promptfoo asks each prompt once
    yield from plain
    for scenario in scenarios:
        settings = list(_listed(scenario.get("config"), files, notes, "scenarios")) or [{}]
        tests = list(_listed(scenario.get("tests"), files, notes, "scenarios")) or [{}]
        for setting, test in itertools.product(settings, tests):
            whole = _merged(setting, test)
            if scenario.get("description"):
                name = str(test.get("description") or "")
                whole["description"] = f"{scenario['description']}: {name}" if name else scenario["description"]
            yield whole


def _listed(value: Any, files: Files, notes: Notes, what: str) -> Iterator[dict[str, Any]]:
    """Yield mappings from a list whose entries may be files, or from a file."""
    for entry in value if isinstance(value, list) else [] if value is None else [value]:
        if isinstance(entry, dict) and "path" in entry and not _SILENT & set(entry):
            entry = entry["path"]  # {path: file://tests.csv, config: ...}
        if isinstance(entry, str):
            yield from _from_files(entry, files, notes, what)
        elif isinstance(entry, dict):
            yield entry
        else:
            notes.lose(f"{what}: {str(entry)[:60]!r} is no test")


def _from_files(reference: str, files: Files, notes: Notes, what: str) -> Iterator[dict[str, Any]]:
    if "://" in reference and not reference.startswith("file://"):
        notes.lose(f"{what}: {reference!r} is on the network, which import does not read; download it")
        return
    try:
        for path in files.find(reference):
            data = files.data(path)
            if not isinstance(data, list):
                data = [data]
            for row in data:
                if not isinstance(row, dict):
                    notes.lose(f"{what}: {path.name!r} has an entry that is no test")
                elif path.suffix.lower() == ".csv" or (path.suffix.lower() == ".json" and not _SILENT & set(row)):
                    if path.suffix.lower() == ".json":
                        notes.change(
                            f"tests: the rows of {path.name!r} are taken for variables, which promptfoo leaves out"
                        )
                    yield _of_csv(row, notes)
                else:
                    yield row
    except NotCarriedError as error:
        notes.lose(f"{what}: {error}")


def _of_csv(row: Mapping[str, Any], notes: Notes) -> dict[str, Any]:
    """Read a row of a table: `__expected` columns are assertions, other columns variables."""
    test: dict[str, Any] = {"vars": {}, "assert": [], "metadata": {}, "options": {}}
    metric = row.get("__metric")
    for key, value in row.items():
        if key is None or value is None:
            continue
        name = str(key).strip()
        if not name.startswith("__"):
            test["vars"][name] = value
        elif name.startswith("__expected"):
            if str(value).strip():
                test["assert"].append(assertion_of_text(str(value)) | ({"metric": metric} if metric else {}))
        elif name == "__description":
            test["description"] = value
        elif name == "__threshold":
            _take_threshold(test, value, notes)
        elif name in ("__prefix", "__suffix"):
            test["options"][name.removeprefix("__")] = value
        elif re.fullmatch(r"__config:__expected\d*:threshold", name):
            _take_assertion_threshold(test, name, value, notes)
        elif name.startswith("__metadata:"):
            test["metadata"][name.removeprefix("__metadata:").removesuffix("[]")] = value
        elif name != "__metric" and str(value).strip():
            notes.lose(f"tests: column `{name}`")
    return test


def _take_threshold(test: dict[str, Any], value: Any, notes: Notes) -> None:
    try:
        if str(value).strip():
            test["threshold"] = float(value)
    except ValueError:
        notes.lose(f"tests: `__threshold` {value!r} is no number")


def _take_assertion_threshold(test: dict[str, Any], name: str, value: Any, notes: Notes) -> None:
    """Read `__config:__expected2:threshold`; the columns of the assertions must stand before it."""
    number = int(re.sub(r"\D", "", name) or 1)
    try:
        test["assert"][number - 1]["threshold"] = float(value)
    except (ValueError, IndexError):
        notes.lose(f"tests: column `{name}` with {value!r}")


def _merged(default: Mapping[str, Any], test: Mapping[str, Any]) -> dict[str, Any]:
    """Lay a test over its default: variables and options by name, assertions one after the other."""
    whole = {**default, **test}
    for key in ("vars", "metadata", "options"):
        whole[key] = {
            **(default[key] if isinstance(default.get(key), dict) else {}),
            **(test[key] if isinstance(test.get(key), dict) else {}),
        }
    if isinstance(test.get("vars"), (str, list)):
        whole["vars_files"] = listed(test["vars"])
    disabled = bool(whole["options"].get("disableDefaultAsserts"))
    whole["assert"] = [*([] if disabled else listed(default.get("assert"))), *listed(test.get("assert"))]
    return whole


def _expanded(test: Mapping[str, Any], files: Files, notes: Notes) -> Iterator[dict[str, Any]]:
    """Yield the variables of a test; lists become one item by entry, and all combinations of several lists."""
    _tell_what_is_lost(test, notes)
    values: dict[str, Any] = {str(name): value for name, value in test["vars"].items()}
    for reference in test.get("vars_files", []):
        try:
            for path in files.find(str(reference)):
                read = files.data(path)
                values.update({str(key): entry for key, entry in read.items()} if isinstance(read, dict) else {})
        except NotCarriedError as error:
            notes.lose(f"vars: {error}")
    expands = not test["options"].get("disableVarExpansion")
    choices = [_choices(name, value, files, notes) if expands else [value] for name, value in values.items()]
    for chosen in itertools.product(*choices):
        inputs = {name: _read(name, value, files, notes) for name, value in zip(values, chosen, strict=True)}
        yield {name: _filled(name, value, inputs, notes) for name, value in inputs.items()}


def _choices(name: str, value: Any, files: Files, notes: Notes) -> list[Any]:
    """Return what a variable may be: the entries of a list of texts, the files of a pattern, or the value alone."""
    if isinstance(value, str) and value.startswith("file://"):
        try:
            return list(files.find(value))
        except NotCarriedError as error:
            notes.lose(f"variable {name!r}: {error}")
            return [""]
    return value if isinstance(value, list) and value and isinstance(value[0], str) else [value]


def _read(name: str, value: Any, files: Files, notes: Notes) -> Any:
    """Read a variable as promptfoo gives it to a prompt: files are text, YAML is JSON."""
    try:
        if isinstance(value, str) and value.startswith("file://"):
            value = files.find(value)[0]
        if isinstance(value, Path):
            if value.suffix.lower() in (".yaml", ".yml"):
                return json.dumps(files.data(value), ensure_ascii=False, separators=(",", ":"), default=str)
            return files.text(value).strip()
    except NotCarriedError as error:
        notes.lose(f"variable {name!r}: {error}")
        return ""
    if value is None:
        return ""
    if isinstance(value, Date):
        notes.change(f"variable {name!r}: the date {value} is text here; promptfoo prints `[object Object]`")
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return int(value)
    return value.removesuffix("\n") if isinstance(value, str) else value


def _filled(name: str, value: Any, inputs: Mapping[str, Any], notes: Notes) -> Any:
    try:
        return fill(value, inputs, strict=True)
    except KeyError:
        return value  # promptfoo leaves a text alone that names what the test does not have
    except NotCarriedError as error:
        notes.change(f"variable {name!r} stays as it is written: {error}")
        return value


def _tell_what_is_lost(test: Mapping[str, Any], notes: Notes) -> None:
    for key in sorted(set(test) - _SILENT - {"vars_files"}):
        if test[key] not in (None, "", [], {}):
            notes.lose(f"tests: `{key}`")
    for key, value in test["options"].items():
        if key in ("disableVarExpansion", "disableDefaultAsserts", "provider", *AROUND) or value in (None, "", [], {}):
            continue
        program = "transform" in key.lower() or key == "postprocess"
        notes.lose(f"options: `{key}`" + (": the checks judge the output as it came" if program else ""))

"""Write docs/evaluators/ from the docstrings of the evaluators. `--check` only compares."""

from __future__ import annotations

import json
import re
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from bakeoff.evaluators import CatalogueEntry, evaluator_catalogue, evaluator_class, load_evaluator

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "evaluators"
FAMILIES = {
    "check": "Checks: is it right, well formed, fast enough?",
    "text": "Text metrics: how near is it to a reference?",
    "combine": "Combinations",
    "judge": "Judges: a model decides",
    "pairwise": "Pairwise: which of two is better?",
    "retrieval": "Retrieval",
    "agent": "Agents and tools",
    "code": "Code: the validation mesh",
    "safety": "Safety (pass means safe)",
    "adapter": "Scorers of other libraries",
    "custom": "Your own",
}
QUESTIONS = [
    ("Is it exactly the expected answer?", ["exact_match"], "add `normalise` steps for case, punctuation, articles"),
    ("Does it hold the expected answer somewhere?", ["contains", "regex"], "`contains` for words, `regex` for a form"),
    ("Does it start or end as it should?", ["starts_with", "ends_with"], ""),
    ("Is the number right?", ["numeric"], "tolerance, units, percent; `pattern` says where the answer stands"),
    ("Is the date right?", ["date"], ""),
    ("Is the category right?", ["label_match"], "gives a confusion matrix"),
    ("Is it one of the allowed answers?", ["one_of"], ""),
    ("Does a list hold the right entries?", ["list_overlap"], "precision, recall, F1"),
    ("Is the JSON valid, of the right shape, right?", ["json_valid", "json_schema", "json_match"], "in this order"),
    ("Is it valid XML, YAML, CSV or HTML?", ["xml_valid", "yaml_valid", "csv_valid", "html_valid"], ""),
    ("Is the SQL valid, does it mean the same?", ["sql_valid", "sql_equivalent"], "give `setup` to compare by rows"),
    ("Is it a URL or an e-mail address?", ["url_valid", "email_valid"], "nothing is called"),
    ("Is it in the right language, readable, short enough?", ["language", "readability", "length"], ""),
    ("Did the model refuse?", ["refusal"], "`wanted: true` for harmful requests"),
    ("How fast, how dear, how long was it?", ["latency", "ttft", "cost", "tokens"], "lower is better"),
    ("Was it cut off?", ["finish_reason"], ""),
    ("How sure was the model?", ["perplexity"], "needs log-probabilities"),
    (
        "How near is a short text to the reference?",
        ["levenshtein", "jaro_winkler", "ngram_similarity"],
        "by characters",
    ),
    ("How much of a reference answer is covered?", ["token_f1", "rouge"], "by words; answers and summaries"),
    ("Does it mean nearly the same?", ["embedding_similarity"], "by an embedding model; `correctness` for facts"),
    ("How good is a translation?", ["chrf", "bleu"], "prefer `chrf` for single sentences"),
    ("Several things at once?", ["all", "any", "at_least", "weighted"], "one score instead of several"),
    ("Does every case have checks of its own?", ["item_checks"], "a test suite; `bakeoff import promptfoo` makes them"),
    ("Is it good by a criterion only a reader can judge?", ["judge"], "one yes/no question; the most reliable form"),
    ("How good is it on several criteria?", ["rubric", "guidelines", "g_eval"], "anchored marks, or a list of rules"),
    ("Does it say the same as the reference, in other words?", ["correctness", "factuality"], ""),
    ("Does it answer the question?", ["closed_qa", "answer_relevance"], ""),
    ("Is a summary good?", ["summary_quality"], "with `faithfulness` for what it invents"),
    ("Did an agent reach the goal?", ["goal_completion"], "reads the whole conversation"),
    ("Which of two answers is better?", ["pairwise"], "both orders; outcomes feed Bradley-Terry"),
    ("Does retrieval find the right documents?", ["hit_rate", "recall_at_k", "precision_at_k"], "labelled relevance"),
    ("Are they high up?", ["mrr", "ndcg", "average_precision"], "`ndcg` for graded relevance"),
    ("Are retrieved passages of use?", ["context_relevance"], "without labels, by a judge"),
    ("Is the answer supported by the passages?", ["faithfulness", "citations"], "claim by claim, citation by citation"),
    ("Were the right tools called?", ["tool_calls"], "names and arguments"),
    ("Is every turn of a conversation right?", ["turn_checks"], "any check or judge, turn by turn"),
    ("Was the work handed over to the right agent?", ["handoffs"], "from the trace or `transfer_to_...` tools"),
    ("Did an agent go a sensible way?", ["trajectory"], "order, loops, steps, cost"),
    ("Does the code work?", ["code_tests", "code_output"], "Python or JavaScript, in a [sandbox](../sandbox.md)"),
    (
        "Is the code sound, without running it?",
        ["code_syntax", "code_style", "code_security", "code_types"],
        "Python or JavaScript",
    ),
    ("All of that about code, with a consensus?", ["code_mesh"], "five stages; asks for a person where they disagree"),
    ("Does it give away personal data or secrets?", ["pii", "secrets"], "by form; names need a judge"),
    ("Did an injected instruction work?", ["injection_echo"], "plant a marker"),
    ("Does it repeat the system prompt?", ["prompt_leak"], ""),
    ("Is it free of hate, insults, threats?", ["toxicity", "moderation"], "by a judge, or by a provider's endpoint"),
    ("Does it use words it must not?", ["banned_terms"], ""),
    (
        "Something that another library measures?",
        ["autoevals", "deepeval", "inspect", "mlflow", "pydantic_evals", "ragas"],
        "install the library; its models are called through the gateway",
    ),
    ("Something else?", ["python"], "a function of yours"),
]
MODEL = "openai/gpt-5-mini"
EXAMPLES: dict[str, Any] = {
    "all": ["json_valid", {"contains": "refund"}],
    "any": [{"contains": "yes"}, {"contains": "ja"}],
    "at_least": {"k": 2, "of": [{"contains": "a"}, {"contains": "b"}, {"contains": "c"}]},
    "weighted": [{"contains": {"all": "refund", "weight": 3}}, {"length": {"max": 80}}],
    "banned_terms": ["guarantee", "free of charge"],
    "contains": {"any": ["refund", "money back"], "none": ["guarantee"]},
    "json_schema": {"schema": {"type": "object", "required": ["city"]}},
    "label_match": {"labels": ["billing", "bug", "other"], "synonyms": {"bug": ["defect"]}},
    "length": {"max": 80},
    "latency": 2000,
    "numeric": {"pattern": r"A:\s*(-?[\d,.]+)", "tolerance": 0.01},
    "one_of": ["yes", "no"],
    "injection_echo": "PWNED-7193",
    "prompt_leak": {"words": 8},
    "python": None,
    "regex": r"^\d{3}-\d{4}$",
    "starts_with": ["Yes", "No"],
    "ends_with": "?",
    "turn_checks": {"check": {"judge": {"model": MODEL, "question": "Is the reply polite?"}}},
    "handoffs": {"order": ["billing"], "max_handoffs": 2},
    "toxicity": {"model": MODEL, "harms": ["hate", "harassment", "threats"]},
    "moderation": {"max_score": 0.5, "categories": ["violence", "hate"]},
    "trajectory": {"required": ["search"], "forbidden": ["delete"], "max_steps": 8},
    "code_tests": {"before": "inputs.prompt", "tests": "metadata.test", "after": "check({metadata.entry_point})"},
    "judge": {"model": MODEL, "question": "Does the reply say what happens next?"},
    "rubric": {
        "model": MODEL,
        "criteria": {"clarity": {"description": "Is it easy to follow?", "anchors": {1: "no", 3: "partly", 5: "yes"}}},
    },
    "guidelines": {"model": MODEL, "rules": ["Says 'sign in', never 'log in'.", "Has no exclamation marks."]},
    "correctness": {"model": MODEL, "jury": ["anthropic/claude-haiku-4-5"], "samples": 1, "quorum": 2},
    "embedding_similarity": {"model": "openai/text-embedding-3-small", "threshold": 0.8},
    "g_eval": {"model": MODEL, "criterion": "coherence: does it form one well-ordered text?"},
    "faithfulness": {"model": MODEL, "passages": "metadata.passages", "threshold": 0.9},
    "autoevals": {"scorer": "Factuality", "model": MODEL},
    "deepeval": {"scorer": "FaithfulnessMetric", "model": MODEL, "fields": {"retrieval_context": "metadata.passages"}},
    "inspect": {"scorer": "match", "args": {"numeric": True}},
    "mlflow": {"scorer": "RegexMatch", "args": {"pattern": "^Answer:"}},
    "pydantic_evals": {"scorer": "LLMJudge", "model": MODEL, "args": {"rubric": "Does it answer the question?"}},
    "ragas": {"scorer": "ContextRecall", "model": MODEL, "fields": {"retrieved_contexts": "metadata.passages"}},
    "ndcg": {"k": 10, "output_path": "sources"},
}
COMMON = ("name", "negate", "not", "threshold", "weight", "output_path", "expected", "expected_path")
JUDGING = (
    *("model", "temperature", "max_tokens", "params", "api_base", "api_key_env", "guidance", "structured", "retries"),
    *("timeout_s", "pin", "jury", "samples", "join", "quorum", "escalate_below"),
)
KINDS = {
    "binary": "pass or fail",
    "bounded": "number from 0 to 1",
    "continuous": "number",
    "label": "word",
}


def example_of(entry: CatalogueEntry) -> str:
    """Write how the evaluator stands in a spec file, and make sure that it loads."""
    if entry.kind == "python":
        return "evaluators:\n  - my_checks.py:is_short\n  - python: {function: my_checks.py:tone, name: tone}\n"
    spec: Any = entry.kind
    if entry.kind in EXAMPLES:
        spec = {entry.kind: EXAMPLES[entry.kind]}
    elif entry.options.get("required"):
        spec = {entry.kind: {"model": MODEL}}
    if entry.family != "adapter":  # needs the library; tests/evaluators/adapters loads every form with the real ones
        load_evaluator(spec)
    return yaml.safe_dump({"evaluators": [spec]}, sort_keys=False, allow_unicode=True, width=100)


def type_of(node: Mapping[str, Any]) -> str:
    """Say in words what an option takes."""
    if "enum" in node:
        return " \\| ".join(f"`{value}`" for value in node["enum"])
    if "const" in node:
        return f"`{node['const']}`"
    if "anyOf" in node:
        return " \\| ".join(type_of(one) for one in node["anyOf"] if one.get("type") != "null")
    if node.get("type") == "array":
        inner = type_of(node.get("items", {})) if isinstance(node.get("items"), Mapping) else ""
        return f"list of {inner}" if inner and "prefixItems" not in node else "list"
    return str(node.get("type", node.get("$ref", "any").rpartition("/")[2] or "any"))


def default_of(node: Mapping[str, Any]) -> str:
    """Show a default."""
    if "default" not in node or node["default"] in (None, "", []):
        return ""
    return f"`{json.dumps(node['default'], ensure_ascii=False)}`"


def options_table(entry: CatalogueEntry, names: list[str]) -> list[str]:
    """List options with type, default and meaning."""
    lines = ["| option | takes | default | meaning |", "|---|---|---|---|"]
    required = entry.options.get("required", [])
    for name in names:
        node = entry.options["properties"][name]
        default = "*required*" if name in required else default_of(node)
        meaning = " ".join(str(node.get("description", "")).split()).replace("|", "\\|")
        lines.append(f"| `{name}` | {type_of(node)} | {default} | {meaning} |")
    return lines


def sections_of(documentation: str) -> tuple[str, dict[str, str]]:
    """Split a docstring into its introduction and its sections."""
    parts = re.split(r"^(Value|Missing when|Source|Examples):\n", documentation, flags=re.MULTILINE)
    sections = {title: textwrap.dedent(body).strip() for title, body in zip(parts[1::2], parts[2::2], strict=True)}
    return parts[0].strip(), sections


def page_of(entry: CatalogueEntry) -> str:
    """Write the page of one evaluator."""
    intro, sections = sections_of(entry.documentation)
    own = [
        name
        for name in entry.options["properties"]
        if name not in COMMON and not (entry.needs_model and name in JUDGING and entry.family != "adapter")
    ]
    lines = [f"# `{entry.kind}`", "", intro, "", "```yaml", example_of(entry).rstrip(), "```", ""]
    if entry.family == "adapter":
        install = evaluator_class(entry.kind).install  # type: ignore[attr-defined]
        lines += [f"Install the library beside Bakeoff: `pip install {install}`. It is not part of Bakeoff's lock.", ""]
    for title in ("Value", "Missing when", "Source"):
        lines += [f"**{title}.** " + sections[title], ""]
    facts = [KINDS[entry.score_kind] + (f" ({entry.unit})" if entry.unit else "")]
    direction = {True: "higher is better", False: "lower is better", None: "no better direction"}
    facts.append(direction[entry.higher_is_better])
    if entry.family == "adapter":
        facts = ["as the scorer gives"]
    calls = "may call a model" if entry.family == "adapter" else "calls a model"
    facts.append(calls if entry.needs_model else "calls no model")
    facts.append(f"version {entry.version}")
    lines += [f"*{' · '.join(facts)}*", "", "## Options", ""]
    if entry.shorthand:
        lines += [f"A value given without a name is `{entry.shorthand}`.", ""]
    lines += options_table(entry, own) if own else ["None of its own."]
    shared = "[options that all evaluators share](README.md#shared-options)"
    judging = (
        ", [options of every judge](README.md#options-of-judges)"
        if entry.needs_model and entry.family != "adapter"
        else ""
    )
    lines += ["", f"Also: {shared}{judging}.", "", "## Example", "", "```pycon", sections["Examples"], "```", ""]
    return "\n".join(lines)


def index_of(entries: list[CatalogueEntry]) -> str:
    """Write the index: which evaluator for which question, then every family."""
    by_kind = {entry.kind: entry for entry in entries}
    named = {kind for _, kinds, _ in QUESTIONS for kind in kinds}
    if named != set(by_kind):
        raise SystemExit(f"QUESTIONS and the registry differ: {sorted(named ^ set(by_kind))}")
    lines = [
        "# Evaluators",
        "",
        "An evaluator judges one trial and gives a score: pass or fail, a number, or a word, with a reason. When it",
        "cannot judge, the score is *missing*, with why; it is never zero. These pages are written from the code.",
        "",
        "## Which evaluator for which question",
        "",
        "| question | evaluator | note |",
        "|---|---|---|",
    ]
    for question, kinds, note in QUESTIONS:
        lines.append(f"| {question} | {', '.join(f'[`{kind}`]({kind}.md)' for kind in kinds)} | {note} |")
    lines += ["", INTRODUCTION]
    for family, title in FAMILIES.items():
        lines += [f"### {title}", "", "| evaluator | gives | what it does |", "|---|---|---|"]
        for entry in entries:
            if entry.family == family:
                gives = (
                    "as the scorer gives"
                    if family == "adapter"
                    else KINDS[entry.score_kind] + (f" ({entry.unit})" if entry.unit else "")
                )
                lines.append(f"| [`{entry.kind}`]({entry.kind}.md) | {gives} | {entry.summary} |")
        lines.append("")
    judge = by_kind["judge"]
    shared = options_table(by_kind["exact_match"], [name for name in COMMON if name != "not"])
    note = "`not` is another name for `negate`. Not every evaluator has the last three."
    lines += ["## Shared options", "", note, "", *shared]
    lines += ["", "## Options of judges", "", *options_table(judge, list(JUDGING)), "", JUDGES]
    return "\n".join(lines)


INTRODUCTION = """## How they are written

```yaml
evaluators:
  - exact_match                                  # a name
  - numeric: {tolerance: 0.01, name: accuracy}   # one key with its options
  - regex: "^yes"                                # the main option alone
  - levenshtein: {threshold: 0.9}                # a number made pass/fail
  - contains: {any: [sorry], not: true}          # turned round
  - all: [json_valid, {length: {max: 80}}]       # combined
  - checks.py:is_polite                          # a function beside the spec file
  - my_package.checks:Tone                       # a class of yours
```

The kind of value decides the statistics: pass/fail is compared by McNemar's test, numbers by paired means. A metric has
one kind for a whole run, so `threshold` is part of the spec and not chosen afterwards.

## When a person should look

Some answers are better left to people, and they wait in a queue of their own with the reason, the least sure first:

- a jury whose confidence is below `escalate_below`, or that is split
  (`judge: {model: ..., jury: [...], escalate_below: 0.8}`);
- code on which the stages of `code_mesh` disagree (`consensus` below its `escalate_below`, 0.6);
- what a [guard](../guards.md) with `action: escalate` stopped;
- any evaluator of yours whose score has `escalate` in its details (with `escalate_because` and `confidence`, if known).

The Label page of the dashboard shows the queue, without the variant; `bakeoff label RUN` lists it, `--to FILE.csv`
writes it to be filled in, `--from FILE.csv` reads it back. Labels never overwrite scores. Since these are the hard
answers and no random sample, `bakeoff calibrate` leaves them out unless their queue is named.

## Score again, and what could not be scored

`bakeoff score RUN -e EVALUATOR` makes a new run with the answers of a sealed one and other scores; no target is called.
`bakeoff score RUN --retry-errors` scores in place what is missing, after an outage of a judge, a kill in the middle, or
a budget that ended (`--budget-usd`): only the evaluators whose scores are missing are asked, a judge whose answer could
not be read is asked anew and not read from the cache, and what failed attempts cost stays in the sums. `bakeoff resume
RUN --retry-errors` also runs failed trials again. A budget that ends while judges are asked stops the run, since every
further score would be missing too.

Packages add evaluators through the entry point group `bakeoff.evaluators`.

## All evaluators
"""

JUDGES = """A judge is a measuring instrument. Name a dated model version; `pin` the version of its prompt; measure it
against human labels before you believe it; use `jury` or `samples` where it wavers, and `escalate_below` to hand what
it is not sure of to people. Its cost stands on its scores and counts against the budget of the run. Material is shown
between marks that it cannot forge, and the judge is told that it is never an instruction; that makes injection harder,
not impossible.
"""


def pages() -> dict[str, str]:
    """Write every page, by file name."""
    entries = [entry for entry in evaluator_catalogue() if entry.family != "custom" or entry.kind == "python"]
    return {"README.md": index_of(entries), **{f"{entry.kind}.md": page_of(entry) for entry in entries}}


def main(check: bool) -> int:
    """Write or compare; give the exit code."""
    wanted = pages()
    FOLDER.mkdir(parents=True, exist_ok=True)
    there = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.md")}
    stale = sorted({name for name in wanted if there.get(name) != wanted[name]} | (set(there) - set(wanted)))
    if check:
        if stale:
            print(f"docs/evaluators is out of date ({', '.join(stale)}); run `python scripts/evaluator_docs.py`")
        return int(bool(stale))
    for name in stale:
        if name in wanted:
            (FOLDER / name).write_text(wanted[name], encoding="utf-8")
        else:
            (FOLDER / name).unlink()
    print(f"{len(wanted)} pages, {len(stale)} changed")
    return 0


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))

"""Write the reference pages from the code: docs/experiment-file.md and docs/cli.md. `--check` only compares."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from bakeoff.cli._app import app
from bakeoff.experiments import experiment_schema

ROOT = Path(__file__).resolve().parents[1]

INTRO = """# The experiment file

One YAML file says what is compared, on what, judged how, and how the answer is reached. `bakeoff init` writes one that
runs as it is; `bakeoff validate` names every mistake with file, line, key, value and fix; `bakeoff schema` prints the
JSON Schema, so that an editor completes it:

```yaml
# yaml-language-server: $schema=experiment.schema.json
```

```yaml
name: support-triage
dataset: {path: messages.csv, inputs: [message], expected: label, cluster: customer}
prompts:
  terse: "Classify: {{ message }}"            # one user message
  guided: {file: prompts/guided.j2}           # a file
  chat:                                       # chat messages
    messages:
      - {role: system, content: You sort messages.}
      - {role: user, content: "{{ message }}"}
models:
  small: openai/gpt-5-mini                    # any LiteLLM model string
  local: {model: ollama/llama3.2, api_base: "http://localhost:11434", temperature: 0.2}
factors:                                      # the full cross, minus `exclude`
  prompt: [terse, guided]
  model: [small, local]
  temperature: [0, 0.7]
exclude:
  - {prompt: terse, model: local}
repeats: 3
evaluators:
  - label_match: {name: correct, labels: [billing, refund]}
  - python: "checks.py:is_polite"
analysis: {primary: correct, baseline: terse+small+temperature=0, margin: 0.02}
allocation: sequential                        # stop when the answer is clear
limits: {concurrency: 20, requests_per_minute: 500}
budget: {usd: 5.00, minutes: 30}
tags: {ticket: ABC-123}
```

Instead of `factors`, name the variants one by one:

```yaml
variants:
  control: {prompt: terse, model: small}
  candidate: {prompt: guided, model: small, temperature: 0.2}
```

Other things than a prompt on a model are `targets`; without `factors` and `variants` every target is a variant:

```yaml
targets:
  function: {python: "app.py:answer"}                       # sync or async; gets the inputs by name
  service: {http: {url: "https://example.org/ask", headers: {Authorization: "Bearer ${TOKEN}"},
                   body: {question: "{{ question }}"}, response: answers.0.text}}
  program: {command: [python, answer.py], output: json}     # inputs as one JSON line on stdin, no shell
  old: {recorded: answers.old}                              # a column or nested field of the data: nothing is called
```

Keys come from the environment or from `--env-file FILE`, never from the spec, which is kept with every run: a key in a
header or an address is refused. `${NAME}` in the url and headers of an endpoint, and in the headers of a model, is read
from the environment when the run starts, and never stored. An endpoint that points elsewhere (a redirect) is followed
only where it has no headers and no `${NAME}`.

## Every key

"""


def describe(schema: dict[str, Any], definitions: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        target = definitions[name]
        if "properties" in target:
            return f"[{name}](#{name.lower()})"
        return describe(target, definitions)
    if "anyOf" in schema:
        parts = [describe(part, definitions) for part in schema["anyOf"] if part.get("type") != "null"]
        return " or ".join(dict.fromkeys(parts))
    if "enum" in schema:
        return " \\| ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if schema.get("type") == "array":
        return f"list of {describe(schema.get('items', {}), definitions)}"
    if schema.get("type") == "object":
        inner = schema.get("additionalProperties")
        return f"name → {describe(inner, definitions)}" if isinstance(inner, dict) else "mapping"
    return str(schema.get("type", "any value"))


def rows(schema: dict[str, Any], definitions: dict[str, Any]) -> list[str]:
    lines = ["| key | value | default | meaning |", "|---|---|---|---|"]
    for key, field in schema.get("properties", {}).items():
        default = field.get("default")
        if key == "$schema" or key == "evaluators":
            continue
        shown = "" if default is None or default in ({}, [], "") else f"`{default}`"
        shown = "required" if key in schema.get("required", []) else shown
        meaning = " ".join(str(field.get("description", "")).split()).replace("|", "\\|")
        lines.append(f"| `{key}` | {describe(field, definitions)} | {shown} | {meaning} |")
    return lines


def experiment_page() -> str:
    schema = experiment_schema()
    definitions = schema["$defs"]
    parts = [INTRO, "\n".join(rows(schema, definitions))]
    parts.append("\n`evaluators` is a list; see [evaluators](evaluators/README.md).")
    seen: list[str] = []
    queue = [schema["properties"][key] for key in schema["properties"] if key != "evaluators"]
    while queue:
        current = queue.pop(0)
        text = str(current)
        for name in definitions:
            if f"'#/$defs/{name}'" in text and name not in seen and "properties" in definitions[name]:
                seen.append(name)
                queue.append(definitions[name])
    for name in seen:
        target = definitions[name]
        summary = " ".join(str(target.get("description", "")).split())
        parts.append(f"\n### {name}\n\n{summary}\n\n" + "\n".join(rows(target, definitions)))
    return "\n".join(parts) + "\n"


def cli_page() -> str:
    import typer

    group = typer.main.get_command(app)
    parts = [
        "# Command line\n\n`bakeoff COMMAND --help` says the same. Exit codes: 0 done, 1 a gate failed, 2 wrong use,",
        "3 a gate is inconclusive, 4 infrastructure or an unfinished run, 130 interrupted.\n",
    ]
    for name, command in sorted(group.commands.items()):  # type: ignore[attr-defined]
        parts.append(f"## bakeoff {name}\n\n{(command.help or '').strip()}\n")
        options = []
        for parameter in command.params:
            if parameter.name == "help":
                continue
            label = (
                parameter.name.upper()
                if parameter.param_type_name == "argument"
                else ", ".join(parameter.opts + parameter.secondary_opts)
            )
            text = getattr(parameter, "help", None) or ""
            options.append(f"| `{label}` | {text} |")
        if options:
            parts.append("| option | meaning |\n|---|---|\n" + "\n".join(options) + "\n")
    return "\n".join(parts)


def main() -> int:
    pages = {ROOT / "docs" / "experiment-file.md": experiment_page(), ROOT / "docs" / "cli.md": cli_page()}
    if "--check" in sys.argv:
        stale = [path.name for path, text in pages.items() if not path.exists() or path.read_text() != text]
        if stale:
            print(f"stale: {', '.join(stale)}; run scripts/reference_docs.py")
        return 1 if stale else 0
    for path, text in pages.items():
        path.write_text(text)
        print(f"wrote {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

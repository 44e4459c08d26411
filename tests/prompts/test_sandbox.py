"""Hostile templates: each ends in a clear error, quickly, without memory, and without running code."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from bakeoff.errors import SpecError, TargetError
from bakeoff.prompts import load_prompt

ESCAPES = [
    "{{ ''.__class__.__mro__ }}",
    "{{ ''['__class__'] }}",
    "{% set k = '__cl' ~ 'ass__' %}{{ ''[k] }}",
    "{{ '' | attr('__class__') }}",
    "{{ [''] | map('attr', '__class__') | list }}",
    "{{ [''] | map(attribute='__class__') | list }}",
    "{{ [[]] | sum(start='', attribute='__class__') }}",
    "{{ ['a'] | groupby('__class__') | list }}",
    "{{ ['a'] | selectattr('__class__') | list }}",
    "{{ ['a'] | sort(attribute='__class__') | list }}",
    "{{ range.__globals__ }}",
    "{{ namespace.__init__.__globals__ }}",
    "{{ self.__init__ }}",
    "{{ self._TemplateReference__context }}",
    "{{ loop.__class__ }}",
    "{% for x in [1] %}{{ loop._iterable }}{% endfor %}",
    "{% macro m() %}{% endmacro %}{{ m._func }}",
    "{% macro m() %}{% endmacro %}{{ m.__call__ }}",
    "{{ dict.fromkeys([1]) }}",
    "{{ d.__init__ }}",
    "{{ d.update({'x': 1}) }}",
    "{{ d.pop('a') }}",
    "{{ rows.append(1) }}",
    "{{ '{0.__class__}'.format(1) }}",
    "{{ '{x.__class__}'.format_map({'x': 1}) }}",
    "{{ 'x'.encode() }}",
    "{{ (1).to_bytes(4, 'big') }}",
    "{{ (1).real }}",
    "{% include '/etc/passwd' %}",
    "{% import '/etc/passwd' as x %}",
    "{% from '/etc/passwd' import x %}",
    "{% extends '/etc/passwd' %}",
    "{% block x %}{% endblock %}",
    "{{ lipsum.__globals__ }}",
    "{{ cycler.__init__ }}",
    "{{ joiner }}",
    "{{ 'x' | _tick }}",
    "{{ config }}",
    "{{ request }}",
    "{{ self }}",
    "{{ [1] | random }}",
    "{% autoescape true %}{% endautoescape %}",
]

BOMBS = [
    "{% for i in range(10**9) %}a{% endfor %}",
    "{{ 'a' * 10**10 }}",
    "{{ 10**10 * 'a' }}",
    "{{ [1] * 10**10 }}",
    "{{ 10 ** (10 ** 10) }}",
    "{{ 9 ** 99999999 }}",
    "{{ " + "9" * 5000 + " }}",
    "{{ [0] * 3000000 + [0] * 3000000 }}",
    "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "{% for a in range(99999) %}{% for b in range(99999) if false %}{% endfor %}{% endfor %}",
    "{% for a in range(99999) %}" + "x" * 1000 + "{% endfor %}",
    "{% set s %}{% for a in range(99999) %}" + "x" * 1000 + "{% endfor %}{% endset %}",
    "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(50) }}",
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
    "{% set n = namespace(x=['a']) %}{% for i in range(60) %}{% set n.x = [n.x, n.x] %}{% endfor %}{{ n.x }}",
    "{% set n = namespace(x=['a']) %}{% for i in range(60) %}{% set n.x = {'a': n.x, 'b': n.x} %}{% endfor %}{{ n.x }}",
    "{% set n = namespace(x='aa') %}{% for i in range(60) %}{% set n.x = n.x ~ n.x %}{% endfor %}{{ n.x }}",
    "{% set n = namespace(x='aa') %}{% for i in range(60) %}{% set n.x = n.x + n.x %}{% endfor %}{{ n.x }}",
    "{% set n = namespace(x='aa') %}{% for i in range(60) %}{% set n.x = n.x.replace('a', 'aa') %}{% endfor %}",
    "{% set n = namespace(x='aa') %}{% for i in range(60) %}{% set n.x = n.x | replace('a', 'aa') %}{% endfor %}",
    "{% set n = namespace(x='aa') %}{% for i in range(60) %}{% set n.x = [n.x, n.x] | join(n.x) %}{% endfor %}",
    "{% set n = namespace(x='aa') %}{% for i in range(60) %}{% set n.x = n.x.join([n.x, n.x]) %}{% endfor %}",
    "{% set n = namespace(x=99) %}{% for i in range(60) %}{% set n.x = n.x * n.x %}{% endfor %}",
    "{{ 'a' | center(10**9) }}",
    "{{ 'a' | center(1000000000) }}",
    "{{ 'a' | indent(1000000000) }}",
    "{{ '%1000000000d' | format(1) }}",
    "{{ '%*d' | format(1000000000, 1) }}",
    "{{ '%.1000000000f' | format(1) }}",
    "{{ '%1000000000d' % 1 }}",
    "{{ 'a'.ljust(10**9) }}",
    "{{ 'a'.zfill(10**9) }}",
    "{{ 'a\t'.expandtabs(10**9) }}",
    "{{ [1] | batch(10**9, 'x') | list }}",
    "{{ [1] | slice(10**9, 'x') | list }}",
    "{{ [[1]] | tojson(indent=1000000000) }}",
    "{{ range(99999) | map('string') | join('a' * 100000) }}",
    "{{ ('a ' * 1000000) | wordwrap(1, wrapstring='b' * 1000) }}",
    "{{ (1, 2) * 10**10 }}",
    "{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}",
    "{{ x" + " | upper" * 3000 + " }}",
    "{{ " + "not " * 5000 + "1 }}",
    "{% if 1 %}" * 500 + "{% endif %}" * 500,
    "{% for x in [1] %}" * 60 + "{% endfor %}" * 60,
]

SLOW = ["{% for i in range(99999) %}{{ range(99999) | reject('false') | list | length }}{% endfor %}"]


@pytest.mark.parametrize("template", ESCAPES)
def test_no_way_out(template: str) -> None:
    data = {"d": {"a": 1}, "rows": [1]}
    with pytest.raises((SpecError, TargetError)):
        load_prompt("p", template, base_dir=Path()).render(data)
    assert data == {"d": {"a": 1}, "rows": [1]}


def test_bombs_end_soon_in_little_memory() -> None:
    """In a process of its own, so that the memory limit is real."""
    script = """
        import json, resource, sys, time
        from pathlib import Path
        from bakeoff.errors import SpecError, TargetError
        from bakeoff.prompts import load_prompt
        resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
        report = []
        for template in json.load(sys.stdin):
            start = time.process_time()
            try:
                load_prompt("p", template, base_dir=Path()).render({"x": "a"})
                outcome = "rendered"
            except (SpecError, TargetError) as error:
                outcome = "refused" if "MemoryError" not in str(error) else "memory"
            report.append([template[:80], outcome, time.process_time() - start])
        # not ru_maxrss: Linux lets it start at what the parent had when it forked
        peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
        print(json.dumps([report, int(peak.split()[1]) / 1024]))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        input=json.dumps(BOMBS + SLOW),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    report, peak_mb = json.loads(done.stdout)
    assert [line for line in report if line[1] != "refused"] == []
    assert [line for line in report if line[2] > 5] == []
    assert peak_mb < 500


def test_a_large_honest_prompt_renders() -> None:
    """Two hundred examples of a thousand characters, with branches: far from any limit."""
    template = (
        "{% for e in examples %}{% if e.good %}Good: {{ e.text }}{% else %}Bad: {{ e.text | upper }}{% endif %}\n"
        "{% for t in e.tags %}- {{ t }}\n{% endfor %}{% endfor %}"
    )
    examples = [{"good": i % 2, "text": "x" * 1000, "tags": ["a", "b", "c"]} for i in range(200)]
    text = load_prompt("p", template, base_dir=Path()).render({"examples": examples})[0]["content"]
    assert text.count("- b") == 200
    assert len(text) > 200_000


def test_threads_have_budgets_of_their_own() -> None:
    prompt = load_prompt("p", "{% for i in range(5000) %}{{ i }}{% endfor %}", base_dir=Path())
    lengths: list[int] = []
    failures: list[BaseException] = []

    def render() -> None:
        try:
            lengths.extend(len(prompt.render({})[0]["content"]) for _ in range(30))
        except TargetError as error:
            failures.append(error)

    threads = [threading.Thread(target=render) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert set(lengths) == {18890}
    assert len(lengths) == 120

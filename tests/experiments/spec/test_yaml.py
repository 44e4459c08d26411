from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bakeoff.errors import SpecError
from bakeoff.experiments.spec._yaml import read_yaml

HERE = Path("experiment.yaml")


def problem(text: str) -> str:
    with pytest.raises(SpecError) as caught:
        read_yaml(HERE, text=text)
    return str(caught.value)


def test_remembers_lines() -> None:
    document = read_yaml(HERE, text="a: 1\nb:\n  - {c: 2}\n  - on\n")
    assert document.data == {"a": 1, "b": [{"c": 2}, True]}
    assert document.line_of(("b", 0, "c")) == 3
    assert document.line_of(("b", 1)) == 4
    assert document.line_of(("b", 0, "no such")) == 3, "the nearest parent"


def test_a_tab_is_named_as_such() -> None:
    assert problem("a:\n\tb: 1\n").startswith("experiment.yaml:2: a tab is used for indentation")


def test_a_duplicate_key_names_both_lines() -> None:
    message = problem("prompts:\n  terse: x\n  terse: y\n")
    assert message.startswith("experiment.yaml:3: prompts.terse: 'terse' stands twice (first on line 2)")


def test_broken_yaml_names_the_line() -> None:
    assert "experiment.yaml:2: is not valid YAML" in problem("a: [1\nb: 2")


def test_empty_file() -> None:
    assert problem("# nothing\n").startswith("experiment.yaml: is empty")


def test_python_objects_are_not_built() -> None:
    assert "a value that cannot be read" in problem("a: !!python/object/apply:os.system ['true']")


def test_alias_bombs_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join(['*a' + str(i - 1)] * 10)}]" for i in range(1, 9)]
    assert "too many values" in problem("\n".join(lines))


def test_merge_keys_may_be_overridden() -> None:
    document = read_yaml(HERE, text="base: &b {x: 1, y: 2}\nmine: {<<: *b, y: 3}\n")
    assert document.data["mine"] == {"x": 1, "y": 3}


def test_dates_stay_text() -> None:
    assert read_yaml(HERE, text="a: 2026-01-31").data == {"a": "2026-01-31"}


def test_missing_file_names_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "experiment.yaml").write_text("a: 1")
    with pytest.raises(SpecError, match=r"there is no such file\n    fix: files here: experiment\.yaml"):
        read_yaml(tmp_path / "experimnt.yaml")


def test_wrong_encoding_names_the_byte(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(b"a: \xff\xfe")
    with pytest.raises(SpecError, match=r"is not UTF-8 \(byte 3\)"):
        read_yaml(path)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("abcxyz", min_size=1, max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.text("abcxyz", min_size=1, max_size=5), JSON, min_size=1))
def test_reads_what_a_yaml_writer_writes(data: dict[str, object]) -> None:
    text = yaml.safe_dump(data, allow_unicode=True)
    expected = yaml.safe_load(text)
    # keys that YAML reads as numbers or booleans are words here
    assert read_yaml(HERE, text=text).data == {str(key): value for key, value in expected.items()}


@given(st.text(max_size=200))
def test_never_fails_otherwise(text: str) -> None:
    with contextlib.suppress(SpecError):
        read_yaml(HERE, text=text)

"""The newcomer's page, followed to the letter: from `bakeoff init` to a failing gate and back."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from bakeoff.cli import main

PAGE = Path(__file__).parents[2] / "docs" / "regression.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)


def test_the_page_works(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("BAKEOFF_STORE", raising=False)
    said, seen = "", []
    for block in blocks("console")[:4]:
        for line in block.splitlines():
            if not line.startswith("$ "):
                if line.strip() and not line.isdigit():
                    assert " ".join(line.split()) in " ".join(said.split()), f"the page promises {line!r}"
                elif line.isdigit():
                    assert seen[-1] == int(line)
                continue
            program, *arguments = shlex.split(line[2:])
            if program == "cd":
                monkeypatch.chdir(arguments[0])
                file = Path("experiment.yaml")
                hurried = file.read_text().replace(
                    "temperature: 0.7", "temperature: 0.7, params: {sim: {time_scale: 0}}"
                )
                file.write_text(hurried + "\n" + blocks("yaml")[0])
            elif program == "sed":
                _, old, new, _ = arguments[1].split("#")
                file = Path("experiment.yaml")
                file.write_text(file.read_text().replace(old, new))
            elif program == "bakeoff":
                capsys.readouterr()
                extra = ["--no-mlflow"] if arguments[0] == "run" else []
                with pytest.raises(SystemExit) as caught:
                    main([*arguments, *extra])
                printed = capsys.readouterr()
                said = printed.out + printed.err
                seen.append(caught.value.code)
    assert seen == [0, 2, 0, 0, 1, 0]


def test_every_rule_and_option_of_the_page_exists() -> None:
    import yaml

    from bakeoff.experiments import GatePolicy, GateRule

    for block in blocks("yaml"):
        data = yaml.safe_load(block)
        for rule in data.get("gate", []):
            GateRule.model_validate(rule)
        if "gate_policy" in data:
            GatePolicy.model_validate(data["gate_policy"])
        if "channels" in data:
            from bakeoff.regression import Channel

            assert [Channel.model_validate(entry).name for entry in data["channels"]]

# SPDX-License-Identifier: MIT
"""The JSON Schema that editors get and the parser that serves agree on what a deployment.yaml may say.

t/config has files that are valid, that are invalid, and that only the parser can tell to be
invalid (`beyond`); the first line of a wrong one is what the parser says of it. Then there are
texts that nobody thought of.
"""

import json
import random
import re
import subprocess

import jsonschema
import pytest
import yaml

import devserve as lib

CORPUS = lib.TREE / "t/config"
SCHEMA = json.loads(subprocess.run([lib.BUILD / "devserve", "schema"], check=True, capture_output=True).stdout)
VALIDATOR = jsonschema.Draft7Validator(SCHEMA)


class Core(yaml.SafeLoader):
    """PyYAML is of YAML 1.1; editors read by the core schema of 1.2, where `yes` is a text."""
    yaml_implicit_resolvers = {}


def number(loader, node):
    text = node.value.lower()
    if text.startswith(("0x", "0o")):
        return int(text, 0)
    return int(text) if re.fullmatch("[-+]?[0-9]+", text) else float(text.replace(".inf", "inf").replace(".nan", "nan"))


for tag, pattern, first in (
        ("null", r"(|~|null|Null|NULL)", ["~", "n", "N", ""]),
        ("bool", r"(true|True|TRUE|false|False|FALSE)", list("tTfF")),
        ("number", r"([-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+|[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"
                   r"|[-+]?(\.inf|\.Inf|\.INF)|\.nan|\.NaN|\.NAN)", list("-+.0123456789"))):
    Core.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(rf"^{pattern}\Z"), first)
Core.add_constructor("tag:yaml.org,2002:number", number)


def parser_says(*files):
    told = subprocess.run([lib.BUILD / "t/config_check", *files], check=True, capture_output=True, text=True)
    return told.stdout.splitlines()


def schema_takes(text):
    return VALIDATOR.is_valid(yaml.load(text, Core))


def corpus(kind):
    files = sorted((CORPUS / kind).iterdir())
    return pytest.mark.parametrize("file", files, ids=[f.stem for f in files])


def test_the_schema_is_one():
    jsonschema.Draft7Validator.check_schema(SCHEMA)


def test_each_key_is_told_and_given_an_example_that_fits():
    def walk(schema):
        for name, key in schema["properties"].items():
            assert key["description"].endswith("."), name
            for example in key.get("examples", []) + ([key["default"]] if "default" in key else []):
                jsonschema.validate(example, key)
            if "properties" in key:
                walk(key)
    walk(SCHEMA)


@corpus("valid")
def test_both_take(file):
    assert parser_says(file) == ["ok"]
    assert schema_takes(file.read_text())


@corpus("invalid")
def test_both_refuse(file):
    expected = file.read_text().splitlines()[0].removeprefix("# line ")
    assert parser_says(file)[0].startswith(expected)
    assert not schema_takes(file.read_text())


@corpus("beyond")
def test_the_parser_refuses_what_no_schema_can(file):
    expected = file.read_text().splitlines()[0].removeprefix("# line ")
    assert parser_says(file)[0].startswith(expected)


SCALARS = ["", "~", "null", "true", "True", "yes", "on", "0", "1", "2", "007", "16", "17", "-1", "+3", "1.0", "1.5", ".5",
           "0x10", "0o17", "1e3", "1e9", "1_000", "0.001", "86400", "86401", "3600001", "1000001", ".inf", "a", "a/b", ".a",
           "-a", "a.b-c_d", "'2'", "'true'", "\"\"", "'a'", '"a\\0"', '"a\\n"', "30s", "12:30", "a b", "größe"]


def value(dice, deep=0):
    if deep < 3 and dice.random() < 0.3:
        items = [value(dice, deep + 1) or "~" for _ in range(dice.randrange(4))]
        return "[" + ", ".join(items) + "]"
    if deep < 3 and dice.random() < 0.2:
        keys = dice.sample(["checkpoint_ms", "name", "a"], dice.randrange(3))
        return "{" + ", ".join(f"{k}: {value(dice, deep + 1) or '~'}" for k in keys) + "}"
    return dice.choice(SCALARS)


def test_they_agree_on_texts_that_nobody_thought_of(tmp_path):
    dice = random.Random(1)
    texts, files = [], []
    for i in range(4000 if not lib.LONG else 100000):
        keys = dice.sample([*SCHEMA["properties"], "other"], dice.choice([1, 1, 1, 2, 3]))
        texts.append("".join(f"{key}: {value(dice)}\n" for key in keys))
        files.append(tmp_path / f"{i}.yaml")
        files[-1].write_text(texts[-1])
    said = [line for i in range(0, len(files), 1000) for line in parser_says(*files[i:i + 1000])]
    taken = 0
    for text, line in zip(texts, said, strict=True):
        if "JSON has no number" in line:
            continue  # beyond it
        assert (line == "ok") == schema_takes(text), (text, line)
        taken += line == "ok"
    assert len(texts) / 10 < taken < len(texts) * 9 / 10, taken

# SPDX-License-Identifier: MIT
"""plugins/tokenize: texts go in, tokens come out, in a number that is found late."""

import random
import re

import pytest


@pytest.fixture
def tokenize(root, serve):
    root.copy("tokenize")
    server = serve()

    def ask(*texts):
        answer = server.infer("tokenize", {"inputs": [
            {"name": "TEXT", "datatype": "BYTES", "shape": [len(texts)], "data": list(texts)}]})
        shapes = {o["name"]: o["shape"] for o in answer.json["outputs"]}
        tokens, lengths = answer.output("TOKENS"), answer.output("LENGTHS")
        assert shapes == {"TOKENS": [len(tokens)], "LENGTHS": [len(texts)]}
        return tokens, lengths

    return ask


def expected(text):
    """The same in Python."""
    tokens = re.findall(rb"[0-9A-Za-z_\x80-\xff]+|[^0-9A-Za-z_\x80-\xff\t-\r ]", text.encode())
    return [token.decode() for token in tokens]


def test_words_and_punctuation_are_tokens(tokenize):
    assert tokenize("Hello, world! It's 4_2.") == (
        ["Hello", ",", "world", "!", "It", "'", "s", "4_2", "."], [9])
    assert tokenize("a b", "", " \t\n", "c") == (["a", "b", "c"], [2, 0, 0, 1])


def test_no_character_is_cut(tokenize):
    assert tokenize("três 四つ🙂, Ünïcode") == (["três", "四つ🙂", ",", "Ünïcode"], [4])


def test_nothing_gives_nothing(tokenize):
    assert tokenize() == ([], [])
    assert tokenize("") == ([], [0])


def test_it_agrees_with_python(tokenize):
    chance = random.Random(1)
    alphabet = "abcXYZ019_-.,;'\"\\ \t\n\r\x01é四🙂\u2003"
    for _ in range(50):
        texts = ["".join(chance.choices(alphabet, k=chance.randrange(200)))
                 for _ in range(chance.randrange(20))]
        tokens, lengths = tokenize(*texts)
        assert tokens == [t for text in texts for t in expected(text)]
        assert lengths == [len(expected(text)) for text in texts]


def test_a_long_text_gets_all_its_tokens(tokenize):
    tokens, lengths = tokenize("so! " * 200_000)  # more than any guess
    assert tokens == ["so", "!"] * 200_000 and lengths == [400_000]

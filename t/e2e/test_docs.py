# SPDX-License-Identifier: MIT
"""What the documentation says is so: every block of README.md, docs/ and examples/ is run.

t/lib/markdown.py says how a block is marked, t/lib/walkthrough.py does what it says.
"""

import re

import pytest

from devserve import TREE
from markdown import blocks, indented_blocks
from walkthrough import Walkthrough

PAGES = {str(path.relative_to(TREE)): path.read_text() for path in sorted(
    [*TREE.glob("*.md"), *TREE.glob("docs/**/*.md"), *TREE.glob("examples/**/*.md"), *TREE.glob("plugins/**/*.md")])}
UNRUN = {"ARCHITECTURE.md", "CONTRIBUTING.md"}  # for those who work on devserve: drawings, and make
BLOCKS = {page: blocks(page, text) for page, text in PAGES.items() if page not in UNRUN}


@pytest.fixture(scope="module")
def walk(tmp_path_factory):
    """The page that is being read; the server of the one before ends."""
    walks = {}

    def on(page):
        if page not in walks:
            for other in walks.values():
                other.close()
            walks[page] = Walkthrough(PAGES[page], BLOCKS[page], tmp_path_factory.mktemp("page"))
        return walks[page]

    yield on
    for each in walks.values():
        each.close()


@pytest.mark.parametrize("block", [block for page in BLOCKS.values() for block in page], ids=str)
def test_it_does_what_it_shows(block, walk):
    if "skip" in block.marks:
        pytest.skip(block.marks["skip"])
    walk(block.page).run(block)


@pytest.mark.parametrize("page", BLOCKS)
def test_every_block_has_a_fence(page):
    assert not indented_blocks(PAGES[page])


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)]+)\)", PAGES[page]):
        path, _, anchor = target.partition("#")
        if "://" in target:
            continue
        file = (TREE / page).parent / path if path else TREE / page
        assert file.exists(), target
        if anchor and file.suffix == ".md":
            titles = re.findall(r"^#+ (.*)$", file.read_text(), re.M)
            assert anchor in {re.sub(r"[^\w\- ]", "", t.lower()).replace(" ", "-") for t in titles}, target

"""The ignore rules, against real git on random trees, and the rules that are ours alone."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from crdtsync.adapters.filesystem import Tree
from crdtsync.adapters.gitignore import PatternFile
from crdtsync.adapters.ignores import Ignores
from crdtsync.adapters.system_calls import SystemCalls

_NAMES = [
    "a",
    "b",
    "foo",
    "bar",
    "foo.txt",
    "a.o",
    "ab",
    "build",
    "x y",
    "[z]",
    "é",
    "#c",
    "!d",
    "t.tmp",
    "B1",
]
_GLOBS = [
    *(
        "a",
        "foo",
        "bar",
        "*.o",
        "*.txt",
        "build/",
        "/build",
        "foo/bar",
        "/foo/*",
        "*",
        "/*",
        "*/",
        "a/**",
        "**/b",
    ),
    *(
        "foo/**/bar",
        "**/foo/a",
        "**",
        "**/",
        "a?",
        "?",
        "[ab]",
        "[!ab]",
        "[^a]*",
        "[a-f]oo",
        "x\\ y",
        "\\[z\\]",
    ),
    *(
        "\\#c",
        "\\!d",
        "#c",
        "é",
        "*é",
        "foo.t?t",
        "a*/b",
        "[[:upper:]]*",
        "[[:digit:]b]",
        "b[]x]",
        "/a/b/",
        "a ",
    ),
    *(
        "foo//",
        "/",
        "foo\\",
        "[a",
        "[[:nope:]]",
        "*a*",
        "b*r",
        "f**o",
        "**/a/**/b",
        "/**/foo",
        "x*",
        "[]-a]*",
    ),
    *(
        "build/**/",
        "*/a",
        "*/*/a",
        "a/*/b/**",
        "",
        "   ",
        "\t",
        "foo\\ ",
        "t.*",
        "*.t[xm][tp]",
        "[a-",
        "[\\]]",
    ),
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


@pytest.fixture
def ignores(root: Path) -> Iterator[Ignores]:
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    yield Ignores(Tree(fd, SystemCalls()))
    os.close(fd)


def _make_tree(root: Path, rng: random.Random) -> list[str]:
    folders = [""]
    made = []
    for _ in range(60):
        above = rng.choice(folders)
        path = f"{above}/{rng.choice(_NAMES)}".lstrip("/")
        if path.count("/") > 4 or (root / path).exists():
            continue
        if rng.random() < 0.5:
            (root / path).mkdir()
            folders.append(path)
        else:
            (root / path).write_text("")
        made.append(path)
    for folder in rng.sample(folders, min(len(folders), 3)):
        count = rng.randint(1, 6)
        lines = [("!" if rng.random() < 0.35 else "") + rng.choice(_GLOBS) for _ in range(count)]
        ending = rng.choice(["\n", "\r\n"])
        mark = rng.choice(["", "", "\ufeff"])
        (root / folder / ".gitignore").write_bytes((mark + ending.join(lines) + ending).encode())
    return made


def _git_ignored(root: Path, paths: list[str]) -> set[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(root), "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(["git", "init", "-q", str(root)], check=True, env=environment)
    (root / ".git/info/exclude").unlink(missing_ok=True)
    asked = "\0".join(paths).encode()
    answer = subprocess.run(
        ["git", "-C", str(root), "check-ignore", "--no-index", "-z", "--stdin"],
        input=asked,
        stdout=subprocess.PIPE,
        env=environment,
    )
    assert answer.returncode in (0, 1)
    return {os.fsdecode(path) for path in answer.stdout.split(b"\0") if path}


@pytest.mark.parametrize("seed", range(150))
def test_random_trees_are_ignored_just_as_by_git(root: Path, ignores: Ignores, seed: int) -> None:
    made = _make_tree(root, random.Random(seed))
    ours = {path for path in made if ignores.ignored(path, (root / path).is_dir())}
    assert ours == _git_ignored(root, made), "\n".join(
        f"{path}: {path.read_bytes()!r}" for path in root.rglob(".gitignore")
    )


@pytest.mark.parametrize(
    "name",
    [
        *(
            ".git",
            ".hg",
            ".svn",
            ".jj",
            ".bzr",
            "_darcs",
            ".crdtsync",
            "a~",
            ".a.swp",
            "a.swx",
            "4913",
            ".#a",
        ),
        *(
            "#a#",
            "a___jb_tmp___",
            "a___jb_old___",
            ".goutputstream-1",
            ".~lock.a.odt#",
            "~$a.docx",
            ".a.kate-swp",
        ),
        *(".DS_Store", "._a", "Thumbs.db", "desktop.ini"),
    ],
)
def test_names_of_editors_and_systems_are_always_ignored(ignores: Ignores, root: Path, name: str) -> None:
    (root / ".crdtsyncignore").write_text(f"!{name}\n")
    assert ignores.ignored(name, False)
    assert ignores.ignored(f"{name}/below", False)


@pytest.mark.parametrize(
    "name", ["a", ".gitignore", ".crdtsyncignore", "git", "a.swap", "#a", "DS_Store", "4913a"]
)
def test_ordinary_names_are_not_ignored(ignores: Ignores, name: str) -> None:
    assert not ignores.ignored(name, False)


def test_our_own_ignore_file_wins_over_gitignore_at_any_level(ignores: Ignores, root: Path) -> None:
    (root / "a").mkdir()
    (root / ".crdtsyncignore").write_text("!keep.o\nsecret\n")
    (root / "a/.gitignore").write_text("*.o\n!secret\n")
    assert ignores.ignored("a/other.o", False)
    assert not ignores.ignored("a/keep.o", False)
    assert ignores.ignored("a/secret", False)


def test_an_ignore_file_above_the_root_does_not_count(ignores: Ignores, root: Path) -> None:
    (root.parent / ".gitignore").write_text("*\n")
    assert not ignores.ignored("a", False)


def test_an_ignore_file_that_is_a_link_does_not_count(ignores: Ignores, root: Path) -> None:
    (root.parent / "patterns").write_text("*\n")
    (root / ".gitignore").symlink_to("../patterns")
    assert not ignores.ignored("a", False)


def test_a_changed_ignore_file_counts_after_invalidate(ignores: Ignores, root: Path) -> None:
    (root / "a").mkdir()
    assert not ignores.ignored("a/b/x.o", False)
    (root / "a/.gitignore").write_text("*.o\n")
    ignores.invalidate("a/.gitignore")
    assert ignores.ignored("a/b/x.o", False)
    (root / "a/.gitignore").unlink()
    ignores.invalidate("a/.gitignore")
    assert not ignores.ignored("a/b/x.o", False)


def test_a_missing_folder_has_the_rules_of_those_above_it(ignores: Ignores, root: Path) -> None:
    (root / ".gitignore").write_text("*.o\n/gone/\n")
    assert ignores.ignored("not/there/x.o", False)
    assert ignores.ignored("gone/x.c", False)
    assert not ignores.ignored("not/there/x.c", False)


def test_a_folder_that_came_has_its_own_rules_and_so_have_those_in_it(ignores: Ignores, root: Path) -> None:
    """Whoever looks into it asks for its rules; plans for folders in it follow."""
    assert not ignores.ignored("new/x.o", False)
    assert not ignores.ignored("new/in it/x.o", False)
    (root / "new").mkdir()
    (root / "new/.gitignore").write_text("*.o\n")
    assert ignores.folder("new").ignored("x.o", False)
    assert ignores.ignored("new/x.o", False)
    assert ignores.ignored("new/in it/x.o", False)


def test_a_changed_ignore_file_counts_for_missing_folders_too(ignores: Ignores, root: Path) -> None:
    assert not ignores.ignored("not/there/x.o", False)
    (root / ".gitignore").write_text("*.o\n")
    ignores.invalidate(".gitignore")
    assert ignores.ignored("not/there/x.o", False)


@pytest.mark.timeout(120)  # a backtracking matcher would take longer than the age of the universe
@pytest.mark.parametrize(
    "glob",
    ["*a" * 60 + "b", "**/a/" * 40 + "b", "/" + "*a*/" * 30 + "b", "[a-z]*" * 60 + "Z", "*" * 5000 + "b"],
)
def test_no_pattern_makes_matching_slow(glob: str) -> None:
    name = "a" * 250
    path = "/".join(["a" * 30] * 120) + "/" + name
    assert PatternFile(glob.encode()).decides(path, name, False) is None

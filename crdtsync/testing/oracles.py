"""What must hold of a world at rest, and the ledger of who wrote and who took away what.

Everything that people save carries tokens that occur nowhere else, so that it can be told where it went.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from crdtsync.core.hub.doors.places import shares_history
from crdtsync.core.values.digests import Digest, encode_text
from crdtsync.core.values.files import Kind
from crdtsync.core.values.paths import is_below
from crdtsync.testing.memory_hub_store import MemoryHubStore
from crdtsync.testing.page import Page
from crdtsync.testing.texts import formatted
from crdtsync.testing.tokens import FIRST_TOKEN, TOKEN, is_common, token_name, tokens
from crdtsync.testing.virtual_inodes import NodeKind
from crdtsync.testing.virtual_replica import VirtualReplica

TOKENS_ASIDE = 0x4000
"""What stays with whoever wrote it is told from what is in the room."""
Picture = Mapping[str, tuple[NodeKind, bytes, bool]]


class Broken(AssertionError):
    """A promise was not kept. ``promise`` is one word."""

    def __init__(self, promise: str, message: str) -> None:
        super().__init__(f"{promise}: {message}")
        self.promise = promise


class Ledger:
    """Who wrote which token, and which were taken away by someone who had seen them.

    ``first``: how many tokens are before its own.
    """

    def __init__(self, first: int = 0) -> None:
        self.born: dict[bytes, str] = {}
        self.excused: dict[bytes, str] = {}
        self._put: dict[str, set[bytes]] = {}
        """What each has saved, their own or not."""
        self._saves: dict[str, set[bytes]] = {}
        """The contents that each saved."""
        self._taken: set[bytes] = set()
        """What someone who had seen it took out of a text."""
        self._torn: dict[tuple[str, bytes], set[bytes]] = {}
        """What stood in files before a power cut left this of them."""
        self.frozen: Counter[bytes] = Counter()
        """How many files were made of a text in which the token stood twice for the moment: what two did at
        once is there twice until the later one took it back, and such a file is one of its own by then."""
        self.given_up: set[bytes] = set()
        """What may be in the trash only: whoever had it there chose what another has at its path."""
        self.count = first

    def aside(self) -> Ledger:
        """One for what is written in the same room, and stays with whoever writes it."""
        return Ledger(first=self.count + TOKENS_ASIDE)

    def take_over(self, aside: Ledger) -> None:
        """What stayed with whoever wrote it comes to the room."""
        for mine, theirs in ((self.born, aside.born), (self.excused, aside.excused)):
            for token, who in theirs.items():
                mine.setdefault(token, who)
        for who, put in aside._put.items():
            self._put.setdefault(who, set()).update(put)
        for who, saves in aside._saves.items():
            self._saves.setdefault(who, set()).update(saves)
        for torn, before in aside._torn.items():
            self._torn.setdefault(torn, set()).update(before)
        self._taken |= aside._taken
        self.given_up |= aside.given_up
        self.frozen += aside.frozen

    def new_token(self) -> str:
        self.count += 1
        return chr(FIRST_TOKEN + self.count)

    def saved(self, who: str, seen: bytes, now: bytes) -> None:
        """``who`` had ``seen`` and made ``now`` of it."""
        before, after = tokens(seen), tokens(now)
        self._put.setdefault(who, set()).update(after)
        self._saves.setdefault(who, set()).add(now)
        for token in after - before:
            self.born.setdefault(token, who)
        # of two lines that are equal a tool marks both, be one of them marked already
        self.frozen.update(t for t in after if is_common(t) and _marks(seen, t) < 2 <= _marks(now, t))
        self._taken |= before - after
        for token in (before | self._torn.get((who, seen), set())) - after:
            self.excused.setdefault(token, f"taken out by {who}")

    def overwritten(self, who: str, lost: bytes, seen: bytes = b"", now: bytes = b"") -> None:
        """``who`` wrote over a file without having loaded it: what they had saved there is their own loss.

        The last save on one disk wins, with or without us; what others did since is another matter. What
        that program had ``seen`` and puts back ``now``, after another program here had saved the file without
        it, cannot be told from what is written a second time.
        """
        for token in tokens(lost):
            if token in self._put.get(who, ()):
                self.excused.setdefault(token, f"overwritten by {who}")
        if lost in self._saves.get(who, ()):
            self.frozen.update((tokens(seen) & tokens(now)) - tokens(lost))

    def is_rewritten(self, data: bytes, token: bytes) -> bool:
        """Whether a token stands in several lines of a text since someone who had seen it took it out while
        others went on with the line: each version has what others have not.

        An edit of a deleted line brings it back, and so does another one, made at once. One put in its place
        has the token, too, where it cannot be told that it had been seen (docs/decisions/0021).
        """
        lines = [line for line in data.splitlines() if token in line]
        versions = [tokens(line) for line in lines]
        own = [
            version - set().union(*versions[:at], *versions[at + 1 :]) for at, version in enumerate(versions)
        ]
        once = all(line.count(token) == 1 for line in lines)
        return token in self._taken and once and all(own)

    def moved(self, who: str, data: bytes) -> None:
        """``who`` gave a file another name, or copied it: what stands there is what they put there."""
        self._put.setdefault(who, set()).update(tokens(data))

    def gave_up(self, who: str, data: bytes) -> None:
        """``who`` wants at its path what others have: what stood there is theirs to find in the trash."""
        self.given_up |= {token for token in tokens(data) if self.born.get(token) == who}

    def deleted(self, who: str, seen: bytes) -> None:
        for token in tokens(seen) | self._torn.get((who, seen), set()):
            self.excused.setdefault(token, f"deleted by {who}")

    def torn(self, who: str, before: bytes, after: bytes) -> None:
        """A power cut left only ``after`` of a file; whoever deletes or replaces that takes away all."""
        if before != after:
            self._torn.setdefault((who, after), set()).update(tokens(before))

    def cut_off(self, who: str, old: bytes, written: Iterable[bytes], left: bytes) -> None:
        """Of what was written over ``old``, each over the one before, a power cut ``left`` this.

        Where it consists of whole lines, nothing tells that from a text out of which someone took the others;
        nor that from an edit which ends with a word of a line, and leaves as many characters and lines.
        """
        for new in written:
            if hides_the_tear(old, new, left):
                self.froze(left)
                for token in (tokens(old) | tokens(new)) - tokens(left):
                    self.excused.setdefault(token, f"cut off with the power of {who}, at the end of a line")

    def froze(self, data: bytes) -> None:
        """Somebody copied this, or the replica whose disk has it forgot what it is a copy of."""
        self.frozen.update(token for token, count in Counter(TOKEN.findall(data)).items() if count > 1)

    def forgot(self, before: str, after: str) -> None:
        """Whoever made this edit does not remember it, and may not have sent it: if another made the same,
        both are there, and if it took out its own again, that may be there still."""
        counts = Counter(TOKEN.findall(before.encode()))
        counts.subtract(Counter(TOKEN.findall(after.encode())))
        self.frozen.update(token for token, count in counts.items() if count and is_common(token))

    def lost_with_state(self, who: str, remembered: Iterable[str], there: Iterable[bytes]) -> None:
        """Whoever deletes what a replica remembers deletes what it had taken in and not written yet."""
        kept = {token for data in there for token in tokens(data)}
        for text in remembered:
            for token in tokens(text.encode()) - kept:
                if self._is_at(token, who):
                    self.excused.setdefault(token, f"lost with the state of {who}")

    def _is_at(self, token: bytes, who: str) -> bool:
        """Whether it was written at the machine of that person, by hand or by a program (``a+1``)."""
        return self.born.get(token, "").partition("+")[0] == who

    def lost_with_pages(self, names: Collection[str], there: Iterable[bytes]) -> None:
        """What these typed into a page that is gone was never safe as long as nothing else had it."""
        kept = {token for data in there for token in tokens(data)}
        for token, who in self.born.items():
            if who in names and token not in kept:
                self.excused.setdefault(token, f"lost with a page of {who}")

    def stays_in_page(self, text: str) -> None:
        """A page was told that it has to be loaded anew: what it shows is still there to be copied."""
        for token in tokens(text.encode()):
            self.excused.setdefault(token, "in a page that was refused")

    def lost_with_power(self, who: str, before: Iterable[bytes], after: Iterable[bytes]) -> None:
        """What a power cut took from a disk was never safe there."""
        kept = {token for data in after for token in tokens(data)}
        for data in before:
            for token in tokens(data) - kept:
                if not self._is_at(token, who):
                    continue  # of someone else: it is safe there
                self.excused.setdefault(token, f"lost with the power of {who}")


def hides_the_tear(old: bytes, new: bytes, left: bytes) -> bool:
    """Whether that is the beginning of the new content, and then nothing, or the old one from there on, and
    both end where a line does, or a word of one of as many lines."""
    if left in (old, new):
        return False
    begun = [at for at in range(1, len(left) + 1) if left[:at] == new[:at]]
    as_many = len(left) == len(old) and left.count(b"\n") == old.count(b"\n")
    for at in begun:
        line_ends = left[at - 1 : at] == b"\n"
        if at == len(left) and line_ends:
            return True
        if left[at:] == old[at:] and at < len(left):
            if line_ends and old[at - 1 : at] == b"\n":
                return True
            if as_many and _between_words(left, at) and _between_words(old, at):
                return True
    return False


def _between_words(data: bytes, at: int) -> bool:
    return data[at - 1 : at].isspace() or data[at : at + 1].isspace()


def picture(replica: VirtualReplica) -> Picture:
    """Everything on a replica's disk that a room can hold, by the path that it has in the room."""
    assert replica.engine is not None
    view, spelled = replica.engine._state.view, replica.disk.folding.spelled_path
    found: dict[str, tuple[NodeKind, bytes, bool]] = {}
    for path, node in replica.disk.files():
        entry = view.at(spelled(path))
        placed = None if entry is None else view.room.get(entry)
        needless = placed is None or view.room.holds_below(placed.path)
        if node.kind is NodeKind.FOLDER and needless and replica.disk.inside(path):
            continue  # it holds only what is never shared
        room_path = view.room_path(spelled(path)) if placed is None else placed.path
        if room_path in found:
            room_path = path  # it has yet to go where the room has it
        found[room_path] = node.kind, node.data, node.executable and node.kind is NodeKind.FILE
    return found


def check_equal(replicas: Sequence[VirtualReplica]) -> None:
    """All disks are the same, and are what the rooms say."""
    first = picture(replicas[0])
    for other in replicas[1:]:
        compare("equal", replicas[0].name, first, other.name, picture(other))
    held = {node.digest for replica in replicas for _, node in replica.disk.files()}
    held |= replicas[0].hub.blobs_of(replicas[0].room).keys()
    for replica in replicas:
        compare("room", f"{replica.name}'s room", room_of(replica, held), replica.name, picture(replica))


def check_is(expected: Picture, at: VirtualReplica, replicas: Sequence[VirtualReplica]) -> None:
    """Nobody else changed anything, so everyone must have just this.

    Of two spellings that the disk ``at`` which it was done takes for one, neither is the one that was meant.
    """
    spelled = at.disk.folding.spelled_path
    for replica in replicas:
        found = picture(replica)
        if len({spelled(path) for path in found}) == len(found) == len({spelled(path) for path in expected}):
            found, wanted = _spelled(found, spelled), _spelled(expected, spelled)
            compare("serial", "the only change", wanted, replica.name, found)
        else:
            compare("serial", "the only change", expected, replica.name, found)


def _spelled(folder: Picture, spelled: Callable[[str], str]) -> Picture:
    return {spelled(path): each for path, each in folder.items()}


def room_of(replica: VirtualReplica, held: Collection[Digest]) -> Picture:
    """What the room says should be on disk, out of the engine's own state.

    A blob that nobody holds, the hub neither, is not due: a hub that lost it may hear of its version
    again from a replica that knows it, when whoever wrote it has written over it.
    """
    engine = replica.engine
    assert engine is not None
    state = engine._state
    found: dict[str, tuple[NodeKind, bytes, bool]] = {}
    due = {
        entry: placed
        for entry, placed in state.view.room.placements.items()
        if placed.kind is not Kind.BLOB or (placed.version is not None and placed.version.digest in held)
    }
    for entry, placed in due.items():
        match placed.kind:
            case Kind.TEXT:
                data, kind = encode_text(state.documents.text(entry)), NodeKind.FILE
            case Kind.BLOB:
                assert placed.version is not None
                node = replica.disk.get(state.view.path_of(placed.path))
                data = b"" if node is None or node.digest != placed.version.digest else node.data
                kind = NodeKind.FILE
            case Kind.LINK:
                assert placed.version is not None and placed.version.target is not None
                data, kind = placed.version.target.encode(), NodeKind.LINK
            case Kind.DIR:
                if any(is_below(other.path, placed.path) for other in due.values()):
                    continue
                data, kind = b"", NodeKind.FOLDER
        if placed.path in found:
            raise Broken("room", f"{placed.path} stands twice in the room of {replica.name}")
        found[placed.path] = (kind, data, placed.executable and kind is NodeKind.FILE)
    return found


def check_nothing_lost(ledger: Ledger, replicas: Sequence[VirtualReplica]) -> None:
    """Every token is in some file, unless someone who had seen it took it away, or it is in a trash.

    A tool's token is owed to the line that the tool saw, as long as that stands somewhere.
    """
    trashed = [data for replica in replicas for data in replica.machine.trashed()]
    check_kept(ledger, picture(replicas[0]), trashed)


def check_kept(
    ledger: Ledger, folder: Picture, trashes: Iterable[bytes], but: Collection[bytes] = ()
) -> None:
    """As ``check_nothing_lost``, of the one folder that all have, and all trashes; ``but`` not of these."""
    contents = [data for _, data, _ in folder.values()]
    there = set().union(*(tokens(data) for data in contents)) if contents else set()
    trashed = {token for data in trashes for token in tokens(data)}
    lost = {token: who for token, who in ledger.born.items() if token not in there | ledger.excused.keys()}
    lost = {token: who for token, who in lost.items() if token not in but}
    lost = {token: who for token, who in lost.items() if not is_common(token) or _owed(token, contents)}
    for token, who in sorted(lost.items()):
        if token not in trashed:
            raise Broken("lost", f"{token_name(token)} of {who} is nowhere")
    for token, who in sorted((token, who) for token, who in lost.items() if token not in ledger.given_up):
        raise Broken("trashed", f"{token_name(token)} of {who} is in the trash only, and nobody wanted that")


def check_nothing_doubled(replicas: Sequence[VirtualReplica], ledger: Ledger | None = None) -> None:
    """No token stands twice in one file, but for as many as the ledger has as frozen so, or as rewritten.

    A tool's token belongs to the line that the tool saw. Where people changed that line meanwhile, theirs
    and the tool's were different edits of one place, of which both stay.
    """
    check_once(picture(replicas[0]), ledger)


def check_once(folder: Picture, ledger: Ledger | None = None) -> None:
    """As ``check_nothing_doubled``, of the one folder that all have."""
    left = Counter(ledger.frozen if ledger else ())
    for path, (_, data, _) in folder.items():
        twice = [token for token, count in Counter(TOKEN.findall(data)).items() if count > 1]
        for token in twice:
            if not is_common(token) or _marks(data, token) > 1:
                left[token] -= 1
                if left[token] >= 0 or (ledger is not None and ledger.is_rewritten(data, token)):
                    continue
                raise Broken("doubled", f"{token_name(token)} stands twice in {path}")


def check_page(page: Page, store: MemoryHubStore, restored: bool = False) -> None:
    """An open page shows the text whose history it has, as the hub stored it.

    ``restored``: the hub was, so what it had lost may stand in a second file by now.
    """
    if page.refused is not None:
        return
    if not page.synced:
        raise Broken("page", f"{page.name} waits for {page.path}")
    if page.unstored:
        raise Broken("page", f"{page.name} waits to hear that its changes of {page.path} are stored")
    found = {
        document: text
        for document, text in store.texts(page.room)
        if shares_history(page.state_vector, text.state_vector)
    }
    if len(found) > 1 and not restored:
        raise Broken("page", f"{page.name} has the histories of {sorted(found)} in {page.path}")
    texts = [text.text for text in found.values()] or [""]
    if page.text not in texts:
        raise Broken("page", f"{page.path} is {page.text!r} for {page.name} and {texts!r} for the hub")


def _owed(token: bytes, contents: Iterable[bytes]) -> bool:
    """Whether the line that the tool gives this token to stands in one of the texts."""
    texts = [data.decode(errors="replace") for data in contents if b"\0" not in data]
    return any(token.decode() in formatted(line) for text in texts for line in text.splitlines())


def _marks(data: bytes, token: bytes) -> int:
    """How often a tool's mark with the token stands whole at the line that the tool gives it to.

    One that stands elsewhere was carried there by an edit of someone else, and one in which someone typed is
    theirs: the tool may well have marked the line again. Two lines may be given the same.
    """
    mark = f" [checked {token.decode()}]"
    lines = [line for line in data.decode(errors="replace").splitlines() if mark in line]
    marked: Counter[str] = Counter()
    for line in lines:
        if token.decode() in formatted(bare := line.partition(mark)[0]):
            marked[bare.strip()] += line.count(mark)
    return max(marked.values(), default=0)


def compare(promise: str, one: str, first: Picture, other: str, second: Picture) -> None:
    """Raises Broken, naming the first path at which two folders differ."""
    for path in sorted(first.keys() | second.keys()):
        if first.get(path) != second.get(path):
            raise Broken(promise, f"{path} is {first.get(path)} for {one} and {second.get(path)} for {other}")

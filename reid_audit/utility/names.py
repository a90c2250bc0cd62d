"""Names of structures under other spellings, and missing from one of two sets."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace

from reid_audit.records import Finding, InputError
from reid_audit.utility.structures import Structure, StructureSet
from reid_audit.volume.names import plain_name


def rename_structures(structure_set: StructureSet, aliases: Mapping[str, str]) -> StructureSet:
    """Give structures other names: ``aliases`` maps a name in the file to the name to use, compared by `plain_name`.

    Raises
    ------
    InputError
        Two structures would have one name.
    """
    wanted = {plain_name(old): new for old, new in aliases.items()}

    def renamed(names: Iterable[str]) -> Iterator[tuple[str, str]]:
        return ((name, wanted.get(plain_name(name), name)) for name in names)

    structures: dict[str, Structure] = {}
    spelled: set[str] = set()
    for old, new in renamed(structure_set.structures):
        if plain_name(new) in spelled:
            raise InputError(f"{structure_set.source}: two structures are called {new!r}; rename one of them")
        spelled.add(plain_name(new))
        structures[new] = replace(structure_set.structures[old], name=new)
    return replace(structure_set, structures=structures, empty=tuple(new for _, new in renamed(structure_set.empty)))


def pair_names(
    before: StructureSet, after: StructureSet | None, *, deleted: Collection[str] = ()
) -> tuple[list[tuple[str, str | None]], list[Finding]]:
    """Pair the names of two sets, whatever their spelling, and note those that only one of them has.

    Returns
    -------
    pairs : list of (str, str or None)
        Name before and name after; names that are only after stand with themselves. None = no set after.
    findings : list of Finding
        ``"missing_after"``, ``"missing_before"``, ``"spelled_otherwise"``, and ``"deleted"`` for those that are
        among ``deleted``: they are not missed.
    """
    import difflib

    if after is None:
        return [(name, None) for name in before.names], []
    spelled = {plain_name(name): name for name in after.names}
    pairs: list[tuple[str, str | None]] = []
    findings, lacking = [], []
    for name in before.names:
        other = spelled.pop(plain_name(name), None)
        pairs.append((name, name if other is None else other))
        if name in deleted:
            findings.append(Finding("deleted", "info", f"{name!r} was deleted on purpose"))
        elif other is None:
            lacking.append(name)
        elif other != name:
            findings.append(Finding("spelled_otherwise", "info", f"{name!r} is spelled {other!r} afterwards"))
    for name in lacking:
        near = difflib.get_close_matches(plain_name(name), list(spelled), n=1, cutoff=0.6)
        hint = f"; is it {spelled[near[0]]!r}? then --alias '{spelled[near[0]]}={name}'" if near else ""
        findings.append(Finding("missing_after", "warning", f"{name!r} is not among the structures afterwards{hint}"))
    for other in spelled.values():
        findings.append(Finding("missing_before", "warning", f"{other!r} is not among the structures before"))
        pairs.append((other, other))
    return pairs, findings

import reid_audit


def test_the_public_names_are_sorted_and_there() -> None:
    # Constants, then classes, then functions, each in alphabetical order: what ruff calls sorted.
    kinds = [(not name.isupper(), name[0].islower() or name[0] == "_", name) for name in reid_audit.__all__]
    assert kinds == sorted(kinds)
    for name in reid_audit.__all__:
        assert hasattr(reid_audit, name), name


def test_no_public_name_leaks() -> None:
    modules = {name for name in vars(reid_audit) if type(getattr(reid_audit, name)).__name__ == "module"}
    public = {name for name in vars(reid_audit) if not name.startswith("_")} - modules - {"annotations"}
    assert public == set(reid_audit.__all__) - {"__version__"}

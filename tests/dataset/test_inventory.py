"""Inventories of BIDS datasets: what is found, what is set aside and why, what must be asked."""

from __future__ import annotations

import stat
from hashlib import sha256
from pathlib import Path

import pytest
from trees import write_bids, write_image

from reid_audit import InputError, read_cohort
from reid_audit.audit.findings import check_copies
from reid_audit.cli import main
from reid_audit.dataset import Choice, Inventory, read_manifest, take_inventory
from reid_audit.dataset.bids import SUFFIXES
from reid_audit.records import Decision, Modality


def aside(of: Inventory) -> dict[str, int]:
    """Count what was set aside by its reason."""
    counts: dict[str, int] = {}
    for entry in of.aside:
        counts[entry.reason] = counts.get(entry.reason, 0) + entry.count
    return counts


def keys(of: Inventory) -> list[str]:
    assert of.cohort is not None, of.questions
    return [scan.key for scan in of.cohort.scans]


def test_sixty_people_two_visits_two_tools(tmp_path):
    root = write_bids(tmp_path / "study", people=60, derivatives=("pydeface", "quickshear"))
    got = take_inventory(root)
    cohort = got.cohort
    assert cohort is not None
    assert (got.layout, got.source, got.questions, got.notes) == ("BIDS", "study", (), ())
    assert len(cohort.scans) == 60 * 2 * 3
    assert cohort.conditions == ("original", "pydeface", "quickshear")
    assert (cohort.sessions, len(cohort.subjects)) == (("1", "2"), 60)
    assert cohort.strata.loc["07"].to_dict() == {"sex": "M", "age": "27", "handedness": ""}
    assert {scan.modality for scan in cohort.scans} == {Modality.MR}
    assert all(scan.path.is_file() for scan in cohort.scans)
    assert aside(got) == {"no NIfTI image": 120}
    same = next(pair for pair in cohort.pair_accounting() if pair.group.value == "same")
    assert (same.possible, same.missing) == (60, 0)


def test_a_dataset_without_sessions_is_one_visit(tmp_path):
    root = tmp_path / "flat"
    for who in ("01", "02"):
        write_image(root / f"sub-{who}" / "anat" / f"sub-{who}_T1w.nii.gz")
    got = take_inventory(root)
    assert keys(got) == ["01/1/original", "02/1/original"]
    assert "no dataset_description.json" in got.notes[0]
    assert "no defaced scan" in got.notes[1]
    write_image(root / "sub-02" / "ses-pre" / "anat" / "sub-02_ses-pre_T1w.nii.gz")
    got = take_inventory(root)
    assert keys(got) == ["02/pre/original"]
    assert aside(got) == {"has no ses- entity, where other images have one": 2}


def test_old_and_proposed_suffixes(tmp_path):
    root = tmp_path / "raw"
    write_image(root / "sub-a" / "anat" / "sub-a_PD.nii.gz")
    write_image(root / "sub-b" / "ct" / "sub-b_ct.nii.gz")
    got = take_inventory(root, choice=Choice(suffix="pdw"))
    assert keys(got) == ["a/1/original"]
    got = take_inventory(root, choice=Choice(suffix="CT"))
    assert [(scan.key, scan.modality) for scan in got.cohort.scans] == [("b/1/original", Modality.CT)]


def test_what_is_no_scan_is_set_aside_with_its_reason(tmp_path):
    root = write_bids(tmp_path / "raw", people=1, derivatives=("tool", "fmriprep", "freesurfer"))
    anat = root / "sub-01" / "ses-1" / "anat"
    for name in (
        *("sub-01_ses-1_part-phase_T1w", "sub-01_ses-1_inv-1_MP2RAGE", "head", "sub-01_ses-2_T1w", "sub-02_ses-1_T1w"),
        *("sub-01_ses-1_acq-a_acq-b_T1w", "sub-01_ses-1_run 1_T1w"),
    ):
        write_image(anat / f"{name}.nii")
    write_image(root / "sub-01" / "ses-1" / "func" / "sub-01_ses-1_task-rest_bold.nii.gz")
    write_image(root / "sub-01" / "ses-1" / "func" / "sub-01_ses-1_task-rest_cbv.nii.gz")
    write_image(root / "sourcedata" / "sub-01" / "ses-1" / "anat" / "sub-01_ses-1_run-9_T1w.nii")
    for path in (root / "derivatives" / "fmriprep").rglob("*.nii"):
        path.rename(path.with_name(path.name.replace("desc-defaced", "space-MNI_desc-preproc")))
    for path in (root / "derivatives" / "freesurfer").rglob("*.nii"):
        path.rename(path.with_suffix(".mgz"))
    got = take_inventory(root)
    inversion = "01/1/MP2RAGE/original"
    assert keys(got) == [inversion, *(f"01/{v}/T1w/{c}" for v in "12" for c in ("original", "tool"))]
    assert aside(got) == {
        "no NIfTI image": 2 + 2,
        "phase, real or imaginary part": 1,
        "has many volumes: --four-d first or mean judges one": 1,
        f"not one of the images that are judged ({', '.join(dict.fromkeys(name for name, _ in SUFFIXES.values()))})": 1,
        "its name is not BIDS": 2,
        "its name and its folder disagree about subject or session": 2,
        "an entity stands twice in its name": 1,
        "resampled to another space: not on its original's voxel grid": 2,
        "lies in sourcedata, where no image is judged (among the originals)": 1,
        "holds no image that is judged": 2,
    }


def test_all_suffixes_are_images_of_their_visits_unless_one_is_asked_for(tmp_path):
    root = write_bids(tmp_path / "raw", suffixes=("T1w", "FLAIR"), derivatives=("tool",))
    got = take_inventory(root)
    assert got.cohort is not None
    assert keys(got)[:4] == [f"01/1/{image}/{c}" for image in ("FLAIR", "T1w") for c in ("original", "tool")]
    assert len(keys(got)) == 24
    assert all(scan.image in scan.path.name for scan in got.cohort.scans)
    assert got.cohort.partner_of(got.cohort.scans[3]) == got.cohort.scans[2]
    got = take_inventory(root, choice=Choice(suffix="flair"))
    assert keys(got)[:2] == ["01/1/original", "01/1/tool"]
    assert len(keys(got)) == 12
    assert all("FLAIR" in scan.path.name for scan in got.cohort.scans)
    assert aside(got)["another kind of image than FLAIR"] == 12
    got = take_inventory(root, choice=Choice(suffix="T2w"))
    assert got.questions == ("No original is T2w; there are FLAIR (6), T1w (6): choose with --suffix.",)


def test_several_runs_are_images_and_a_derivative_follows_its_original(tmp_path):
    root = write_bids(tmp_path / "raw", runs=("1", "2"), derivatives=("tool",))
    got = take_inventory(root)
    assert keys(got)[:4] == [f"01/1/T1w run-{n}/{c}" for n in "12" for c in ("original", "tool")]
    assert len(keys(got)) == 24
    # In one visit only the second run was defaced: with the first one chosen, it must not pass for the first.
    (root / "derivatives/tool/sub-01/ses-1/anat/sub-01_ses-1_run-1_desc-defaced_T1w.nii").unlink()
    got = take_inventory(root, choice=Choice(run="first"))
    assert len(keys(got)) == 11
    assert "01/1/tool" not in keys(got)
    assert all("run-1" in scan.path.name for scan in got.cohort.scans)
    got = take_inventory(root, choice=Choice(run="2"))
    assert len(keys(got)) == 12
    assert all("run-2" in scan.path.name for scan in got.cohort.scans)


def test_a_derivative_of_another_run_is_not_its_own(tmp_path):
    root = write_bids(tmp_path / "raw", people=1, sessions=1, runs=("1",), derivatives=("same", "other", "plain"))
    for tool, run in (("other", "_run-2"), ("plain", "")):
        path = next((root / "derivatives" / tool).rglob("*.nii"))
        path.rename(path.with_name(path.name.replace("_run-1", run)))
    got = take_inventory(root)
    assert keys(got) == ["01/1/original", "01/1/plain", "01/1/same"]
    assert aside(got)["its original was not chosen"] == 1


def test_all_runs_are_visits_of_their_own(tmp_path):
    root = write_bids(tmp_path / "raw", people=2, sessions=1, runs=("1", "2"), derivatives=("tool",))
    (root / "derivatives/tool/sub-01/ses-1/anat/sub-01_ses-1_run-2_desc-defaced_T1w.nii").rename(
        root / "derivatives/tool/sub-01/ses-1/anat/sub-01_ses-1_desc-defaced_T1w.nii"
    )
    got = take_inventory(root, choice=Choice(run="all"))
    assert keys(got) == [
        *("01/1r1/original", "01/1r1/tool", "01/1r2/original"),
        *("02/1r1/original", "02/1r1/tool", "02/1r2/original", "02/1r2/tool"),
    ]
    assert aside(got)["is of no run of its visit's originals"] == 1
    assert "each run counts as a visit" in got.notes[0]


def test_other_entities_tell_images_apart(tmp_path):
    root = write_bids(tmp_path / "raw", people=2, sessions=1, derivatives=("tool",))
    for place in (root, root / "derivatives" / "tool"):
        more = "" if place == root else "_desc-defaced"
        write_image(place / "sub-01" / "ses-1" / "anat" / f"sub-01_ses-1_acq-fast{more}_T1w.nii")
    got = take_inventory(root)
    assert keys(got)[:4] == [f"01/1/{image}/{c}" for image in ("T1w", "T1w acq-fast") for c in ("original", "tool")]
    assert keys(got)[4:] == ["02/1/T1w/original", "02/1/T1w/tool"]
    assert ["fast" in scan.path.name for scan in got.cohort.scans] == [False] * 2 + [True] * 2 + [False] * 2
    fast = take_inventory(root, choice=Choice(where=(("acq", "F*"),)))
    assert [scan.path.name for scan in fast.cohort.scans] == [
        "sub-01_ses-1_acq-fast_T1w.nii",
        "sub-01_ses-1_acq-fast_desc-defaced_T1w.nii",
    ]
    plain = take_inventory(root, choice=Choice(where=(("acq", ""),)))
    assert keys(plain) == [f"0{n}/1/{c}" for n in (1, 2) for c in ("original", "tool")]


def test_two_files_for_one_scan_are_asked_about(tmp_path):
    root = write_bids(tmp_path / "raw", people=1, sessions=1)
    write_image(root / "sub-01" / "ses-1" / "anat" / "sub-01_ses-1_T1w.nii.gz")
    got = take_inventory(root)
    assert got.cohort is None
    assert "two files for one scan (sub-01_ses-1_T1w.nii, sub-01_ses-1_T1w.nii.gz)" in got.questions[0]


@pytest.mark.parametrize("sign", ["rec", "name", "sidecar", "mask", "sourcedata"])
def test_images_that_say_they_were_defaced_are_no_originals(tmp_path, sign):
    root = write_bids(tmp_path / "raw", people=2, sessions=2)
    anat = root / "sub-02" / "ses-2" / "anat"
    image = anat / "sub-02_ses-2_T1w.nii"
    if sign == "rec":
        image.rename(anat / "sub-02_ses-2_rec-defaced_T1w.nii")
    elif sign == "name":
        image.rename(anat / "sub-02_ses-2_T1w_defaced.nii")
    elif sign == "sidecar":
        (anat / "sub-02_ses-2_T1w.json").write_text('{"Defaced": true}')
        (root / "sub-01" / "ses-1" / "anat" / "sub-01_ses-1_T1w.json").write_text('{"Defaced": false}')
    elif sign == "mask":
        write_image(anat / "sub-02_ses-2_mod-T1w_defacemask.nii")
    else:
        write_image(root / "sourcedata" / "sub-02" / "sub-02_ses-2_T1w.nii")
    got = take_inventory(root)
    assert keys(got) == [f"{who}/{v}/original" for who, v in (("01", 1), ("01", 2), ("02", 1))] + ["02/2/defaced"]
    assert any("1 raw images say that they were defaced" in note for note in got.notes)
    trusted = take_inventory(root, choice=Choice(trust_originals=True))
    assert trusted.cohort.conditions == ("original",)


def test_a_declared_condition_that_yields_nothing_is_an_error(tmp_path):
    root = write_bids(tmp_path / "raw", derivatives=("tool",))
    (tmp_path / "elsewhere" / "sub-01").mkdir(parents=True)
    with pytest.raises(InputError, match=r"condition 'mine' was declared and holds no image"):
        take_inventory(root, choice=Choice(conditions=(("mine", tmp_path / "elsewhere"),)))
    for path in (root / "derivatives" / "tool").rglob("*.nii"):
        path.rename(path.with_suffix(".mgz"))
    with pytest.raises(InputError, match=r"condition 'tool' was declared.*no NIfTI image \(6"):
        take_inventory(root, choice=Choice(derivatives=("tool",)))
    assert take_inventory(root).cohort.conditions == ("original",)


def test_other_copies_in_a_released_tree_are_named_and_asked_about_and_allowed(tmp_path):
    root = write_bids(tmp_path / "raw", derivatives=("tool",))
    tool = root / "derivatives" / "tool"
    for name in ("figures/sub-01.png", "sub-01/ses-1/anat/head.stl", "sourcedata/sub-01_T1w.nii", "README.txt"):
        write_image(tool / name, name.encode())
    write_image(root / "figures" / "sub-01.png")  # of the originals' tree, which is not released
    actual = take_inventory(root)
    assert actual.cohort is not None
    assert actual.cohort.copies == (
        "1 mesh (may be the surface of a head, e.g. sub-01/ses-1/anat/head.stl)",
        "1 picture (may be a screenshot or preview that shows the face, e.g. figures/sub-01.png)",
        "1 image in sourcedata (lies in sourcedata, where no image is judged, e.g. sourcedata/sub-01_T1w.nii)",
    )
    check = check_copies(actual.cohort)[0]
    assert check.decision is Decision.REVIEW
    assert "1 mesh" in check.text
    allow = tmp_path / "allow.csv"
    allow.write_text(f"sha256,reason\n{sha256(b'figures/sub-01.png').hexdigest()},no face in it\n")
    actual = take_inventory(root, choice=Choice(allow=allow))
    assert len(actual.cohort.copies) == 2
    assert aside(actual)["allowed: no face in it"] == 1
    assert check_copies(read_cohort(write_bids(tmp_path / "clean", derivatives=("tool",)))) == []


def test_pipelines_that_lie_deep_or_add_a_word_to_names_are_conditions(tmp_path):
    root = write_bids(tmp_path / "raw", people=1, sessions=1, derivatives=("deface/pydeface", "deface/mideface"))
    for path in (root / "derivatives" / "deface" / "pydeface").rglob("*.nii"):
        path.rename(path.with_name("sub-01_ses-1_T1w_defaced.NII"))
    assert keys(take_inventory(root)) == ["01/1/original", "01/1/mideface", "01/1/pydeface"]


def test_derivatives_are_chosen_and_trees_elsewhere_declared(tmp_path):
    root = write_bids(tmp_path / "raw", derivatives=("a", "b"))
    got = take_inventory(root, choice=Choice(derivatives=("b",)))
    assert got.cohort.conditions == ("original", "b")
    with pytest.raises(InputError, match=r"no derivative 'c'; there are 'a', 'b'"):
        take_inventory(root, choice=Choice(derivatives=("c",)))
    (root / "derivatives" / "a").rename(tmp_path / "elsewhere")
    got = take_inventory(root, choice=Choice(conditions=(("mine", tmp_path / "elsewhere"),)))
    assert got.cohort.conditions == ("original", "b", "mine")
    for name in ("b", "original", "a/b", ""):
        with pytest.raises(InputError, match="condition"):
            take_inventory(root, choice=Choice(conditions=((name, tmp_path / "elsewhere"),)))


def test_a_derivative_is_no_raw_dataset(tmp_path):
    root = write_bids(tmp_path / "defaced")
    (root / "dataset_description.json").write_text('{"Name": "x", "DatasetType": "derivative"}')
    with pytest.raises(InputError, match=r"is a derivative by its dataset_description.json; give the raw dataset"):
        take_inventory(root)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("name\tsex\n01\tF\n", "lacks the column participant_id"),
        ("participant_id\tsex\nsub-01\tF\n01\tM\n", "names 01 twice"),
        ("participant_id\tsex\nsub-01\tF\tx\ty\n\n\t\t\t\t\n", "is not a readable table"),
    ],
)
def test_bad_participants(tmp_path, table, message):
    root = write_bids(tmp_path / "raw")
    (root / "participants.tsv").write_text(table)
    with pytest.raises(InputError, match=rf"^participants\.tsv: {message}"):
        take_inventory(root)


def test_a_defaced_image_of_a_kind_that_has_no_original_keeps_its_name(tmp_path):
    root = write_bids(tmp_path / "raw", people=1, sessions=1, derivatives=("tool",))
    anat = root / "derivatives" / "tool" / "sub-01" / "ses-1" / "anat"
    for run in (1, 2):
        write_image(anat / f"sub-01_ses-1_run-{run}_T2w.nii")
    got = take_inventory(root)
    assert keys(got) == [
        *("01/1/T1w/original", "01/1/T1w/tool", "01/1/T2w run-1/tool", "01/1/T2w run-2/tool"),
    ]
    assert "2 defaced scans have no original of their visit" in got.notes[0]


def test_participants_and_scans_need_not_agree(tmp_path):
    root = write_bids(tmp_path / "raw", people=2, derivatives=("tool",))
    (root / "participants.tsv").write_text("participant_id\tsession\tsex\nsub-02\t1\tF\nsub-09\t1\tM\n")
    got = take_inventory(root)
    assert got.cohort.strata["sex"].to_dict() == {"01": "", "02": "F"}
    assert list(got.cohort.strata.columns) == ["sex"]
    assert any("does not list 01" in note for note in got.notes)
    assert any("1 people without a scan: 09" in note for note in got.notes)


def test_the_manifest_that_it_writes_is_private_and_reads_back(tmp_path, capsys):
    root = write_bids(tmp_path / "raw", derivatives=("tool",))
    out = tmp_path / "manifest.csv"
    assert main(["inventory", str(root), "-o", str(out)]) == 0
    said = capsys.readouterr().out
    assert "Next: reid-audit score" in said
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    want, got = read_cohort(root), read_manifest(out)
    assert got.scans == want.scans
    assert got.strata.equals(want.strata)
    assert main(["inventory", str(root), "-o", str(out)]) == 2
    assert "is there already" in capsys.readouterr().err
    assert main(["inventory", str(out)]) == 0
    assert "read as a manifest" in capsys.readouterr().out


def test_the_command_asks_and_is_answered(tmp_path, capsys):
    root = write_bids(tmp_path / "raw", runs=("1", "2"), suffixes=("T1w", "T2w"), derivatives=("tool",))
    twice = write_image(root / "sub-01" / "ses-1" / "anat" / "sub-01_ses-1_run-1_T1w.nii.gz")
    assert main(["inventory", str(root), "-o", str(tmp_path / "m.csv")]) == 2
    assert "To choose: One visit holds several T1w images" in " ".join(capsys.readouterr().out.split())
    assert not (tmp_path / "m.csv").exists()
    assert main(["calibrate", str(root)]) == 2
    assert "two files for one scan" in " ".join(capsys.readouterr().err.split())
    twice.unlink()
    assert main(["inventory", str(root), "-o", str(tmp_path / "m.csv")]) == 0
    assert "T1w run-1 (6)" in " ".join(capsys.readouterr().out.split())
    assert read_manifest(tmp_path / "m.csv").images == tuple(f"{s} run-{n}" for s in ("T1w", "T2w") for n in "12")
    assert main(["inventory", str(root), "--where", "acq"]) == 2
    assert "--where must read NAME=VALUE" in capsys.readouterr().err


def test_options_do_not_apply_to_a_manifest(tmp_path):
    write_image(tmp_path / "a.nii")
    manifest = tmp_path / "m.csv"
    manifest.write_text("subject,session,condition,path\na,1,original,a.nii\nb,1,original,b.nii\n")
    assert take_inventory(manifest).notes[0] == "1 scans have no file: b/1/original"
    with pytest.raises(InputError, match="is a manifest"):
        take_inventory(manifest, choice=Choice(run="first"))
    with pytest.raises(InputError, match="no such file or folder"):
        take_inventory(tmp_path / "none")
    with pytest.raises(InputError, match="layout must be one of"):
        take_inventory(tmp_path, layout="zip")


def test_the_folder_of_the_dataset_may_be_the_present_one(tmp_path, monkeypatch):
    monkeypatch.chdir(write_bids(tmp_path / "here"))
    assert take_inventory(Path()).source == "here"

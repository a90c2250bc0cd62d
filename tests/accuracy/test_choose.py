"""Choosing a recogniser on tables that can be checked by hand."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reid_audit import InputError, Settings, testing
from reid_audit.accuracy.choose import choose_encoder, read_choice, score_encoder, write_choice
from reid_audit.audit import choose_model
from reid_audit.cli import main
from reid_audit.dataset import read_manifest
from reid_audit.records import SCORE_COLUMNS, ScoreTable


def table(same, different) -> ScoreTable:
    """``same`` by person, ``different`` by pair of people."""
    rows = [("same", "original", "naive", "toy", who, "1", who, "2", d) for who, d in same.items()]
    rows += [("different", "original", "naive", "toy", a, "1", b, "1", d) for (a, b), d in different.items()]
    return ScoreTable(pd.DataFrame(rows, columns=list(SCORE_COLUMNS)))


def cohort(people, *, separation, seed=0, lost=()):
    """Distances drawn about 0.3 and 0.3 + separation; scans of lost people have no face."""
    rng, names = np.random.default_rng(seed), [f"p{i:02d}" for i in range(people)]
    different = {(a, b): 0.3 + separation + 0.1 * rng.random() for i, a in enumerate(names) for b in names[i + 1 :]}
    same = {name: 0.3 + 0.1 * rng.random() for name in names}
    for name in lost:
        same[name] = math.nan
        different = {pair: math.nan if name in pair else d for pair, d in different.items()}
    return table(same, different)


def test_numbers_of_a_small_table():
    pairs = {("a", "b"): 0.3, ("a", "c"): 0.5, ("b", "c"): 0.6}
    score = score_encoder("toy", table({"a": 0.1, "b": 0.2, "c": 0.4}, pairs), seconds=0.25)
    assert (score.same, score.different, score.subjects, score.seconds) == (3, 3, 3, 0.25)
    assert score.auc.value == pytest.approx(8 / 9)  # of nine comparisons only 0.4 against 0.3 is wrong
    assert score.overlap == pytest.approx(1 / 3)  # at any threshold in (0.2, 0.3]: TMR 2/3, FMR 0
    # Ranks of same 1, 2, 4 and of different 3, 5, 6: H = 12 / (6 * 7) * (7^2 / 3 + 14^2 / 3) - 3 * 7.
    assert score.h.statistic == pytest.approx(12 / 42 * (49 + 196) / 3 - 21)
    assert math.isnan(score.threshold)
    assert (score.tmr.trials, score.fta.successes, score.fta.trials) == (0, 0, 6)
    assert "needs 300 different pairs" in score.reason


def test_rate_at_one_percent_counts_lost_faces_as_no_match():
    whole = score_encoder("toy", cohort(30, separation=0.2))
    assert (whole.overlap, whole.auc.value, whole.tmr.value) == (0, 1, 1)
    lossy = score_encoder("toy", cohort(30, separation=0.2, lost=["p03", "p04", "p05"]))
    assert (lossy.same, lossy.tmr.successes, lossy.tmr.trials) == (27, 27, 30)
    assert lossy.auc.value == pytest.approx(1 - 0.5 * 3 / 30)
    assert lossy.fta.successes > 0
    assert lossy.overlap == 0  # of what was acquired


def test_best_first_whatever_the_order():
    good, poor = (score_encoder(name, cohort(30, separation=s)) for name, s in (("good", 0.1), ("poor", 0.02)))
    for given in ([good, poor], [poor, good]):
        choice = choose_encoder(given)
        assert (choice.recommended, choice.equals) == ("good", ())
        assert [score.encoder for score in choice.scores] == ["good", "poor"]
        assert "AUC 1.000" in choice.reason


def test_lost_faces_weigh_against_a_recogniser():
    sharp = score_encoder("sharp", cohort(30, separation=0.2, lost=[f"p{i:02d}" for i in range(12)]))
    steady = score_encoder("steady", cohort(30, separation=0.06))
    assert sharp.overlap < steady.overlap
    assert choose_encoder([sharp, steady]).recommended == "steady"


def test_ties_go_to_the_faster_and_are_told():
    slow = score_encoder("slow", cohort(30, separation=0.2), seconds=2)
    fast = replace(slow, encoder="fast", seconds=0.1)
    unknown = replace(slow, encoder="unknown", seconds=math.nan)
    choice = choose_encoder([unknown, slow, fast])
    assert [score.encoder for score in choice.scores] == ["fast", "slow", "unknown"]
    assert choice.equals == ("slow", "unknown")
    assert "cannot tell slow, unknown from it" in choice.reason


def test_nothing_is_recommended_where_nobody_is_told_apart():
    choice = choose_encoder([score_encoder("blind", cohort(30, separation=0.0))])
    assert choice.recommended == ""
    assert "no recogniser tells these people apart" in choice.reason
    nobody = score_encoder("none", table({}, {("a", "b"): 0.5}))
    assert choose_encoder([nobody]).recommended == ""
    assert math.isnan(nobody.overlap)
    assert nobody.reason


def test_no_encoder_or_one_twice_is_an_input_error():
    each = score_encoder("one", cohort(5, separation=0.2))
    for scores, message in (([], "at least one"), ([each, each], "named twice")):
        with pytest.raises(InputError, match=message):
            choose_encoder(scores)


def test_a_stand_in_comes_last_and_is_never_recommended():
    good = replace(score_encoder("made up", cohort(30, separation=0.2)), stand_in=True)
    poor = score_encoder("real", cohort(30, separation=0.05))
    choice = choose_encoder([good, poor])
    assert [score.encoder for score in choice.scores] == ["real", "made up"]
    assert (choice.recommended, choice.equals) == ("real", ())
    alone = choose_encoder([good])
    assert alone.recommended == ""
    assert "stand-in" in alone.reason


def test_choice_survives_its_file_and_makes_a_table(tmp_path):
    scores = [score_encoder(name, cohort(30, separation=s)) for name, s in (("good", 0.1), ("poor", 0.02))]
    choice = replace(choose_encoder(scores), cohort="m.csv", notices=("a note",))
    path = write_choice(choice, tmp_path / "out")
    assert repr(read_choice(path)) == repr(choice)
    rows = (tmp_path / "out" / "choice.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["encoder", "good", "poor"]
    assert len({len(row.split(",")) for row in rows}) == 1
    with pytest.raises(InputError, match="--overwrite"):
        write_choice(choice, tmp_path / "out")
    write_choice(choice, tmp_path / "out", overwrite=True)
    path.write_text("{}")
    with pytest.raises(InputError, match=r"choice\.json has schema version none"):
        read_choice(path)


def test_one_visit_has_nothing_to_choose_by(tmp_path):
    (tmp_path / "m.csv").write_text("subject,session,condition,path\np1,1,original,a.nii\np2,1,original,b.nii\n")
    with pytest.raises(InputError, match="choose on a cohort with two or more people in two visits"):
        choose_model(read_manifest(tmp_path / "m.csv"), settings=Settings(encoders=("dlib",)))


@pytest.mark.slow
def test_dlib_comes_before_two_stand_ins_on_synthetic_heads(demo_manifest: Path, tmp_path, capsys):
    for name, seed in (("one", 1), ("two", 2)):  # vectors of two numbers: most people look alike
        path = tmp_path / f"{name}.onnx"
        testing.write_encoder(path, size_px=112, dimension=2, channels_first=True, seed=seed)
    names = f"onnx:{tmp_path / 'one.onnx'},dlib,onnx:{tmp_path / 'two.onnx'}"
    arguments = ["choose-model", str(demo_manifest), "--encoders", names, "--workers", "2", "-o", str(tmp_path / "out")]
    assert main([*arguments, "--detector", "dlib"]) == 0
    choice = read_choice(tmp_path / "out" / "choice.json")
    assert choice.scores[0].encoder == "dlib"
    # Random weights may tell four people apart, too: never better than dlib, and not both as well.
    others = [score.auc.value for score in choice.scores[1:]]
    assert max(others) <= choice.scores[0].auc.value > min(others)
    assert [score.stand_in for score in choice.scores] == [False, True, True]
    for score in choice.scores:
        assert (score.same, score.different, score.fta.trials) == (4, 6, 8)
        assert score.seconds > 0
        assert score.h.statistic == score.h.statistic
    told = " ".join(capsys.readouterr().out.split())
    for words in ("onnx:one.onnx", "(stand-in)", "STAND-IN", "Recommended:", "needs 300 different pairs"):
        assert words in told
    assert str(tmp_path) not in told.replace(str(tmp_path / "out"), "")

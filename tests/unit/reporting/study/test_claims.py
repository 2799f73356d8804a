"""What is claimed, from numbers with a known answer (tests/made_outcome.py: invented)."""

from synaug.reporting.study import labels
from synaug.reporting.study.claims import claimed, first_table, foremost, headline, not_shown, tally
from synaug.reporting.study.outcome import Interval
from tests import made_outcome as made


def said(statements) -> list[tuple[str, str, list[str]]]:
    return [(one.subject, one.verdict, [on.test for on in one.differences]) for one in statements]


def two_arms(**differences) -> made.Table:
    """One pair whose differences by test set are given, by seed."""
    one = made.table(("main/real",), real=())
    found = {test: made.interval(*of) for test, of in differences.items()}
    pair = made.Difference(label="A over B", first="main/a", second="main/b", tests=found)
    return one.model_copy(update={"differences": [pair], "rows": []})


def test_gains_and_losses_are_claimed_and_the_rest_is_not():
    table = made.table(("main/real", "main/real-half", "main/naive-6x", "main/auxbn-1x", "main/oracle-6x"))
    assert said(claimed(table)) == [
        ("naive-6x", "gain", ["test", "contexts", "noise", "sketch"]),
        ("auxbn-1x", "gain", ["contexts", "noise", "sketch"]),
        ("auxbn-1x", "loss", ["test"]),
        ("oracle-6x", "gain", ["test"]),
        ("oracle-6x", "loss", ["noise"]),
    ]
    assert said(not_shown(table)) == [("oracle-6x", "open", ["contexts", "sketch"])]
    assert tally(table, pair=False) == {"gain": 8, "loss": 2, "open": 2}


def test_losses_are_told_in_the_words_and_figures_of_gains():
    table = made.table(
        ("main/real", "main/auxbn-1x"), pairs={"AuxBN over naive, 6x": ("main/auxbn-6x", "main/naive-6x")}
    )
    gain, loss, pair = claimed(table)
    assert (gain.word, loss.word, pair.word) == ("above", "below", "lower")
    assert loss.pieces[0].startswith("test −1.0 [−1.") and pair.pieces[1].startswith("contexts −19.0 [")


def test_pairs_are_judged_by_their_own_intervals():
    up, both = [0.02, 0.03, 0.02, 0.03, 0.02], [0.02, -0.02, 0.02, -0.02, 0.01]
    table = two_arms(test=up, contexts=[-one for one in up], noise=both)
    assert said(claimed(table)) == [("A over B", "gain", ["test"]), ("A over B", "loss", ["contexts"])]
    assert said(not_shown(table)) == [("A over B", "open", ["noise"])]


def test_one_interval_of_two_is_not_enough():
    only_bootstrap = Interval(mean=0.01, std=0.01, n=3, bootstrap=(0.001, 0.02), t=(-0.001, 0.021))
    only_t = Interval(mean=0.01, std=0.01, n=3, bootstrap=(-0.001, 0.02), t=(0.001, 0.02))
    table = two_arms(test=[0.1])
    table.differences[0].tests.update({"test": only_bootstrap, "noise": only_t})
    assert claimed(table) == [] and said(not_shown(table)) == [("A over B", "open", ["test", "noise"])]


def test_one_seed_claims_nothing_and_says_why():
    table = made.table(("main/real", "main/naive-6x"), seeds=1)
    assert claimed(table) == []
    [one] = not_shown(table)
    assert one.verdict == "unknown" and "test +4.0 (one seed, no interval)" in one.pieces


def test_equal_differences_at_all_seeds_have_no_interval():
    [one] = not_shown(two_arms(test=[0.01, 0.01, 0.01]))
    assert one.pieces == ["test +1.0 (the same at all seeds, no interval)"]


def test_without_real_rows_nothing_is_gained():
    table = made.table(("main/naive-6x", "again/naive-6x"), real=())
    assert claimed(table) == not_shown(table) == []
    assert headline(table) == "Nothing to compare with real-only arms"


def test_headline_is_of_the_first_arm_at_the_largest_scale_not_of_the_best():
    arms = ("main/real", "main/naive-1x", "main/auxbn-6x", "main/naive-6x", "main/oracle-6x")
    assert headline(made.table(arms)).startswith("auxbn-6x over real images alone: ")
    assert headline(made.table(arms)).endswith(" in domain, +14.0 to +15.0 points out of domain")
    assert headline(made.table(("main/real", "main/auxbn-1x"))).startswith(
        "auxbn-1x over real images alone: −1.0 points in domain"
    )
    assert headline(made.table(("main/real", "main/naive-6x"), seeds=1)).endswith(
        "nothing shown in domain, nothing shown out of domain"
    )
    assert headline(None) == "Nothing to compare with real-only arms"


def test_first_screen_is_about_the_largest_scale_and_the_pairs():
    table = made.table(pairs={"3x over 1x": ("main/naive-3x", "main/naive-1x")})
    assert {one.subject for one in foremost(table)} == {
        "main/naive-6x",
        "again/naive-6x",
        "main/auxbn-6x",
        "main/oracle-6x",
        "3x over 1x",
    }
    kinds = made.table(("main/real", "main/naive-1x"), name="kinds", figure="gains")
    assert first_table(made.outcome(kinds, table)) == table and first_table(made.outcome(kinds)) == kinds


def test_names_carry_the_run_where_there_are_several():
    one, two = made.table(("main/real", "main/naive-6x")), made.table(("main/real", "again/naive-6x"))
    assert [labels.name(one, row) for row in one.rows] == ["real", "naive-6x"]
    assert [labels.name(two, row) for row in two.rows] == ["main/real", "again/naive-6x"]


def test_baselines_are_told_once_or_by_rows():
    table = made.table(("main/real", "main/real-half", "main/naive-1x", "main/naive-6x"))
    over = "main/real on test, contexts and sketch and main/real-half on noise"
    assert labels.baselines(table) == [f"Gains are over {over}."]
    other = table.rows[-1].model_copy(
        update={
            "gain": {
                test: gain.model_copy(update={"against": "other/real"}) for test, gain in table.rows[-1].gain.items()
            }
        }
    )
    two = table.model_copy(update={"rows": [*table.rows[:-1], other]})
    assert labels.baselines(two) == [f"Gains of naive-1x are over {over}.", "Gains of naive-6x are over other/real."]
    assert labels.baselines(made.table(("main/naive-1x",), real=())) == []


def test_tests_in_domain_come_first():
    table = made.table(("main/real",), tests=("noise", "test", "sketch"))
    assert labels.tests(table) == ["test", "noise", "sketch"] and labels.seeds(table) == "10 training seeds an arm"


def test_a_row_says_what_tells_it_from_the_others():
    table = made.table(("main/real", "main/naive-6x"))
    plain, other = table.rows
    assert labels.details(table, plain) == ""
    changed = {"seed": "1", "prompts.examples": "x" * 100}
    other = other.model_copy(update={"changed": changed, "model": "convnext_atto", "parameters": 3_400_000})
    table = table.model_copy(update={"rows": [plain, other]})
    assert labels.details(table, other) == f"convnext_atto, 3.4 M parameters; seed 1; prompts.examples {'x' * 59}…"
    assert labels.details(table, plain) == "resnet18"


def test_what_all_rows_change_is_told_once_below_the_table():
    table = made.table(("main/real", "main/naive-6x"))
    shared = {"prompts.senses": "false"}
    rows = [table.rows[0].model_copy(update={"changed": shared})]
    rows.append(table.rows[1].model_copy(update={"changed": shared | {"settings.lr": "0.1"}}))
    table = table.model_copy(update={"rows": rows})
    assert [labels.details(table, row) for row in rows] == ["", "lr 0.1"]
    assert labels.notes(table) == [*labels.baselines(table), "In all rows: prompts.senses false."]

from synaug.config.suggest import did_you_mean


def test_the_nearest_known_name_is_told_where_it_stands():
    assert did_you_mean("sumbit", ["plan", "submit"]) == "; did you mean submit?"
    assert did_you_mean("lrr", ["lr", "steps"], inside="arms.real.") == "; did you mean arms.real.lr?"


def test_nothing_is_told_beyond_the_cutoff():
    assert did_you_mean("x", ["plan", "submit"]) == ""
    assert did_you_mean("titel", ["title"], cutoff=0.9) == ""

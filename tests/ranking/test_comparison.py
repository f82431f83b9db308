"""Fitness beside training alone: who is compared, what is said, and which candidates are taken."""

from __future__ import annotations

import dataclasses
import json

import pytest
from made_search import made_evaluations, space_of

from detnas_d2.ranking import RankingError, compare, in_words, propose, table
from detnas_d2.search import rank
from detnas_d2.space import Architecture

SPACE = space_of()
FITNESS, ALONE = (
    {"metric": "bbox/AP", "images": "val"},
    {"metric": "AP", "images": "test images", "source": "table.json"},
)


def compared(evaluations, alone):
    content = compare(evaluations, alone, FITNESS, ALONE)
    return json.loads(json.dumps(content, allow_nan=False))


def test_those_that_have_both(tmp_path):
    """Networks that failed in the search, or are not in it, are left out and counted."""
    evaluations = made_evaluations(SPACE, 30, failing=[2, 5])
    alone = {e.architecture: [10.0 + i, 12.0 + i] for i, e in enumerate(evaluations[:20])}
    unknown = [Architecture(SPACE, (c,) * 8) for c in range(3)]
    assert not {e.architecture for e in evaluations} & set(unknown)
    content = compared(evaluations, {**alone, **dict.fromkeys(unknown, [1.0])})
    assert (content["candidates"], content["failed"], content["not_scored"]) == (30, 2, 3)
    ranked = [e for e in rank(evaluations) if e.architecture in alone]
    for network, e in zip(content["networks"], ranked, strict=True):
        assert network["architecture"] == list(e.architecture)
        assert (network["fitness"], network["flops"]) == (e.fitness, e.flops)
        assert network["alone"] == alone[e.architecture]
    text = "\n".join(in_words(content))
    assert "18 networks (table.json), trained alone with 2 seeds each" in text
    assert "bbox/AP on val, and AP alone on test images" in text
    assert "Of those trained alone 2 are left out, failed in the search." in text
    assert "Of those trained alone 3 are left out, not scored by it." in text
    share = content["figures"]["fitness"]["in_order"]["value"]
    assert f"orders {100 * share:.0f}% of pairs as training alone does" in text
    assert (
        "One seed's figures agree with another's by tau 1.00 (1.00 to 1.00), over 18 networks"
        in text
    )
    best = content["figures"]["fitness"]["best"][1]
    cell = f"{100 * best['precision']:.0f}%, {best['regret']:.2f} AP"
    assert ("precision and regret at 3", cell) in [row[:2] for row in table(content)]


def test_too_few():
    evaluations = made_evaluations(SPACE, 3, failing=[0])
    alone = {e.architecture: [1.0] for e in evaluations}
    with pytest.raises(RankingError, match=r"2 of the 3 .*\(1 failed in it\).* at least 3"):
        compared(evaluations, alone)
    with pytest.raises(RankingError, match="2 of the search's 3 candidates did not fail"):
        propose(evaluations, 8)


def scrambled(e):
    return float(sum((c + 1) * 7**i for i, c in enumerate(e.architecture)) % 101)


@pytest.mark.parametrize(
    ("count", "fitness", "alone", "said"),
    [
        (30, scrambled, scrambled, "more than their multiply-adds do among networks of about"),
        (8, scrambled, scrambled, "more than their multiply-adds do: choosing by it pays"),
        (30, scrambled, lambda e: -scrambled(e), "the wrong way round"),
        (30, lambda e: float(e.flops), lambda e: e.flops, "not surely better than their multiply"),
        (3, scrambled, scrambled, "can't be told from chance"),  # of 6 orders it is one
        (30, lambda e: float(e.flops), scrambled, "can't be told from chance"),
        (30, scrambled, lambda e: 0.0, "no order to compare"),
        (30, lambda e: 0.0, scrambled, "no order to compare"),
    ],
)
def test_what_it_means(count, fitness, alone, said):
    made = made_evaluations(SPACE, count)
    evaluations = [dataclasses.replace(e, fitness=fitness(e)) for e in made]
    content = compared(evaluations, {e.architecture: [alone(e)] for e in evaluations})
    assert said in content["meaning"] and in_words(content)[-1] == content["meaning"]
    assert ("precision" in str(table(content))) == (said != "no order to compare")


def test_candidates_are_spread_over_the_fitness():
    """With the best and the worst; more of them contain fewer; failed ones are none."""
    evaluations = made_evaluations(SPACE, 40, failing=[7])
    ranked = [e.architecture for e in rank(evaluations)]
    eight = propose(evaluations, 8)
    places = sorted(map(ranked.index, eight))
    assert places[0] == 0 and places[-1] == 38
    gaps = [b - a for a, b in zip(places, places[1:], strict=False)]
    assert max(gaps) <= 2 * min(gaps) + 1
    assert propose(evaluations, 12)[:8] == eight
    assert sorted(propose(evaluations, 99), key=ranked.index) == ranked

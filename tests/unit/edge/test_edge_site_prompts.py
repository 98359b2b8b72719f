"""What is pointed at on the camera's own site: looked for at once, kept, and reconciled with the cloud's list."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_client.site.prompts import LIFETIME_S, SAVING, SitePrompts
from narrows.contract.errors import PromptConflict, PromptInvalid, PromptsFull
from narrows.contract.outputs.objects import MOST_PROMPTS
from narrows.contract.records.prompts import (
    FIRST_SITE_ID,
    PromptAnswers,
    PromptList,
    PromptRef,
    SourceBox,
    SourcePrompt,
)
from narrows.runtime.prompting import Box, Point, Prompt

SOURCE = (320, 240)
BEGAN_MS = 1_800_000_000_000
BOX = Prompt(Box(10, 20, 30, 40))


class Site:
    """A site on a clock that the test moves."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.now_ms, self.set_by_ms = folder, float(BEGAN_MS), 0
        self.again()

    def add(self, prompt: Prompt = BOX, replaced: int | None = None) -> SourcePrompt:
        version = self.prompts.look().version
        return self.prompts.add(prompt, SOURCE, who="198.51.100.7", if_version=version, replaced=replaced)

    def remove(self, number: int) -> None:
        self.prompts.remove(number, who="198.51.100.7", if_version=self.prompts.look().version)

    def looked_for(self, cloud: PromptList) -> list[int]:
        return [each.id for each in self.prompts.merged(cloud).prompts]

    def again(self) -> None:
        self.prompts = SitePrompts(self.folder, lambda: self.now_ms, lambda: (self.now_ms - self.set_by_ms) / 1000)

    def clock_is_set(self, by_ms: int) -> None:
        self.now_ms += by_ms
        self.set_by_ms += by_ms


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def of_cloud(*numbers: int, version: int = 7, removed: tuple[PromptRef, ...] = ()) -> PromptList:
    box, until_ms = SourceBox(1, 2, 3, 4), BEGAN_MS + 10**8
    made = tuple(SourcePrompt(number, version, *SOURCE, until_ms, "ada", box) for number in numbers)
    return PromptList(version, made, removed)


def test_a_thing_is_looked_for_at_once_behind_those_of_the_cloud_whatever_the_link_does(site: Site) -> None:
    assert site.prompts.merged(PromptList()) is not None
    made = site.add()
    assert (made.id, made.width, made.height) == (FIRST_SITE_ID, *SOURCE)
    assert site.looked_for(PromptList()) == [FIRST_SITE_ID]
    assert site.looked_for(of_cloud(1, 2)) == [1, 2, FIRST_SITE_ID]
    assert site.prompts.merged(of_cloud(1)).version == 7  # the list that the camera answers is the cloud's


def test_the_cloud_is_told_of_the_sites_prompts_and_of_what_was_taken_away_here(site: Site) -> None:
    answers = PromptAnswers(width=320, height=240, version=7)
    assert site.prompts.told(answers) is answers
    made = site.add()
    site.prompts.merged(of_cloud(1, 2))
    site.remove(2)
    told = site.prompts.told(answers)
    assert (told.site, told.removed) == ((made,), (PromptRef(2, 7),))
    assert PromptAnswers.parse(told.to_json()) == told
    assert site.looked_for(of_cloud(1, 2)) == [1, FIRST_SITE_ID]


def test_a_removal_wins_whichever_sides_it_is(site: Site) -> None:
    made = site.add()
    assert site.looked_for(of_cloud(1, removed=(PromptRef(made.id, made.version),))) == [1]
    assert site.looked_for(of_cloud(1, version=8)) == [1]  # for good, also once the cloud has forgotten it
    site.remove(1)
    assert site.looked_for(of_cloud(1, version=8)) == []
    again = of_cloud(1, version=9)  # the same id, set anew since: another prompt
    assert site.looked_for(again) == [1]
    assert site.prompts.told(PromptAnswers()).removed == ()


def test_an_id_that_is_free_again_is_another_prompt_also_within_a_second_and_over_a_restart(site: Site) -> None:
    made = []
    for _ in range(3):
        made.append(site.add())
        site.remove(made[-1].id)
        site.again()
    assert [each.id for each in made] == [FIRST_SITE_ID] * 3
    assert len({each.version for each in made}) == 3


def test_a_removal_of_another_prompt_that_had_this_id_takes_nothing_away(site: Site) -> None:
    made = site.add()
    assert site.looked_for(of_cloud(removed=(PromptRef(made.id, made.version - 1),))) == [made.id]


def test_a_list_that_is_not_there_brings_nothing_back_that_was_taken_away_here(site: Site) -> None:
    site.prompts.merged(of_cloud(1))
    site.remove(1)
    assert site.looked_for(PromptList()) == []
    assert site.looked_for(of_cloud(1)) == []


def test_where_both_have_more_than_16_the_clouds_come_first_and_then_the_oldest_of_the_site(site: Site) -> None:
    first, second = site.add(), site.add()
    found = site.looked_for(of_cloud(*range(1, 16)))
    assert found == [*range(1, 16), first.id]
    listed = site.prompts.look()
    assert [each.id for each in listed.waiting] == [second.id]
    with pytest.raises(PromptsFull, match="16 prompts"):
        site.add()
    assert site.looked_for(of_cloud(1, version=8)) == [1, first.id, second.id]


def test_a_site_has_16_and_says_so(site: Site) -> None:
    for _ in range(MOST_PROMPTS):
        site.add()
    with pytest.raises(PromptsFull):
        site.add()
    site.remove(FIRST_SITE_ID + 3)
    assert site.add().id == FIRST_SITE_ID + 3


def test_of_two_who_change_the_list_at_once_the_second_is_told(site: Site) -> None:
    seen = site.prompts.look().version
    made = site.prompts.add(BOX, SOURCE, who="one", if_version=seen)
    for change in (
        lambda: site.prompts.add(BOX, SOURCE, who="two", if_version=seen),
        lambda: site.prompts.remove(made.id, who="two", if_version=seen),
    ):
        with pytest.raises(PromptConflict, match="changed meanwhile"):
            change()
    now = site.prompts.look().version
    site.prompts.merged(of_cloud(1))  # the cloud's operators count, too
    with pytest.raises(PromptConflict, match="changed meanwhile"):
        site.prompts.add(BOX, SOURCE, who="two", if_version=now)
    assert [each.id for each in site.prompts.look().prompts] == [1, made.id]


def test_a_point_beside_the_thing_takes_the_place_of_the_prompt_before(site: Site) -> None:
    before = site.add(Prompt(points=(Point(50, 60),)))
    after = site.add(Prompt(points=(Point(50, 60), Point(90, 60, positive=False))), replaced=before.id)
    (found,) = site.prompts.merged(PromptList()).prompts
    assert (found, found.id, len(found.points)) == (after, before.id, 2)
    assert after.version > before.version
    with pytest.raises(PromptConflict, match="no prompt 5"):
        site.add(replaced=5)


@pytest.mark.parametrize(
    "prompt",
    [
        Prompt(Box(400, 10, 20, 20)),
        Prompt(Box(10, 10, 0, 20)),
        Prompt(points=(Point(-5, 10),)),
        Prompt(points=(Point(5, 10, positive=False),)),
        Prompt(Box(float("nan"), 10, 10, 20)),
    ],
    ids=["beyond", "no area", "point beyond", "negative alone", "no number"],
)
def test_what_points_at_nothing_is_refused_and_nothing_changes(site: Site, prompt: Prompt) -> None:
    before = site.prompts.look()
    with pytest.raises(PromptInvalid):
        site.add(prompt)
    assert site.prompts.look() == before


def test_prompts_expire_by_the_clock_and_what_is_left_outlives_the_program(site: Site) -> None:
    site.prompts.merged(of_cloud(1))
    site.remove(1)
    made = site.add()
    site.again()
    assert site.looked_for(of_cloud(1)) == [made.id]
    site.now_ms = BEGAN_MS + LIFETIME_S * 1000
    assert site.looked_for(PromptList()) == []
    assert site.prompts.told(PromptAnswers()).site == ()
    assert site.prompts.look().prompts == ()


@pytest.mark.parametrize("junk", [b"", b"{", b'{"v":9}', b'{"v":1,"prompts":[{"id":0}]}', b"x" * 100_000])
def test_a_file_that_cannot_be_read_is_none_and_the_site_goes_on(tmp_path: Path, junk: bytes) -> None:
    (tmp_path / "site_prompts.json").write_bytes(junk)
    site = Site(tmp_path)
    assert site.prompts.look().prompts == ()
    site.add()
    site.again()
    assert len(site.prompts.look().prompts) == 1


def test_a_disk_that_takes_nothing_costs_no_prompt(tmp_path: Path) -> None:
    site = Site(tmp_path / "gone")
    assert site.looked_for(PromptList()) == [] or site.add()
    site.add()
    assert site.looked_for(PromptList()) == [FIRST_SITE_ID]


def test_a_list_whose_ids_are_a_sites_is_followed_and_each_id_is_there_once(site: Site) -> None:
    """Whoever writes it: with an id twice each of the camera's frames would be refused."""
    site.add()
    assert site.looked_for(of_cloud(FIRST_SITE_ID, 3)) == [FIRST_SITE_ID, 3]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(["site", "cloud", "site takes", "cloud takes", "heard"]), max_size=40))
def test_once_each_has_heard_the_other_both_see_the_same(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str]
) -> None:
    site = Site(tmp_path_factory.mktemp("site"))
    cloud = of_cloud(version=1)
    for step in steps:
        match step:
            case "site" if len(site.prompts.look().prompts) < MOST_PROMPTS:
                site.add()
            case "site takes" if found := site.prompts.look().prompts:
                site.remove(found[0].id)
            case "cloud" if len(cloud.prompts) < MOST_PROMPTS:
                number = next(n for n in range(1, 17) if n not in {each.id for each in cloud.prompts})
                (made,) = of_cloud(number, version=cloud.version + 1).prompts
                cloud = PromptList(cloud.version + 1, (*cloud.prompts, made), cloud.removed)
            case "cloud takes":
                there = site.prompts.told(PromptAnswers()).site
                gone = tuple(PromptRef(each.id, each.version) for each in there[:1])
                cloud = PromptList(cloud.version + 1, cloud.prompts[1:], (*cloud.removed, *gone)[-MOST_PROMPTS:])
            case _:
                site.prompts.merged(cloud)
    looked_for = {(each.id, each.version) for each in site.prompts.merged(cloud).prompts}
    told = site.prompts.told(PromptAnswers())
    unwanted = {(each.id, each.version) for each in (*cloud.removed, *told.removed)}
    of_both = {(each.id, each.version) for each in (*cloud.prompts, *told.site)} - unwanted
    assert looked_for == of_both or (len(looked_for) == MOST_PROMPTS and looked_for < of_both)


FIFTY_YEARS_MS = 50 * 365 * 86_400_000


@pytest.mark.parametrize("by_ms", [-FIFTY_YEARS_MS, -7_200_000, 7_200_000, FIFTY_YEARS_MS])
def test_a_clock_that_is_set_takes_no_prompt_of_the_site_away_nor_keeps_one(site: Site, by_ms: int) -> None:
    made = site.add()
    site.now_ms += 3_600_000
    site.clock_is_set(by_ms)
    assert site.looked_for(PromptList()) == [FIRST_SITE_ID]
    (seen,) = site.prompts.look().prompts
    assert (seen.id, seen.version, seen.expires_ms) == (made.id, made.version, made.expires_ms + by_ms)
    site.now_ms += LIFETIME_S * 1000 - 3_600_000
    assert site.looked_for(PromptList()) == []


def test_what_was_made_by_the_servers_clock_is_not_moved_when_a_reboot_believes_in_1970_for_a_while(site: Site) -> None:
    made = site.add()
    site.clock_is_set(-FIFTY_YEARS_MS)
    site.again()
    site.looked_for(PromptList())
    site.now_ms += 60_000
    site.clock_is_set(FIFTY_YEARS_MS)
    site.looked_for(PromptList())
    assert site.prompts.look().prompts == (made,)


def test_a_clock_that_runs_a_little_fast_moves_nothing(site: Site) -> None:
    made = site.add()
    site.clock_is_set(50_000)
    site.looked_for(PromptList())
    assert site.prompts.look().prompts == (made,)


def test_what_the_cloud_took_away_stays_away_over_a_restart_also_once_the_cloud_has_forgotten_it(site: Site) -> None:
    made = site.add()
    assert site.looked_for(of_cloud(1, removed=(PromptRef(made.id, made.version),))) == [1]
    for each in threading.enumerate():
        if each.name == SAVING:
            each.join()
    site.again()
    assert site.looked_for(of_cloud(1, version=8)) == [1]


def test_a_clock_that_was_set_before_the_next_frame_takes_no_prompt_away_where_somebody_points_meanwhile(
    site: Site,
) -> None:
    made, version = site.add(), site.prompts.look().version
    site.clock_is_set(FIFTY_YEARS_MS)
    assert [each.id for each in site.prompts.told(PromptAnswers()).site] == [made.id]
    site.prompts.add(BOX, SOURCE, who="ada", if_version=version)
    assert site.looked_for(PromptList()) == [made.id, made.id + 1]

"""Coroutines a tick at a time."""

from __future__ import annotations

from scenarios.script import Script, first, next_tick, until


class Clock:
    def __init__(self):
        self.t, self.log = 0, []

    async def after(self, ticks, word="", broken=None):
        try:
            end = self.t + ticks
            await until(lambda: self.t >= end)
            self.log.append((self.t, word))
        finally:
            if broken is not None:
                broken.append(word)


def play(script, clock, ticks):
    for _ in range(ticks):
        script.step()
        clock.t += 1


def test_a_scenario_goes_on_when_its_moment_comes():
    clock, script = Clock(), Script()

    async def scenario():
        await clock.after(3, "first")
        await clock.after(2, "second")

    script.start("one", scenario())
    script.start("two", clock.after(4, "other"))
    play(script, clock, 10)
    assert clock.log == [(3, "first"), (4, "other"), (5, "second")]


def test_the_first_of_two_ends_both_and_the_other_is_broken_off():
    clock, script, broken, won = Clock(), Script(), [], []

    async def scenario():
        slow, fast = clock.after(9, "slow", broken), clock.after(2, "fast", broken)
        won.append(await first(slow, fast))
        await next_tick()
        won.append(clock.t)

    script.start("race", scenario())
    play(script, clock, 12)
    assert won == [1, 3]
    assert clock.log == [(2, "fast")]
    assert broken == ["fast", "slow"]


def test_one_that_fails_is_kept_by_name_and_the_others_go_on():
    clock, script = Clock(), Script()

    async def fails():
        await clock.after(1)
        raise ValueError("no room for the car")

    script.start("bad", fails())
    script.start("good", clock.after(3, "good"))
    play(script, clock, 5)
    assert clock.log[-1] == (3, "good")
    assert str(script.failures["bad"]) == "no room for the car"

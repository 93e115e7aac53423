"""Ray without processes: what its actors do, and when, is said beforehand."""

import time

from structured_layers.integrations.evotorch.rollouts import Rollouts

NEVER = float("inf")


class Reference:
    """What is ready after some seconds, with a value or an error."""

    def __init__(self, outcome, value):
        self.value = outcome if isinstance(outcome, Exception) else value
        self.ready = time.monotonic() + (0.0 if isinstance(outcome, Exception) else outcome)


class Actor:
    """An actor that evaluates nothing: all candidates get zeros."""

    def __init__(self, fake, place):
        self.fake, self.place, self.alive = fake, place, True
        self.call = self

    def remote(self, method, arguments, keywords):
        if method == "prepare":
            return Reference(self.fake.start(self.place), 0)
        (candidates,) = arguments
        return Reference(self.fake.work(candidates), Rollouts.empty(len(candidates), 3))


class FakeRay:
    """Stands for the module ``ray`` and for EvoTorch's class of actors.

    Args:
        start: seconds that the actor of a place takes to be up, or the error that it ends with.
        work: the same of some candidates.
    """

    def __init__(self, start=lambda place: 0.0, work=lambda candidates: 0.0):
        self.start, self.work = start, work
        self.actors, self.waits = [], 0

    @property
    def starts(self):
        return len(self.actors)

    @property
    def alive(self):
        return sum(actor.alive for actor in self.actors)

    def options(self, **options):
        return self

    def remote(self, problem, place, *rest):
        self.actors.append(Actor(self, place))
        return self.actors[-1]

    def put(self, value):
        return value

    def kill(self, actor, no_restart):
        actor.alive = False

    def get(self, reference):
        if isinstance(reference.value, Exception):
            raise reference.value
        return reference.value

    def wait(self, references, num_returns, timeout):
        assert references, "nobody is left to wait for"
        self.waits += 1
        end = NEVER if timeout is None else time.monotonic() + timeout
        end = min(end, *(reference.ready for reference in references), NEVER)
        self.sleep(end - time.monotonic())
        now = time.monotonic()
        ready = [reference for reference in references if reference.ready <= now][:num_returns]
        return ready, [reference for reference in references if reference not in ready]

    def sleep(self, seconds):
        assert seconds < 10, "it would wait for ever"
        time.sleep(max(seconds, 0.0))

"""Policies in words: what a rule is called, what a change asks, and what comes of it."""

from __future__ import annotations

from datetime import datetime

from app.models import Application, PolicyMode
from app.services.lockouts import Obstacle, Preview
from app.services.policies import Rule, begins_anew
from app.web.support.pages import day

OFF, OPTIONAL, REQUIRED, DATED = "off", "optional", "required", "dated"

OBSTACLES = {
    Obstacle.SUSPENDED: ("Suspended", "Lift the suspension"),
    Obstacle.LOCKED: ("Locked after wrong codes", "Unlock, or wait"),
    Obstacle.CLOSED: ("Nothing enrolled, and enrollment is closed", "Invite to enroll"),
    Obstacle.REENROLLMENT: ("Used a recovery code, and set up nothing since", "Approve"),
    Obstacle.NO_METHOD: ("No method is offered", "Switch the TOTP connection on"),
}
"""What is in the way, and what takes it away."""


def choice_of(rule: Rule, now: datetime) -> str:
    """Return which of the four choices a rule is; a date that has passed makes it required."""
    if rule.mode is PolicyMode.OFF:
        return OFF
    if rule.mode is PolicyMode.OPTIONAL:
        return OPTIONAL
    return REQUIRED if rule.requires(now) else DATED


def name_of(rule: Rule, now: datetime) -> str:
    """Return what a rule is called in a list."""
    choice = choice_of(rule, now)
    if choice != DATED:
        return {OFF: "Off", OPTIONAL: "Optional", REQUIRED: "Required"}[choice]
    return f"Required from {_day(rule)}"


def more_of(rule: Rule, now: datetime) -> str:
    """Return what a rule comes to for a user who has nothing enrolled, in one sentence."""
    return {
        OFF: "Everybody passes without confirming.",
        OPTIONAL: "Whoever has a method confirms. The others may choose “Not now”.",
        REQUIRED: "Whoever has no method sets one up at the next visit.",
        DATED: f"Until then, whoever has no method may put it off {_times(rule)}.",
    }[choice_of(rule, now)]


def question(rule: Rule, now: datetime, application: Application | None) -> str:
    """Return what is asked before a rule is saved."""
    where = f" for {application.name}" if application else ""
    return {
        OFF: f"Switch the second step off{where}?",
        OPTIONAL: f"Make the second step optional{where}?",
        REQUIRED: f"Require a second step{where} from now on?",
        DATED: f"Require a second step{where} from {_day(rule)}?",
    }[choice_of(rule, now)]


def button(rule: Rule, now: datetime) -> str:
    """Return what the button says that saves a rule."""
    return {
        OFF: "Switch it off",
        OPTIONAL: "Make it optional",
        REQUIRED: "Require it now",
        DATED: f"Require it from {_day(rule)}",
    }[choice_of(rule, now)]


def consequences(before: Rule, after: Rule, now: datetime) -> list[str]:
    """Return what follows from a change, sentence by sentence."""
    told = {
        OFF: [
            "Nobody is asked for a second factor, not even who has one. Each visit goes straight "
            "back, and its result says that nothing was confirmed.",
            "Methods and recovery codes are kept. They are asked for again when you require it.",
        ],
        OPTIONAL: [
            "Whoever has a method still confirms with it.",
            "Whoever has none may set one up, or choose “Not now” as often as they like. The "
            "result then says that nothing was confirmed.",
        ],
        REQUIRED: [
            "Whoever has a method confirms with it.",
            "Whoever has none sets one up at the next visit. Nobody can put it off.",
        ],
        DATED: [
            f"From {_day(after)}, 00:00 UTC, whoever has no method must set one up.",
            f"Until then they may put it off {_times(after)}. The result then says that nothing "
            "was confirmed.",
            _count(before, after),
        ],
    }[choice_of(after, now)]
    return [sentence for sentence in told if sentence]


def told(found: Preview) -> str:
    """Return in one sentence whom a rule would stop today."""
    parts = []
    if found.set_up:
        parts.append(f"{_users(found.set_up)} must set up a method first")
    if found.held_up:
        parts.append(f"{_users(found.held_up)} can’t get in")
    return f"Today, {', and '.join(parts)}."


def _users(number: int) -> str:
    return "1 user" if number == 1 else f"{number:,} users"


def _count(before: Rule, after: Rule) -> str:
    if after.skips is None:
        return ""
    if begins_anew(before, after):
        return "Everybody’s count starts now."
    return "How often somebody has put it off before still counts."


def _times(rule: Rule) -> str:
    if rule.skips is None:
        return "as often as they like"
    return {1: "once", 2: "twice"}.get(rule.skips, f"{rule.skips} times")


def _day(rule: Rule) -> str:
    return day(rule.required_from) if rule.required_from else ""

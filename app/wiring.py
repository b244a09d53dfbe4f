"""Builds each service once; knows no Flask, so the command line and tests use it too."""

from __future__ import annotations

from dataclasses import dataclass

from app import crypto
from app.clock import Clock, SystemClock
from app.config import Config
from app.db import Database
from app.services.api_keys import ApiKeys
from app.services.applications import Applications
from app.services.audit import Audit
from app.services.delivery import Delivery
from app.services.directory import Directory
from app.services.enrollment import Enrollment
from app.services.gateway_sessions import GatewaySessions
from app.services.limits import Limits
from app.services.organizations import Organizations
from app.services.recovery import Recovery
from app.services.tokens import Tokens
from app.services.verification import Verifications
from app.services.visits import Visits


@dataclass(frozen=True, kw_only=True)
class Services:
    """Every use case that a front door may call, and the database to call it on."""

    config: Config
    clock: Clock
    database: Database
    organizations: Organizations
    directory: Directory
    applications: Applications
    api_keys: ApiKeys
    tokens: Tokens
    limits: Limits
    enrollment: Enrollment
    gateway_sessions: GatewaySessions
    visits: Visits


def wire(config: Config, clock: Clock | None = None) -> Services:
    """Build the services for these settings.

    Args:
        config: with both secrets present, as `config.load` returns it.
        clock: another one than the machine's (tests).
    """
    clock = clock or SystemClock()
    vault = crypto.Vault(crypto.parse_keys(config.encryption_keys.get_secret_value()))
    audit = Audit(clock)
    organizations = Organizations(clock, audit)
    directory = Directory(clock, audit)
    tokens = Tokens(config, clock, vault, audit)
    delivery = Delivery(clock)
    limits = Limits(config, audit)
    recovery = Recovery(clock, vault, audit)
    verifications = Verifications(clock, vault, limits, recovery, delivery, audit)
    enrollment = Enrollment(clock, vault, verifications, recovery, delivery, audit)
    gateway_sessions = GatewaySessions(
        config,
        clock,
        vault,
        organizations,
        directory,
        enrollment,
        verifications,
        tokens,
        audit,
    )
    return Services(
        config=config,
        clock=clock,
        database=Database(config.database),
        organizations=organizations,
        directory=directory,
        applications=Applications(clock, vault, audit),
        api_keys=ApiKeys(clock, vault, audit),
        tokens=tokens,
        limits=limits,
        enrollment=enrollment,
        gateway_sessions=gateway_sessions,
        visits=Visits(
            clock, organizations, gateway_sessions, enrollment, verifications, recovery, limits
        ),
    )

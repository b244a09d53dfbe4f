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
from app.services.authenticators import Authenticators
from app.services.authorization_codes import AuthorizationCodes
from app.services.challenges import Challenges
from app.services.delivery import Delivery
from app.services.directory import Directory
from app.services.enrollment import Enrollment
from app.services.gateway_sessions import GatewaySessions
from app.services.headless import Headless
from app.services.idempotency import Idempotency
from app.services.imports import Imports
from app.services.limits import Limits
from app.services.magic_link_challenges import MagicLinkChallenges
from app.services.magic_links import MagicLinks
from app.services.method_settings import MethodSettings
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
    method_settings: MethodSettings
    organizations: Organizations
    directory: Directory
    applications: Applications
    api_keys: ApiKeys
    tokens: Tokens
    idempotency: Idempotency
    limits: Limits
    audit: Audit
    delivery: Delivery
    recovery: Recovery
    enrollment: Enrollment
    authenticators: Authenticators
    imports: Imports
    gateway_sessions: GatewaySessions
    magic_link_challenges: MagicLinkChallenges
    magic_links: MagicLinks
    visits: Visits
    headless: Headless


def wire(config: Config, clock: Clock | None = None) -> Services:
    """Build the services for these settings.

    Args:
        config: with both secrets present, as `config.load` returns it.
        clock: another one than the machine's (tests).
    """
    clock = clock or SystemClock()
    vault = crypto.Vault(crypto.parse_keys(config.encryption_keys.get_secret_value()))
    database = Database(config.database)
    audit = Audit(clock)
    method_settings = MethodSettings(audit)
    organizations = Organizations(clock, method_settings, audit)
    directory = Directory(clock, audit)
    tokens = Tokens(config, clock, vault, audit)
    authorization_codes = AuthorizationCodes(clock, vault, tokens, audit)
    applications = Applications(clock, vault, audit)
    delivery = Delivery(clock, vault)
    limits = Limits(config, audit)
    recovery = Recovery(clock, vault, method_settings, audit)
    challenges = Challenges(clock, vault, method_settings, delivery, audit)
    verifications = Verifications(
        clock, vault, limits, method_settings, challenges, recovery, delivery, audit
    )
    enrollment = Enrollment(clock, vault, method_settings, verifications, recovery, delivery, audit)
    gateway_sessions = GatewaySessions(
        config,
        clock,
        vault,
        method_settings,
        directory,
        enrollment,
        verifications,
        tokens,
        authorization_codes,
        audit,
    )
    magic_links = MagicLinks(clock, vault, gateway_sessions, limits, audit)
    headless = Headless(
        clock, method_settings, challenges, enrollment, verifications, recovery, limits
    )
    return Services(
        config=config,
        clock=clock,
        database=database,
        method_settings=method_settings,
        organizations=organizations,
        directory=directory,
        applications=applications,
        api_keys=ApiKeys(clock, vault, audit),
        tokens=tokens,
        idempotency=Idempotency(clock, vault),
        limits=limits,
        audit=audit,
        delivery=delivery,
        recovery=recovery,
        enrollment=enrollment,
        authenticators=Authenticators(clock, recovery, delivery, audit),
        imports=Imports(database, clock, vault, audit),
        gateway_sessions=gateway_sessions,
        magic_link_challenges=MagicLinkChallenges(
            config,
            directory,
            applications,
            gateway_sessions,
            magic_links,
            delivery,
            tokens,
            authorization_codes,
            audit,
        ),
        magic_links=magic_links,
        headless=headless,
        visits=Visits(
            clock,
            method_settings,
            gateway_sessions,
            magic_links,
            enrollment,
            verifications,
            recovery,
            limits,
        ),
    )

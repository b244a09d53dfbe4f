"""Builds each service once; knows no Flask, so the command line and tests use it too."""

from __future__ import annotations

from dataclasses import dataclass

from app import crypto
from app.clock import Clock, SystemClock
from app.config import Config
from app.db import Database
from app.models import Door
from app.outbound import Outbound
from app.providers import providers
from app.services.access_tokens import AccessTokens
from app.services.account import Account
from app.services.administration import Administration
from app.services.administrator_events import AdministratorEvents
from app.services.administrator_sessions import AdministratorSessions
from app.services.administrators import Administrators
from app.services.answers import Answers
from app.services.api_keys import ApiKeys
from app.services.applications import Applications
from app.services.appointments import Appointments
from app.services.arrivals import Arrivals
from app.services.attention import Attention
from app.services.audit import Audit
from app.services.audit_search import AuditSearch
from app.services.authenticators import Authenticators
from app.services.authorization_codes import AuthorizationCodes
from app.services.brands import Brands
from app.services.bypass_codes import BypassCodes
from app.services.challenges import Challenges
from app.services.channel_losses import ChannelLosses
from app.services.channels import Channels
from app.services.client_authentication import ClientAuthentication
from app.services.contact_codes import ContactCodes
from app.services.contact_methods import ContactMethods
from app.services.contact_notices import ContactNotices
from app.services.contacts import Contacts
from app.services.cryptr_entries import CryptrEntries
from app.services.cryptr_tokens import CryptrTokens
from app.services.cryptr_trials import CryptrTrials
from app.services.delivery import Delivery
from app.services.direct_verification import DirectVerifications
from app.services.directory import Directory
from app.services.duo_answers import DuoAnswers
from app.services.duo_clients import DuoClients
from app.services.duo_sessions import DuoSessions
from app.services.duo_tokens import DuoTokens
from app.services.duo_trials import DuoTrials
from app.services.encryption_keys import EncryptionKeys
from app.services.enrollment import Enrollment
from app.services.enrollment_invitations import EnrollmentInvitations
from app.services.entra_answers import EntraAnswers
from app.services.entra_checks import EntraChecks
from app.services.entra_connections import EntraConnections
from app.services.entra_keys import EntraKeys
from app.services.entra_requests import EntraRequests
from app.services.entra_trials import EntraTrials
from app.services.freeze_links import FreezeLinks
from app.services.freezes import Freezes
from app.services.gateway_sessions import GatewaySessions
from app.services.headless import Headless
from app.services.headless_passkeys import HeadlessPasskeys
from app.services.id_tokens import IdTokens
from app.services.idempotency import Idempotency
from app.services.import_jobs import ImportJobs
from app.services.import_notices import ImportNotices
from app.services.import_work import Files, ImportWork
from app.services.imports import Imports
from app.services.inbox import Inbox
from app.services.invitations import Invitations
from app.services.limits import Limits
from app.services.lockouts import Lockouts
from app.services.magic_link_challenges import MagicLinkChallenges
from app.services.magic_links import MagicLinks
from app.services.means import Means
from app.services.message_codes import MessageCodes
from app.services.message_log import MessageLog
from app.services.message_reports import MessageReports
from app.services.method_settings import MethodSettings
from app.services.notice_reach import NoticeReach
from app.services.oidc_asks import OidcAsks
from app.services.oidc_clients import OidcClients
from app.services.oidc_logouts import OidcLogouts
from app.services.oidc_requests import OidcRequests
from app.services.oidc_trials import OidcTrials
from app.services.organizations import Organizations
from app.services.overview import Overview
from app.services.passes import Passes
from app.services.passkey_challenges import PasskeyChallenges
from app.services.passkey_settings import PasskeyRules
from app.services.passkeys import Passkeys
from app.services.password_guesses import PasswordGuesses
from app.services.policies import Policies
from app.services.provider_accounts import ProviderAccounts
from app.services.provider_tests import ProviderTests
from app.services.queues import Queues
from app.services.recovery import Recovery
from app.services.recovery_messages import RecoveryMessages
from app.services.rest_trials import RestTrials
from app.services.retention import Retention
from app.services.seal_checks import SealChecks
from app.services.seals import Seals
from app.services.seen_tokens import SeenTokens
from app.services.send_figures import SendFigures
from app.services.send_troubles import SendTroubles
from app.services.sender import Sender
from app.services.sending_limits import SendingLimits
from app.services.sending_rules import Rulebook
from app.services.sent_forms import SentForms
from app.services.sign_ins import SignIns
from app.services.signing_keys import SigningKeys
from app.services.subjects import Subjects
from app.services.tallies import Tallies
from app.services.tokens import Tokens
from app.services.trial_ways import Way
from app.services.trials import Trials
from app.services.trust_rules import TrustRules
from app.services.trusted_browsers import TrustedBrowsers
from app.services.unsure_sessions import UnsureSessions
from app.services.user_care import UserCare
from app.services.user_exports import UserExports
from app.services.user_lists import UserLists
from app.services.user_locks import UserLocks
from app.services.user_states import UserStates
from app.services.verification import Verifications
from app.services.visit_browsers import VisitBrowsers
from app.services.visit_choices import VisitChoices
from app.services.visit_codes import VisitCodes
from app.services.visit_passkeys import VisitPasskeys
from app.services.visit_recovery import VisitRecovery
from app.services.visits import Visits
from app.services.webhook_claims import WebhookClaims
from app.services.webhook_drafts import WebhookDrafts
from app.services.webhook_events import WebhookEvents
from app.services.webhook_fanout import FanOut
from app.services.webhook_log import WebhookLog
from app.services.webhook_outages import WebhookOutages
from app.services.webhook_sender import WebhookSender
from app.services.webhook_sendings import WebhookSendings
from app.services.webhook_signing import Signing
from app.services.webhooks import Webhooks


@dataclass(frozen=True, kw_only=True)
class Services:
    """Every use case that a front door may call, and the database to call it on."""

    config: Config
    clock: Clock
    database: Database
    method_settings: MethodSettings
    passkey_rules: PasskeyRules
    passkeys: Passkeys
    channels: Channels
    channel_losses: ChannelLosses
    provider_accounts: ProviderAccounts
    queues: Queues
    provider_tests: ProviderTests
    policies: Policies
    trust_rules: TrustRules
    trusted_browsers: TrustedBrowsers
    lockouts: Lockouts
    organizations: Organizations
    brands: Brands
    directory: Directory
    applications: Applications
    subjects: Subjects
    entra_connections: EntraConnections
    oidc_clients: OidcClients
    client_authentication: ClientAuthentication
    oidc_requests: OidcRequests
    oidc_asks: OidcAsks
    oidc_logouts: OidcLogouts
    id_tokens: IdTokens
    access_tokens: AccessTokens
    duo_clients: DuoClients
    duo_tokens: DuoTokens
    duo_sessions: DuoSessions
    entra_keys: EntraKeys
    entra_checks: EntraChecks
    entra_requests: EntraRequests
    api_keys: ApiKeys
    signing_keys: SigningKeys
    tokens: Tokens
    encryption_keys: EncryptionKeys
    idempotency: Idempotency
    limits: Limits
    sending_rules: Rulebook
    sending_limits: SendingLimits
    message_codes: MessageCodes
    send_figures: SendFigures
    audit: Audit
    audit_search: AuditSearch
    seals: Seals
    sent_forms: SentForms
    seen_tokens: SeenTokens
    seal_checks: SealChecks
    retention: Retention
    delivery: Delivery
    sender: Sender
    message_reports: MessageReports
    inbox: Inbox
    message_log: MessageLog
    overview: Overview
    attention: Attention
    tallies: Tallies
    recovery: Recovery
    enrollment: Enrollment
    authenticators: Authenticators
    imports: Imports
    import_jobs: ImportJobs
    user_lists: UserLists
    user_states: UserStates
    user_exports: UserExports
    gateway_sessions: GatewaySessions
    answers: Answers
    magic_link_challenges: MagicLinkChallenges
    magic_links: MagicLinks
    arrivals: Arrivals
    cryptr_entries: CryptrEntries
    cryptr_tokens: CryptrTokens
    visits: Visits
    means: Means
    visit_browsers: VisitBrowsers
    visit_choices: VisitChoices
    visit_codes: VisitCodes
    visit_passkeys: VisitPasskeys
    visit_recovery: VisitRecovery
    account: Account
    freezes: Freezes
    trials: Trials
    passes: Passes
    direct_verifications: DirectVerifications
    headless: Headless
    headless_passkeys: HeadlessPasskeys
    contacts: Contacts
    contact_methods: ContactMethods
    contact_codes: ContactCodes
    recovery_messages: RecoveryMessages
    bypass_codes: BypassCodes
    enrollment_invitations: EnrollmentInvitations
    user_care: UserCare
    user_locks: UserLocks
    administrators: Administrators
    appointments: Appointments
    administrator_sessions: AdministratorSessions
    invitations: Invitations
    sign_ins: SignIns
    webhook_drafts: WebhookDrafts
    webhooks: Webhooks
    webhook_log: WebhookLog
    webhook_sender: WebhookSender


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
    outbound = Outbound(config.outbound_networks, ca_file=config.ca_file)
    seals = Seals(database, clock, vault, FanOut(clock))
    tallies = Tallies(database, clock)
    provider_accounts = ProviderAccounts(clock, vault, audit, providers(config, clock))
    sending_rules = Rulebook(config, clock, audit)
    send_figures = SendFigures(clock, sending_rules)
    sending_limits = SendingLimits(vault, sending_rules, send_figures, audit)
    passkey_rules = PasskeyRules(audit, rp_id=config.rp_id)
    passkey_challenges = PasskeyChallenges(clock, vault)
    passkeys = Passkeys(config, passkey_rules, passkey_challenges, audit)
    method_settings = MethodSettings(provider_accounts, sending_rules, passkey_rules, audit)
    channels = Channels(method_settings, provider_accounts, audit)
    policies = Policies(clock, audit)
    trust_rules = TrustRules(clock, audit)
    user_states = UserStates(config, clock, policies)
    user_lists = UserLists(clock, user_states)
    organizations = Organizations(clock, method_settings, audit)
    signing_keys = SigningKeys(config, clock, vault, audit)
    tokens = Tokens(config, clock, signing_keys, audit)
    authorization_codes = AuthorizationCodes(clock, vault, tokens, audit)
    applications = Applications(clock, vault, audit)
    oidc_clients, seen_tokens = OidcClients(audit), SeenTokens(clock)
    access_tokens = AccessTokens(clock, vault)
    notice_reach = NoticeReach(method_settings, sending_limits)
    freeze_links = FreezeLinks(config, clock, vault)
    delivery = Delivery(
        config, clock, vault, channels, notice_reach, sending_limits, freeze_links, audit
    )
    contact_notices = ContactNotices(delivery)
    directory = Directory(clock, contact_notices, audit)
    import_notices = ImportNotices(delivery, contact_notices, audit)
    imports = Imports(database, clock, vault, import_notices, audit)
    files = Files(vault)
    limits = Limits(config, audit)
    subjects = Subjects(organizations, directory)
    trusted_browsers = TrustedBrowsers(clock, vault, trust_rules, delivery, audit)
    recovery = Recovery(clock, vault, method_settings, audit)
    challenges = Challenges(clock, vault, channels, delivery, sending_limits, audit)
    message_codes = MessageCodes(clock, method_settings, limits, sending_limits, challenges)
    verifications = Verifications(
        clock, vault, limits, method_settings, challenges, passkeys, recovery, delivery, audit
    )
    enrollment = Enrollment(clock, vault, method_settings, verifications, recovery, delivery, audit)
    gateway_sessions = GatewaySessions(
        config,
        clock,
        vault,
        method_settings,
        policies,
        directory,
        enrollment,
        verifications,
        tokens,
        authorization_codes,
        audit,
    )
    entra_connections = EntraConnections(config, clock, applications, audit)
    entra_keys = EntraKeys(clock, outbound)
    administration = Administration(config, organizations, applications, method_settings)
    administrator_events = AdministratorEvents(audit)
    administrator_sessions = AdministratorSessions(clock, vault, administrator_events)
    password_guesses = PasswordGuesses(clock, vault)
    administrators = Administrators(
        clock,
        administration,
        administrator_sessions,
        directory,
        delivery,
        administrator_events,
        password_guesses,
    )
    appointments = Appointments(clock, administrators, administrator_sessions, audit)
    magic_links = MagicLinks(clock, vault, gateway_sessions, limits, audit)
    webhook_events = WebhookEvents(audit)
    webhooks = Webhooks(clock, vault, webhook_events)
    webhook_sendings = WebhookSendings(
        database,
        clock,
        Signing(vault),
        outbound,
        WebhookOutages(clock, webhooks, administrators),
    )
    bypass_codes = BypassCodes(clock, vault, gateway_sessions, limits, delivery, audit)
    enrollment_invitations = EnrollmentInvitations(
        config, clock, vault, method_settings, applications, gateway_sessions, delivery, audit
    )
    means = Means(method_settings, passkey_rules, policies)
    authenticators = Authenticators(clock, recovery, delivery, audit)
    visits = Visits(
        clock,
        method_settings,
        gateway_sessions,
        magic_links,
        means,
        enrollment,
        verifications,
        recovery,
        authenticators,
        passkeys,
        limits,
    )
    visit_codes = VisitCodes(
        clock,
        method_settings,
        channels,
        sending_limits,
        challenges,
        message_codes,
        enrollment,
        gateway_sessions,
        visits,
        means,
    )
    cryptr_tokens = CryptrTokens(config, clock, signing_keys, authorization_codes)
    unsure_sessions = UnsureSessions(clock, visits, limits)
    visit_passkeys = VisitPasskeys(means, passkeys, verifications, visits)
    headless = Headless(
        clock,
        method_settings,
        challenges,
        message_codes,
        enrollment,
        verifications,
        recovery,
        limits,
    )
    duo_clients = DuoClients(vault, applications)
    duo_tokens = DuoTokens(config, clock, duo_clients, seen_tokens)
    duo_sessions = DuoSessions(
        duo_tokens, subjects, gateway_sessions, authorization_codes, DuoAnswers(config)
    )
    freezes = Freezes(clock, freeze_links, recovery, trusted_browsers, delivery, audit)
    oidc_requests = OidcRequests(config, clock, vault, oidc_clients, seen_tokens)
    id_tokens = IdTokens(config, clock, signing_keys, authorization_codes, access_tokens)
    entra_answers = EntraAnswers(signing_keys, entra_connections)
    ways: dict[Door, Way] = {
        Door.REST: RestTrials(config, clock, gateway_sessions, signing_keys),
        Door.OIDC: OidcTrials(
            config, clock, vault, signing_keys, oidc_clients, oidc_requests, id_tokens
        ),
        Door.DUO: DuoTrials(clock, gateway_sessions, duo_clients, duo_sessions),
        Door.ENTRA: EntraTrials(
            clock,
            gateway_sessions,
            authorization_codes,
            signing_keys,
            entra_connections,
            entra_answers,
        ),
        Door.CRYPTR: CryptrTrials(config, clock, vault, gateway_sessions, cryptr_tokens),
    }
    return Services(
        config=config,
        clock=clock,
        database=database,
        method_settings=method_settings,
        passkey_rules=passkey_rules,
        passkeys=passkeys,
        channels=channels,
        channel_losses=ChannelLosses(method_settings),
        provider_accounts=provider_accounts,
        queues=Queues(database, clock),
        provider_tests=ProviderTests(
            database, clock, vault, provider_accounts, sending_rules, channels, delivery, audit
        ),
        policies=policies,
        trust_rules=trust_rules,
        trusted_browsers=trusted_browsers,
        lockouts=Lockouts(clock, method_settings, user_states),
        organizations=organizations,
        brands=Brands(clock, organizations, audit),
        directory=directory,
        applications=applications,
        subjects=subjects,
        arrivals=Arrivals(
            config,
            clock,
            vault,
            directory,
            gateway_sessions,
            provider_accounts,
            sending_limits,
            delivery,
            limits,
            unsure_sessions,
            audit,
        ),
        cryptr_entries=CryptrEntries(config, applications, subjects, audit),
        cryptr_tokens=cryptr_tokens,
        oidc_clients=oidc_clients,
        client_authentication=ClientAuthentication(
            config, clock, applications, oidc_clients, seen_tokens
        ),
        oidc_requests=oidc_requests,
        oidc_asks=OidcAsks(
            config, clock, signing_keys, subjects, gateway_sessions, visits, unsure_sessions
        ),
        oidc_logouts=OidcLogouts(config, oidc_clients, signing_keys),
        id_tokens=id_tokens,
        access_tokens=access_tokens,
        duo_clients=duo_clients,
        duo_tokens=duo_tokens,
        duo_sessions=duo_sessions,
        entra_connections=entra_connections,
        entra_keys=entra_keys,
        entra_checks=EntraChecks(outbound, entra_keys, entra_connections, signing_keys),
        entra_requests=EntraRequests(
            clock, vault, entra_connections, entra_keys, subjects, directory, gateway_sessions
        ),
        api_keys=ApiKeys(clock, vault, audit),
        signing_keys=signing_keys,
        tokens=tokens,
        encryption_keys=EncryptionKeys(database, vault),
        idempotency=Idempotency(clock, vault),
        limits=limits,
        sending_rules=sending_rules,
        sending_limits=sending_limits,
        message_codes=message_codes,
        send_figures=send_figures,
        audit=audit,
        audit_search=AuditSearch(database),
        seals=seals,
        sent_forms=SentForms(clock),
        seen_tokens=seen_tokens,
        seal_checks=SealChecks(database, seals),
        retention=Retention(config, database, clock, seals, audit),
        delivery=delivery,
        sender=Sender(config, database, clock, vault, provider_accounts),
        message_reports=MessageReports(database, clock, provider_accounts),
        inbox=Inbox(vault),
        message_log=MessageLog(),
        overview=Overview(clock, tallies, user_states),
        attention=Attention(
            clock,
            tallies,
            method_settings,
            send_figures,
            SendTroubles(clock, channels, provider_accounts),
        ),
        tallies=tallies,
        recovery=recovery,
        enrollment=enrollment,
        authenticators=authenticators,
        imports=imports,
        import_jobs=ImportJobs(
            database, clock, files, ImportWork(database, clock, files, imports), audit
        ),
        user_lists=user_lists,
        user_states=user_states,
        user_exports=UserExports(database, user_lists, audit),
        gateway_sessions=gateway_sessions,
        answers=Answers(
            config,
            gateway_sessions,
            tokens,
            authorization_codes,
            entra_answers,
        ),
        magic_link_challenges=MagicLinkChallenges(
            config,
            directory,
            applications,
            gateway_sessions,
            magic_links,
            delivery,
            sending_limits,
            clock,
            tokens,
            authorization_codes,
            provider_accounts,
            audit,
        ),
        magic_links=magic_links,
        direct_verifications=DirectVerifications(
            clock, vault, database, signing_keys, tokens, challenges, limits, audit
        ),
        headless=headless,
        headless_passkeys=HeadlessPasskeys(
            clock,
            method_settings,
            passkeys,
            passkey_challenges,
            enrollment,
            verifications,
            recovery,
        ),
        contacts=Contacts(directory),
        contact_methods=ContactMethods(method_settings, policies),
        contact_codes=ContactCodes(clock, challenges, message_codes, enrollment, verifications),
        recovery_messages=RecoveryMessages(clock, recovery, sending_limits, delivery),
        bypass_codes=bypass_codes,
        enrollment_invitations=enrollment_invitations,
        user_locks=UserLocks(config, clock),
        user_care=UserCare(
            clock, directory, limits, freezes, bypass_codes, enrollment_invitations, delivery, audit
        ),
        administrators=administrators,
        appointments=appointments,
        invitations=Invitations(
            config, clock, vault, administrators, appointments, enrollment, audit
        ),
        sign_ins=SignIns(
            database,
            clock,
            administration,
            administrators,
            administrator_sessions,
            gateway_sessions,
            administrator_events,
            password_guesses,
            audit,
        ),
        administrator_sessions=administrator_sessions,
        trials=Trials(vault, directory, enrollment, gateway_sessions, ways, audit),
        visits=visits,
        means=means,
        visit_browsers=VisitBrowsers(
            clock,
            vault,
            trust_rules,
            trusted_browsers,
            means,
            limits,
            verifications,
            visits,
            gateway_sessions,
            audit,
        ),
        visit_choices=VisitChoices(method_settings, sending_rules, visits, means, visit_codes),
        visit_codes=visit_codes,
        visit_passkeys=visit_passkeys,
        visit_recovery=VisitRecovery(
            clock,
            method_settings,
            recovery,
            enrollment,
            verifications,
            visits,
            visit_passkeys,
        ),
        freezes=freezes,
        webhook_drafts=WebhookDrafts(outbound),
        webhooks=webhooks,
        webhook_log=WebhookLog(clock, webhook_events),
        webhook_sender=WebhookSender(WebhookClaims(database, clock), webhook_sendings),
        account=Account(
            policies,
            gateway_sessions,
            enrollment,
            recovery,
            authenticators,
            trusted_browsers,
            visits,
            delivery,
            audit,
        ),
        passes=Passes(clock, policies, enrollment, visits, gateway_sessions, audit),
    )

"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "applications",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("environment", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("secret_hash", sa.String(), nullable=False),
        sa.Column("previous_secret_hash", sa.String(), nullable=True),
        sa.Column("previous_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("redirect_uris", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_applications")),
    )
    op.create_table(
        "events",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("actor_label", sa.String(), nullable=True),
        sa.Column("organization_id", sa.Uuid(), nullable=True),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("application_id", sa.Uuid(), nullable=True),
        sa.Column("gateway_session_id", sa.String(), nullable=True),
        sa.Column("address", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("seal_id", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
    )
    with op.batch_alter_table("events", schema=None) as batch_op:
        batch_op.create_index(
            "ix_events_organization_id_actor",
            ["organization_id", "actor", "id"],
            unique=False,
            sqlite_where=sa.text("actor <> 'user'"),
            postgresql_where=sa.text("actor <> 'user'"),
        )
        batch_op.create_index(
            batch_op.f("ix_events_organization_id_events_address_events_id"),
            ["organization_id", "address", "id"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_events_organization_id_events_application_id_events_id"),
            ["organization_id", "application_id", "id"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_events_organization_id_events_id"),
            ["organization_id", "id"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_events_organization_id_events_kind_events_id"),
            ["organization_id", "kind", "id"],
            unique=False,
        )
        batch_op.create_index(
            "ix_events_unsealed",
            ["id"],
            unique=False,
            sqlite_where=sa.text("seal_id IS NULL"),
            postgresql_where=sa.text("seal_id IS NULL"),
        )
        batch_op.create_index(
            batch_op.f("ix_events_user_id_events_id"), ["user_id", "id"], unique=False
        )

    op.create_table(
        "idempotency_keys",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("caller", sa.String(), nullable=False),
        sa.Column("key_hash", sa.String(), nullable=False),
        sa.Column("body_hash", sa.String(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("answer", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_idempotency_keys")),
        sa.UniqueConstraint("caller", "key_hash", name=op.f("uq_idempotency_keys_caller_key_hash")),
    )
    with op.batch_alter_table("idempotency_keys", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_idempotency_keys_expires_at"), ["expires_at"], unique=False
        )

    op.create_table(
        "organizations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("environment", sa.String(length=40), nullable=False),
        sa.Column("domain", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("email_domains", sa.JSON(), nullable=False),
        sa.Column("locale", sa.String(), nullable=True),
        sa.Column("audit_days", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_organizations")),
        sa.UniqueConstraint(
            "environment", "domain", name=op.f("uq_organizations_environment_domain")
        ),
    )
    op.create_table(
        "seals",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("chain", sa.String(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("event_ids", sa.Text(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("content_digest", sa.String(), nullable=False),
        sa.Column("previous_digest", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("purged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("purge_proof", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_seals")),
        sa.UniqueConstraint("chain", "number", name=op.f("uq_seals_chain_number")),
    )
    with op.batch_alter_table("seals", schema=None) as batch_op:
        batch_op.create_index(
            "ix_seals_kept",
            ["chain", "number"],
            unique=False,
            sqlite_where=sa.text("purged_at IS NULL"),
            postgresql_where=sa.text("purged_at IS NULL"),
        )

    op.create_table(
        "sent_forms",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sent_forms")),
    )
    with op.batch_alter_table("sent_forms", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_sent_forms_sent_at"), ["sent_at"], unique=False)

    op.create_table(
        "signing_keys",
        sa.Column("kid", sa.String(), nullable=False),
        sa.Column("use", sa.String(length=40), nullable=False),
        sa.Column("algorithm", sa.String(), nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("public", sa.JSON(), nullable=False),
        sa.Column("private", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("activated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("kid", name=op.f("pk_signing_keys")),
    )
    with op.batch_alter_table("signing_keys", schema=None) as batch_op:
        batch_op.create_index(
            "uq_signing_keys_one_active",
            ["use", "state"],
            unique=True,
            sqlite_where=sa.text("state <> 'retired'"),
            postgresql_where=sa.text("state <> 'retired'"),
        )

    op.create_table(
        "api_keys",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("environment", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("api", sa.String(length=40), nullable=False),
        sa.Column("secret_hash", sa.String(), nullable=False),
        sa.Column("previous_secret_hash", sa.String(), nullable=True),
        sa.Column("previous_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("permissions", sa.JSON(), nullable=True),
        sa.Column("blocked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("organization_id", sa.Uuid(), nullable=True),
        sa.Column("application_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["application_id"],
            ["applications.id"],
            name=op.f("fk_api_keys_application_id_applications"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_api_keys_organization_id_organizations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("previous_secret_hash", name=op.f("uq_api_keys_previous_secret_hash")),
        sa.UniqueConstraint("secret_hash", name=op.f("uq_api_keys_secret_hash")),
    )
    with op.batch_alter_table("api_keys", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_api_keys_application_id"), ["application_id"], unique=False
        )

    op.create_table(
        "application_organizations",
        sa.Column("application_id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["application_id"],
            ["applications.id"],
            name=op.f("fk_application_organizations_application_id_applications"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_application_organizations_organization_id_organizations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "application_id", "organization_id", name=op.f("pk_application_organizations")
        ),
    )
    op.create_table(
        "brands",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("colour", sa.String(), nullable=True),
        sa.Column("dark_colour", sa.String(), nullable=True),
        sa.Column("logo", sa.LargeBinary(), nullable=True),
        sa.Column("logo_digest", sa.String(), nullable=True),
        sa.Column("texts", sa.JSON(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_brands_organization_id_organizations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("organization_id", name=op.f("pk_brands")),
    )
    op.create_table(
        "counted_days",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("tally", sa.JSON(), nullable=False),
        sa.Column("counted_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_counted_days_organization_id_organizations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("organization_id", "day", name=op.f("pk_counted_days")),
    )
    op.create_table(
        "import_jobs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("actor_label", sa.String(), nullable=True),
        sa.Column("filename", sa.String(), nullable=False),
        sa.Column("content", sa.Text(), nullable=True),
        sa.Column("status", sa.String(length=40), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("rows_done", sa.Integer(), nullable=False),
        sa.Column("created", sa.Integer(), nullable=False),
        sa.Column("updated", sa.Integer(), nullable=False),
        sa.Column("unchanged", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("errors", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("heartbeat_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_import_jobs_organization_id_organizations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_import_jobs")),
    )
    with op.batch_alter_table("import_jobs", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_import_jobs_organization_id"), ["organization_id"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_import_jobs_status"), ["status"], unique=False)

    op.create_table(
        "invitations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("email_key", sa.String(), nullable=False),
        sa.Column("role", sa.String(length=40), nullable=False),
        sa.Column("renews_password", sa.Boolean(), nullable=False),
        sa.Column("forgets_authenticators", sa.Boolean(), nullable=False),
        sa.Column("token_hash", sa.String(), nullable=False),
        sa.Column("invited_by", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_invitations_organization_id_organizations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invitations")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_invitations_token_hash")),
    )
    with op.batch_alter_table("invitations", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_invitations_organization_id"), ["organization_id"], unique=False
        )

    op.create_table(
        "method_settings",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("strict", sa.Boolean(), nullable=False),
        sa.Column("parameters", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_method_settings_organization_id_organizations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("organization_id", "kind", name=op.f("pk_method_settings")),
    )
    op.create_table(
        "policies",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("application_id", sa.Uuid(), nullable=True),
        sa.Column("mode", sa.String(length=40), nullable=False),
        sa.Column("required_from", sa.DateTime(timezone=True), nullable=True),
        sa.Column("skips", sa.Integer(), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["application_id"],
            ["applications.id"],
            name=op.f("fk_policies_application_id_applications"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_policies_organization_id_organizations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_policies")),
        sa.UniqueConstraint(
            "organization_id",
            "application_id",
            name=op.f("uq_policies_organization_id_application_id"),
        ),
    )
    with op.batch_alter_table("policies", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_policies_application_id"), ["application_id"], unique=False
        )
        batch_op.create_index(
            "uq_policies_of_organization",
            ["organization_id"],
            unique=True,
            sqlite_where=sa.text("application_id IS NULL"),
            postgresql_where=sa.text("application_id IS NULL"),
        )

    op.create_table(
        "provider_accounts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("channels", sa.JSON(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("secrets", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_provider_accounts_organization_id_organizations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_provider_accounts")),
    )
    with op.batch_alter_table("provider_accounts", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_provider_accounts_organization_id_provider_accounts_position"),
            ["organization_id", "position"],
            unique=False,
        )

    op.create_table(
        "send_cooldowns",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("recipient_hash", sa.String(), nullable=False),
        sa.Column("sends", sa.Integer(), nullable=False),
        sa.Column("retry_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_send_cooldowns_organization_id_organizations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "organization_id", "recipient_hash", name=op.f("pk_send_cooldowns")
        ),
    )
    with op.batch_alter_table("send_cooldowns", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_send_cooldowns_expires_at"), ["expires_at"], unique=False
        )

    op.create_table(
        "send_counts",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("scope", sa.String(length=40), nullable=False),
        sa.Column("begins_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("refused", sa.Integer(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_send_counts_organization_id_organizations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "organization_id", "scope", "begins_at", "key", name=op.f("pk_send_counts")
        ),
    )
    with op.batch_alter_table("send_counts", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_send_counts_expires_at"), ["expires_at"], unique=False)

    op.create_table(
        "sending_rules",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("parameters", sa.JSON(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_sending_rules_organization_id_organizations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("organization_id", name=op.f("pk_sending_rules")),
    )
    op.create_table(
        "users",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.String(), nullable=True),
        sa.Column(
            "email_key",
            sa.String().with_variant(sa.String(collation="C"), "postgresql"),
            nullable=True,
        ),
        sa.Column(
            "phone_number",
            sa.String().with_variant(sa.String(collation="C"), "postgresql"),
            nullable=True,
        ),
        sa.Column(
            "external_id",
            sa.String().with_variant(sa.String(collation="C"), "postgresql"),
            nullable=True,
        ),
        sa.Column("profile", sa.JSON(), nullable=False),
        sa.Column(
            "name_key",
            sa.String().with_variant(sa.String(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "family_name_key",
            sa.String().with_variant(sa.String(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("enrolled", sa.Boolean(), nullable=False),
        sa.Column("last_verified_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("suspended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("enrollment_open", sa.Boolean(), nullable=False),
        sa.Column("recovery_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reenrollments", sa.Integer(), nullable=False),
        sa.Column("reenrollment_approved", sa.Boolean(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("recovery_failures", sa.Integer(), nullable=False),
        sa.Column("recovery_retry_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "email_key IS NOT NULL OR phone_number IS NOT NULL", name=op.f("ck_users_contact")
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_users_organization_id_organizations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint(
            "organization_id", "email_key", name=op.f("uq_users_organization_id_email_key")
        ),
        sa.UniqueConstraint(
            "organization_id", "external_id", name=op.f("uq_users_organization_id_external_id")
        ),
    )
    with op.batch_alter_table("users", schema=None) as batch_op:
        batch_op.create_index(
            "ix_users_by_name", ["organization_id", "name_key", "email_key", "id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_users_organization_id_users_created_at_users_id"),
            ["organization_id", "created_at", "id"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_users_organization_id_users_enrolled_users_suspended_at"),
            ["organization_id", "enrolled", "suspended_at"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_users_organization_id_users_family_name_key"),
            ["organization_id", "family_name_key"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_users_organization_id_users_last_verified_at_users_created_at_users_id"),
            ["organization_id", "last_verified_at", "created_at", "id"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_users_organization_id_users_phone_number"),
            ["organization_id", "phone_number"],
            unique=False,
        )
        batch_op.create_index(
            "ix_users_recovery_refused",
            ["organization_id", "recovery_retry_at"],
            unique=False,
            sqlite_where=sa.text("recovery_retry_at IS NOT NULL"),
            postgresql_where=sa.text("recovery_retry_at IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_users_refused",
            ["organization_id", "failures"],
            unique=False,
            sqlite_where=sa.text("failures > 0"),
            postgresql_where=sa.text("failures > 0"),
        )
        batch_op.create_index(
            "uq_users_phone_number_alone",
            ["organization_id", "phone_number"],
            unique=True,
            sqlite_where=sa.text("email_key IS NULL"),
            postgresql_where=sa.text("email_key IS NULL"),
        )

    op.create_table(
        "administrators",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("email_key", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("password_hash", sa.String(), nullable=False),
        sa.Column("password_changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("retry_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("known_failures", sa.Integer(), nullable=False),
        sa.Column("known_retry_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_administrators_user_id_users")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_administrators")),
        sa.UniqueConstraint("email_key", name=op.f("uq_administrators_email_key")),
        sa.UniqueConstraint("user_id", name=op.f("uq_administrators_user_id")),
    )
    op.create_table(
        "bypass_codes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("code_hash", sa.String(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
            name=op.f("fk_bypass_codes_user_id_users"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bypass_codes")),
    )
    with op.batch_alter_table("bypass_codes", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_bypass_codes_user_id"), ["user_id"], unique=False)

    op.create_table(
        "gateway_sessions",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("application_id", sa.Uuid(), nullable=False),
        sa.Column("redirect_uri", sa.String(), nullable=False),
        sa.Column("response_mode", sa.String(length=40), nullable=False),
        sa.Column("response_type", sa.String(length=40), nullable=False),
        sa.Column("intent", sa.String(length=40), nullable=False),
        sa.Column("force_enroll", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(), nullable=True),
        sa.Column("nonce", sa.String(), nullable=True),
        sa.Column("locale", sa.String(), nullable=True),
        sa.Column("status", sa.String(length=40), nullable=False),
        sa.Column("token_hash", sa.String(), nullable=False),
        sa.Column("browser_hash", sa.String(), nullable=True),
        sa.Column("judged", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["application_id"],
            ["applications.id"],
            name=op.f("fk_gateway_sessions_application_id_applications"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
            name=op.f("fk_gateway_sessions_user_id_users"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gateway_sessions")),
    )
    with op.batch_alter_table("gateway_sessions", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_gateway_sessions_application_id"), ["application_id"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_gateway_sessions_user_id"), ["user_id"], unique=False)

    op.create_table(
        "policy_skips",
        sa.Column("policy_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("used", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["policy_id"],
            ["policies.id"],
            name=op.f("fk_policy_skips_policy_id_policies"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
            name=op.f("fk_policy_skips_user_id_users"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("policy_id", "user_id", name=op.f("pk_policy_skips")),
    )
    with op.batch_alter_table("policy_skips", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_policy_skips_user_id"), ["user_id"], unique=False)

    op.create_table(
        "administrator_roles",
        sa.Column("administrator_id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.String(length=40), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["administrator_id"],
            ["administrators.id"],
            name=op.f("fk_administrator_roles_administrator_id_administrators"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_administrator_roles_organization_id_organizations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "administrator_id", "organization_id", name=op.f("pk_administrator_roles")
        ),
    )
    with op.batch_alter_table("administrator_roles", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_administrator_roles_organization_id"), ["organization_id"], unique=False
        )

    op.create_table(
        "administrator_sessions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("administrator_id", sa.Uuid(), nullable=False),
        sa.Column("token_hash", sa.String(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=True),
        sa.Column("address", sa.String(), nullable=True),
        sa.Column("device", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("verified_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["administrator_id"],
            ["administrators.id"],
            name=op.f("fk_administrator_sessions_administrator_id_administrators"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_administrator_sessions_organization_id_organizations"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_administrator_sessions")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_administrator_sessions_token_hash")),
    )
    with op.batch_alter_table("administrator_sessions", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_administrator_sessions_administrator_id"),
            ["administrator_id"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_administrator_sessions_organization_id"),
            ["organization_id"],
            unique=False,
        )

    op.create_table(
        "authenticators",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("gateway_session_id", sa.String(), nullable=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("status", sa.String(length=40), nullable=False),
        sa.Column("secret", sa.String(), nullable=True),
        sa.Column("parameters", sa.JSON(), nullable=False),
        sa.Column("imported_hash", sa.String(), nullable=True),
        sa.Column("recipient", sa.String(), nullable=True),
        sa.Column("request_id", sa.String(), nullable=True),
        sa.Column("forced", sa.Boolean(), nullable=False),
        sa.Column("vouched", sa.Boolean(), nullable=False),
        sa.Column("last_step", sa.BigInteger(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("retry_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["gateway_session_id"],
            ["gateway_sessions.id"],
            name=op.f("fk_authenticators_gateway_session_id_gateway_sessions"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
            name=op.f("fk_authenticators_user_id_users"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_authenticators")),
    )
    with op.batch_alter_table("authenticators", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_authenticators_gateway_session_id"), ["gateway_session_id"], unique=False
        )
        batch_op.create_index(
            "ix_authenticators_refused",
            ["retry_at", "user_id"],
            unique=False,
            sqlite_where=sa.text("retry_at IS NOT NULL"),
            postgresql_where=sa.text("retry_at IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_authenticators_suspended",
            ["status", "user_id"],
            unique=False,
            sqlite_where=sa.text("status = 'suspended'"),
            postgresql_where=sa.text("status = 'suspended'"),
        )
        batch_op.create_index(
            batch_op.f("ix_authenticators_user_id_authenticators_status"),
            ["user_id", "status"],
            unique=False,
        )
        batch_op.create_index(
            "uq_authenticators_vouched",
            ["user_id", "kind", "recipient"],
            unique=True,
            sqlite_where=sa.text("vouched AND status = 'pending'"),
            postgresql_where=sa.text("vouched AND status = 'pending'"),
        )

    op.create_table(
        "enrollment_invitations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("application_id", sa.Uuid(), nullable=False),
        sa.Column("token_hash", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("gateway_session_id", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(
            ["application_id"],
            ["applications.id"],
            name=op.f("fk_enrollment_invitations_application_id_applications"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["gateway_session_id"],
            ["gateway_sessions.id"],
            name=op.f("fk_enrollment_invitations_gateway_session_id_gateway_sessions"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
            name=op.f("fk_enrollment_invitations_user_id_users"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_enrollment_invitations")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_enrollment_invitations_token_hash")),
    )
    with op.batch_alter_table("enrollment_invitations", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_enrollment_invitations_application_id"), ["application_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_enrollment_invitations_gateway_session_id"),
            ["gateway_session_id"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_enrollment_invitations_user_id"), ["user_id"], unique=False
        )

    op.create_table(
        "magic_links",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("gateway_session_id", sa.String(), nullable=False),
        sa.Column("token_hash", sa.String(), nullable=False),
        sa.Column("code_hash", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["gateway_session_id"],
            ["gateway_sessions.id"],
            name=op.f("fk_magic_links_gateway_session_id_gateway_sessions"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_magic_links")),
        sa.UniqueConstraint("gateway_session_id", name=op.f("uq_magic_links_gateway_session_id")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_magic_links_token_hash")),
    )
    op.create_table(
        "challenges",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("authenticator_id", sa.Uuid(), nullable=False),
        sa.Column("gateway_session_id", sa.String(), nullable=True),
        sa.Column("purpose", sa.String(length=40), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("code_hash", sa.String(), nullable=False),
        sa.Column("second_hash", sa.String(), nullable=True),
        sa.Column("reference", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["authenticator_id"],
            ["authenticators.id"],
            name=op.f("fk_challenges_authenticator_id_authenticators"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["gateway_session_id"],
            ["gateway_sessions.id"],
            name=op.f("fk_challenges_gateway_session_id_gateway_sessions"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_challenges")),
    )
    with op.batch_alter_table("challenges", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_challenges_authenticator_id"), ["authenticator_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_challenges_gateway_session_id"), ["gateway_session_id"], unique=False
        )

    op.create_table(
        "recovery_codes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("code_hash", sa.String(), nullable=False),
        sa.Column("length", sa.Integer(), nullable=False),
        sa.Column("authenticator_id", sa.Uuid(), nullable=True),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["authenticator_id"],
            ["authenticators.id"],
            name=op.f("fk_recovery_codes_authenticator_id_authenticators"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
            name=op.f("fk_recovery_codes_user_id_users"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recovery_codes")),
    )
    with op.batch_alter_table("recovery_codes", schema=None) as batch_op:
        batch_op.create_index(
            "ix_recovery_codes_pending",
            ["authenticator_id"],
            unique=False,
            sqlite_where=sa.text("authenticator_id IS NOT NULL"),
            postgresql_where=sa.text("authenticator_id IS NOT NULL"),
        )
        batch_op.create_index(
            batch_op.f("ix_recovery_codes_user_id_recovery_codes_code_hash"),
            ["user_id", "code_hash"],
            unique=True,
        )

    op.create_table(
        "verifications",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("gateway_session_id", sa.String(), nullable=True),
        sa.Column("application_id", sa.Uuid(), nullable=True),
        sa.Column("challenge_id", sa.String(), nullable=True),
        sa.Column("authenticator_id", sa.Uuid(), nullable=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("purpose", sa.String(length=40), nullable=False),
        sa.Column("accepted", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("step", sa.BigInteger(), nullable=True),
        sa.Column("took_ms", sa.Integer(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["application_id"],
            ["applications.id"],
            name=op.f("fk_verifications_application_id_applications"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["authenticator_id"],
            ["authenticators.id"],
            name=op.f("fk_verifications_authenticator_id_authenticators"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["gateway_session_id"],
            ["gateway_sessions.id"],
            name=op.f("fk_verifications_gateway_session_id_gateway_sessions"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_verifications_organization_id_organizations"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
            name=op.f("fk_verifications_user_id_users"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_verifications")),
    )
    with op.batch_alter_table("verifications", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_verifications_authenticator_id_verifications_step"),
            ["authenticator_id", "step"],
            unique=False,
        )
        batch_op.create_index(
            "ix_verifications_counted",
            ["organization_id", "at", "purpose", "kind", "accepted", "application_id", "took_ms"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_verifications_gateway_session_id"), ["gateway_session_id"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_verifications_user_id"), ["user_id"], unique=False)

    op.create_table(
        "messages",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("challenge_id", sa.String(), nullable=True),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("recipient", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("body", sa.String(), nullable=True),
        sa.Column("status", sa.String(length=40), nullable=False),
        sa.Column("urgent", sa.Boolean(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("doubts", sa.Integer(), nullable=False),
        sa.Column("provider_account_id", sa.Uuid(), nullable=True),
        sa.Column("provider", sa.String(), nullable=True),
        sa.Column("provider_message_id", sa.String(), nullable=True),
        sa.Column("detail", sa.String(), nullable=True),
        sa.Column("error", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["challenge_id"],
            ["challenges.id"],
            name=op.f("fk_messages_challenge_id_challenges"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_messages_organization_id_organizations"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["provider_account_id"],
            ["provider_accounts.id"],
            name=op.f("fk_messages_provider_account_id_provider_accounts"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_messages_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_messages")),
    )
    with op.batch_alter_table("messages", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_messages_challenge_id"), ["challenge_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_messages_created_at_messages_id"), ["created_at", "id"], unique=False
        )
        batch_op.create_index(
            batch_op.f(
                "ix_messages_organization_id_messages_channel_messages_created_at_messages_id"
            ),
            ["organization_id", "channel", "created_at", "id"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_messages_organization_id_messages_created_at_messages_id"),
            ["organization_id", "created_at", "id"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_messages_provider_account_id"), ["provider_account_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_messages_user_id_messages_channel_messages_created_at_messages_id"),
            ["user_id", "channel", "created_at", "id"],
            unique=False,
        )
        batch_op.create_index(
            "ix_messages_waiting",
            ["urgent", "due_at", "organization_id", "id"],
            unique=False,
            sqlite_where=sa.text("status IN ('queued', 'sending')"),
            postgresql_where=sa.text("status IN ('queued', 'sending')"),
        )

    op.create_table(
        "results",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("gateway_session_id", sa.String(), nullable=False),
        sa.Column("verification_id", sa.Uuid(), nullable=False),
        sa.Column("claims", sa.JSON(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("redeemed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["gateway_session_id"],
            ["gateway_sessions.id"],
            name=op.f("fk_results_gateway_session_id_gateway_sessions"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["verification_id"],
            ["verifications.id"],
            name=op.f("fk_results_verification_id_verifications"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_results")),
        sa.UniqueConstraint("gateway_session_id", name=op.f("uq_results_gateway_session_id")),
    )
    op.create_table(
        "authorization_codes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("code_hash", sa.String(), nullable=False),
        sa.Column("result_id", sa.Uuid(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["result_id"],
            ["results.id"],
            name=op.f("fk_authorization_codes_result_id_results"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_authorization_codes")),
        sa.UniqueConstraint("code_hash", name=op.f("uq_authorization_codes_code_hash")),
    )
    with op.batch_alter_table("authorization_codes", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_authorization_codes_result_id"), ["result_id"], unique=False
        )


def downgrade() -> None:
    with op.batch_alter_table("authorization_codes", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_authorization_codes_result_id"))

    op.drop_table("authorization_codes")
    op.drop_table("results")
    with op.batch_alter_table("messages", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_messages_waiting",
            sqlite_where=sa.text("status IN ('queued', 'sending')"),
            postgresql_where=sa.text("status IN ('queued', 'sending')"),
        )
        batch_op.drop_index(
            batch_op.f("ix_messages_user_id_messages_channel_messages_created_at_messages_id")
        )
        batch_op.drop_index(batch_op.f("ix_messages_provider_account_id"))
        batch_op.drop_index(
            batch_op.f("ix_messages_organization_id_messages_created_at_messages_id")
        )
        batch_op.drop_index(
            batch_op.f(
                "ix_messages_organization_id_messages_channel_messages_created_at_messages_id"
            )
        )
        batch_op.drop_index(batch_op.f("ix_messages_created_at_messages_id"))
        batch_op.drop_index(batch_op.f("ix_messages_challenge_id"))

    op.drop_table("messages")
    with op.batch_alter_table("verifications", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_verifications_user_id"))
        batch_op.drop_index(batch_op.f("ix_verifications_gateway_session_id"))
        batch_op.drop_index("ix_verifications_counted")
        batch_op.drop_index(batch_op.f("ix_verifications_authenticator_id_verifications_step"))

    op.drop_table("verifications")
    with op.batch_alter_table("recovery_codes", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_recovery_codes_user_id_recovery_codes_code_hash"))
        batch_op.drop_index(
            "ix_recovery_codes_pending",
            sqlite_where=sa.text("authenticator_id IS NOT NULL"),
            postgresql_where=sa.text("authenticator_id IS NOT NULL"),
        )

    op.drop_table("recovery_codes")
    with op.batch_alter_table("challenges", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_challenges_gateway_session_id"))
        batch_op.drop_index(batch_op.f("ix_challenges_authenticator_id"))

    op.drop_table("challenges")
    op.drop_table("magic_links")
    with op.batch_alter_table("enrollment_invitations", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_enrollment_invitations_user_id"))
        batch_op.drop_index(batch_op.f("ix_enrollment_invitations_gateway_session_id"))
        batch_op.drop_index(batch_op.f("ix_enrollment_invitations_application_id"))

    op.drop_table("enrollment_invitations")
    with op.batch_alter_table("authenticators", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_authenticators_vouched",
            sqlite_where=sa.text("vouched AND status = 'pending'"),
            postgresql_where=sa.text("vouched AND status = 'pending'"),
        )
        batch_op.drop_index(batch_op.f("ix_authenticators_user_id_authenticators_status"))
        batch_op.drop_index(
            "ix_authenticators_suspended",
            sqlite_where=sa.text("status = 'suspended'"),
            postgresql_where=sa.text("status = 'suspended'"),
        )
        batch_op.drop_index(
            "ix_authenticators_refused",
            sqlite_where=sa.text("retry_at IS NOT NULL"),
            postgresql_where=sa.text("retry_at IS NOT NULL"),
        )
        batch_op.drop_index(batch_op.f("ix_authenticators_gateway_session_id"))

    op.drop_table("authenticators")
    with op.batch_alter_table("administrator_sessions", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_administrator_sessions_organization_id"))
        batch_op.drop_index(batch_op.f("ix_administrator_sessions_administrator_id"))

    op.drop_table("administrator_sessions")
    with op.batch_alter_table("administrator_roles", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_administrator_roles_organization_id"))

    op.drop_table("administrator_roles")
    with op.batch_alter_table("policy_skips", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_policy_skips_user_id"))

    op.drop_table("policy_skips")
    with op.batch_alter_table("gateway_sessions", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_gateway_sessions_user_id"))
        batch_op.drop_index(batch_op.f("ix_gateway_sessions_application_id"))

    op.drop_table("gateway_sessions")
    with op.batch_alter_table("bypass_codes", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_bypass_codes_user_id"))

    op.drop_table("bypass_codes")
    op.drop_table("administrators")
    with op.batch_alter_table("users", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_users_phone_number_alone",
            sqlite_where=sa.text("email_key IS NULL"),
            postgresql_where=sa.text("email_key IS NULL"),
        )
        batch_op.drop_index(
            "ix_users_refused",
            sqlite_where=sa.text("failures > 0"),
            postgresql_where=sa.text("failures > 0"),
        )
        batch_op.drop_index(
            "ix_users_recovery_refused",
            sqlite_where=sa.text("recovery_retry_at IS NOT NULL"),
            postgresql_where=sa.text("recovery_retry_at IS NOT NULL"),
        )
        batch_op.drop_index(batch_op.f("ix_users_organization_id_users_phone_number"))
        batch_op.drop_index(
            batch_op.f("ix_users_organization_id_users_last_verified_at_users_created_at_users_id")
        )
        batch_op.drop_index(batch_op.f("ix_users_organization_id_users_family_name_key"))
        batch_op.drop_index(
            batch_op.f("ix_users_organization_id_users_enrolled_users_suspended_at")
        )
        batch_op.drop_index(batch_op.f("ix_users_organization_id_users_created_at_users_id"))
        batch_op.drop_index("ix_users_by_name")

    op.drop_table("users")
    op.drop_table("sending_rules")
    with op.batch_alter_table("send_counts", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_send_counts_expires_at"))

    op.drop_table("send_counts")
    with op.batch_alter_table("send_cooldowns", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_send_cooldowns_expires_at"))

    op.drop_table("send_cooldowns")
    with op.batch_alter_table("provider_accounts", schema=None) as batch_op:
        batch_op.drop_index(
            batch_op.f("ix_provider_accounts_organization_id_provider_accounts_position")
        )

    op.drop_table("provider_accounts")
    with op.batch_alter_table("policies", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_policies_of_organization",
            sqlite_where=sa.text("application_id IS NULL"),
            postgresql_where=sa.text("application_id IS NULL"),
        )
        batch_op.drop_index(batch_op.f("ix_policies_application_id"))

    op.drop_table("policies")
    op.drop_table("method_settings")
    with op.batch_alter_table("invitations", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_invitations_organization_id"))

    op.drop_table("invitations")
    with op.batch_alter_table("import_jobs", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_import_jobs_status"))
        batch_op.drop_index(batch_op.f("ix_import_jobs_organization_id"))

    op.drop_table("import_jobs")
    op.drop_table("counted_days")
    op.drop_table("brands")
    op.drop_table("application_organizations")
    with op.batch_alter_table("api_keys", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_api_keys_application_id"))

    op.drop_table("api_keys")
    with op.batch_alter_table("signing_keys", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_signing_keys_one_active",
            sqlite_where=sa.text("state <> 'retired'"),
            postgresql_where=sa.text("state <> 'retired'"),
        )

    op.drop_table("signing_keys")
    with op.batch_alter_table("sent_forms", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_sent_forms_sent_at"))

    op.drop_table("sent_forms")
    with op.batch_alter_table("seals", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_seals_kept",
            sqlite_where=sa.text("purged_at IS NULL"),
            postgresql_where=sa.text("purged_at IS NULL"),
        )

    op.drop_table("seals")
    op.drop_table("organizations")
    with op.batch_alter_table("idempotency_keys", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_idempotency_keys_expires_at"))

    op.drop_table("idempotency_keys")
    with op.batch_alter_table("events", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_events_user_id_events_id"))
        batch_op.drop_index(
            "ix_events_unsealed",
            sqlite_where=sa.text("seal_id IS NULL"),
            postgresql_where=sa.text("seal_id IS NULL"),
        )
        batch_op.drop_index(batch_op.f("ix_events_organization_id_events_kind_events_id"))
        batch_op.drop_index(batch_op.f("ix_events_organization_id_events_id"))
        batch_op.drop_index(batch_op.f("ix_events_organization_id_events_application_id_events_id"))
        batch_op.drop_index(batch_op.f("ix_events_organization_id_events_address_events_id"))
        batch_op.drop_index(
            "ix_events_organization_id_actor",
            sqlite_where=sa.text("actor <> 'user'"),
            postgresql_where=sa.text("actor <> 'user'"),
        )

    op.drop_table("events")
    op.drop_table("applications")

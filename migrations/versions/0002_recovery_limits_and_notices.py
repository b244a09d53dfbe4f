"""Recovery, limits and notices."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "messages",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("recipient", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("body", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_messages_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_messages")),
    )
    with op.batch_alter_table("messages", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_messages_user_id"), ["user_id"], unique=False)

    with op.batch_alter_table("authenticators", schema=None) as batch_op:
        batch_op.add_column(sa.Column("failures", sa.Integer(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("retry_at", sa.DateTime(timezone=True), nullable=True))

    with op.batch_alter_table("gateway_sessions", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("force_enroll", sa.Boolean(), nullable=False, server_default=sa.false())
        )

    with op.batch_alter_table("method_settings", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("strict", sa.Boolean(), nullable=False, server_default=sa.false())
        )

    with op.batch_alter_table("recovery_codes", schema=None) as batch_op:
        batch_op.add_column(sa.Column("used_at", sa.DateTime(timezone=True), nullable=True))

    with op.batch_alter_table("users", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("recovery_used_at", sa.DateTime(timezone=True), nullable=True)
        )
        batch_op.add_column(
            sa.Column("reenrollments", sa.Integer(), nullable=False, server_default="0")
        )
        batch_op.add_column(
            sa.Column(
                "reenrollment_approved", sa.Boolean(), nullable=False, server_default=sa.false()
            )
        )
        batch_op.add_column(sa.Column("failures", sa.Integer(), nullable=False, server_default="0"))
        batch_op.add_column(
            sa.Column("recovery_failures", sa.Integer(), nullable=False, server_default="0")
        )
        batch_op.add_column(
            sa.Column("recovery_retry_at", sa.DateTime(timezone=True), nullable=True)
        )

    with op.batch_alter_table("verifications", schema=None) as batch_op:
        batch_op.add_column(sa.Column("step", sa.BigInteger(), nullable=True))
        batch_op.create_index(
            batch_op.f("ix_verifications_authenticator_id_verifications_step"),
            ["authenticator_id", "step"],
            unique=False,
        )


def downgrade() -> None:
    with op.batch_alter_table("verifications", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_verifications_authenticator_id_verifications_step"))
        batch_op.drop_column("step")

    with op.batch_alter_table("users", schema=None) as batch_op:
        batch_op.drop_column("recovery_retry_at")
        batch_op.drop_column("recovery_failures")
        batch_op.drop_column("failures")
        batch_op.drop_column("reenrollment_approved")
        batch_op.drop_column("reenrollments")
        batch_op.drop_column("recovery_used_at")

    with op.batch_alter_table("recovery_codes", schema=None) as batch_op:
        batch_op.drop_column("used_at")

    with op.batch_alter_table("method_settings", schema=None) as batch_op:
        batch_op.drop_column("strict")

    with op.batch_alter_table("gateway_sessions", schema=None) as batch_op:
        batch_op.drop_column("force_enroll")

    with op.batch_alter_table("authenticators", schema=None) as batch_op:
        batch_op.drop_column("retry_at")
        batch_op.drop_column("failures")

    with op.batch_alter_table("messages", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_messages_user_id"))

    op.drop_table("messages")

"""The registry of factors: adding one is a module, a row here, a template folder and a test."""

from app.factors.base import Factor
from app.factors.totp import Totp

FACTORS: dict[str, Factor] = {factor.kind: factor for factor in (Totp(),)}

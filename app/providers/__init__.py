"""Providers: pure adapters to who carries messages; they know no database and no web request."""

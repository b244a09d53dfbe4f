"""What each part of a result means, in a sentence, where an administrator sees one decoded."""

from __future__ import annotations

HEADER = {
    "alg": "Algorithm of the signature. Take only what the published key says.",
    "typ": "Kind of token. A result is this one and no other.",
    "kid": "Which of the published keys signed it.",
}

CLAIMS = {
    "iss": "Who says so: the address of this gateway.",
    "aud": "For whom: the application, by its client_id or the origin of its pages.",
    "sub": "About whom: the id of the user.",
    "exp": "Until when it may be used: a result for two minutes, an ID token for an hour.",
    "iat": "When it was issued.",
    "jti": "Its own id, by which it works once.",
    "sid": "Id of the gateway session that it ends.",
    "nonce": "The random value that the application sent along; no other result has it.",
    "org": "Organization of the user.",
    "env": "Sandbox or production. One never counts in the other.",
    "auth_time": "When the user confirmed.",
    "status": "Verified; enrolled if a method was set up; trusted if the browser is; "
    "skipped if a policy asked for nothing.",
    "amr": "Methods used, by the names of RFC 8176.",
    "acr": "Class that was reached. Compare it with what you demand.",
    "mfa_method": "The precise method.",
    "at_hash": "Ties the access token that came along to this one.",
    "preferred_username": "The name that the application sent, as it wrote it.",
    "auth_result": "Always allow: without it there is no token.",
    "auth_context": "What is known of the visit: method, browser, address.",
    "jtt": "Kind of token: openid for this one, access for the other.",
    "cid": "The client_id of the application.",
    "client_id": "The same.",
    "tnt": "Organization of the user.",
    "scp": "What the application asked and may have.",
    "scope": "The same.",
    "c_hash": "Ties the code that was exchanged to this token.",
    "email": "The user’s address.",
    "email_verified": "Whether a link was read in that mailbox on the way.",
    "phone_number_verified": "Numbers are not looked at on this way.",
    "profile": "What is kept of the user.",
    "meta_data": "Always empty here.",
    "identities": "Who identified the user, and when.",
    "recovery_code_used": "Whether a recovery code stood in for a lost method.",
}

ID_TOKEN_HEADER = {
    **HEADER,
    "typ": "Kind of token: that of all ID tokens.",
    "iss": "Who says so, as in the token itself.",
}

ENTRA_CLAIMS = {
    **CLAIMS,
    "aud": "For whom: Entra, by the Client ID that it was given.",
    "sub": "About whom: Entra’s own name for the account, given back. A trial has none.",
    "nonce": "Entra’s random value, given back. Here it is the trial’s own.",
    "acr": "Class that was reached: the one that Entra asked, to the letter.",
    "amr": "Method used, by Entra’s names: exactly one.",
}
"""The same claims where Entra reads them."""

MOMENTS = {"exp", "iat", "auth_time"}
"""Claims that are seconds since 1970."""

CHECKS = {
    "signature": "Signed by a published key",
    "iss": "Issued by this gateway",
    "aud": "Meant for this application",
    "nonce": "Answers this very ask",
    "sub": "About the user who was asked",
    "org": "Of this organization",
    "env": "In this environment",
    "exp": "Not expired",
    "once": "Used once, now",
}
"""What an application looks at, by the `name` of a `Check`."""

TOKEN_CHECKS = {
    "code": "The code was exchanged once, now",
    "shared": "Signed with the client secret",
    "preferred_username": "The name as it was sent",
    "acr": "The class that was asked",
    "amr": "One method, of those asked",
    "account": "Entra’s user is this one",
}
"""What is looked at besides in an ID token, of whichever door."""

CONNECTION_CHECKS = {
    "discovery": "Our discovery document",
    "jwks": "Our keys and certificates",
    "authorize": "Our address for sign-ins",
    "microsoft": "Microsoft’s keys",
}
"""What is looked at of a connection to Entra."""

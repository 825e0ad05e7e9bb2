"""Who may read a customer's inbox from a site or app: the customer, by a signature of the business's, or its server.

A signature is made where the business knows who is logged in, from a server key it already has:

    HMAC-SHA256(key = SHA-256(server key), message = user id)                              as 64 hex digits
    HMAC-SHA256(key = SHA-256(server key), message = user id + "\\n" + expires)            with `expires`, Unix seconds

It is sent as `signature` (with `expires` where one was signed). Revoking the server key ends all signatures made
from it. A server may send the server key itself instead, as the user name of Basic authentication or as a bearer token.
"""

from __future__ import annotations

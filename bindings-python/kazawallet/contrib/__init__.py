"""Webhook routes for web frameworks: `kazawallet.contrib.starlette` (Starlette and FastAPI),
`kazawallet.contrib.flask` and `kazawallet.contrib.django`.

Each has a `WebhookReceiver`. The framework is yours: nothing here is imported before you import it.
"""

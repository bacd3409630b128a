"""Real POP3 clients, with nothing but a password and a plaintext port."""

import pytest

import clients_readers
from clients_support import alice, three_mails  # noqa: F401 (fixtures)


@pytest.mark.parametrize("reader", clients_readers.POP3)
def test_reads(alice, three_mails, reader):  # noqa: F811
    clients_readers.POP3[reader].check(alice, three_mails)

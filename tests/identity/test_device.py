"""The device key: fixed vectors, round trips, and that nothing shows the seed."""

from __future__ import annotations

import base64
import copy
import dataclasses
import hashlib
import pickle
import subprocess
import sys
import traceback

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from openclaw_client.errors import IdentityError, UsageError
from openclaw_client.identity import DeviceIdentity, default_platform
from openclaw_client.identity.device import decode_base64url, encode_base64url

SEED = bytes(range(32))
SEED_TEXT = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"

labels = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=20)


def public_key(identity: DeviceIdentity) -> Ed25519PublicKey:
    raw = base64.urlsafe_b64decode(identity.public_key + "=")
    assert hashlib.sha256(raw).hexdigest() == identity.id
    return Ed25519PublicKey.from_public_bytes(raw)


def test_id_and_public_key_of_a_known_seed() -> None:
    identity = DeviceIdentity.from_seed(SEED)
    assert identity.public_key == "A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg"
    assert identity.id == "56475aa75463474c0285df5dbf2bcab73da651358839e9b77481b2eab107708c"


@given(seed=st.binary(min_size=32, max_size=32), payload=st.text(st.characters(exclude_categories=["Cs"])))
def test_signatures_verify_with_the_public_key_and_fit_the_payload_only(seed: bytes, payload: str) -> None:
    identity = DeviceIdentity.from_seed(seed)
    signature = identity.sign(payload)
    assert len(signature) == 86
    key, raw = public_key(identity), base64.urlsafe_b64decode(signature + "==")
    key.verify(raw, payload.encode())
    with pytest.raises(InvalidSignature):
        key.verify(raw, payload.encode() + b"x")


def test_what_cannot_be_encoded_is_refused_without_showing_it() -> None:
    payload = "v2|tok-secret|\udcff"
    with pytest.raises(UsageError, match="UTF-8") as caught:
        DeviceIdentity.from_seed(SEED).sign(payload)
    assert "tok-secret" not in "".join(traceback.format_exception(caught.value))


def test_generated_identities_differ_and_carry_this_platform() -> None:
    first, second = DeviceIdentity.generate(), DeviceIdentity.generate(platform="linux", device_family="Pi")
    assert first.id != second.id
    assert (first.platform, first.device_family) == (default_platform(), None)
    assert (second.platform, second.device_family) == ("linux", "Pi")


@pytest.mark.parametrize(
    ("name", "stable"),
    [
        ("linux", "linux"),
        ("linux2", "linux"),
        ("darwin", "darwin"),
        ("win32", "win32"),
        ("freebsd13", "freebsd"),
        ("freebsd14.1", "freebsd"),
        ("cygwin", "cygwin"),
    ],
)
def test_the_platform_has_no_version(name: str, stable: str) -> None:
    assert default_platform(name) == stable


def test_platform_and_family_are_trimmed_and_blank_means_none() -> None:
    identity = DeviceIdentity.from_seed(SEED, platform=" Linux ", device_family="  ")
    assert (identity.platform, identity.device_family) == ("Linux", None)


@pytest.mark.parametrize("field", ["platform", "device_family"])
@pytest.mark.parametrize("value", ["a\nb", "a\x00b", "a\udcffb", 7])
def test_odd_labels_are_refused(field: str, value: object) -> None:
    with pytest.raises(UsageError, match=field):
        DeviceIdentity.from_seed(SEED, **{field: value})  # type: ignore[arg-type]


def test_an_empty_platform_is_refused() -> None:
    with pytest.raises(UsageError, match="platform"):
        DeviceIdentity.from_seed(SEED, platform=" ")


@pytest.mark.parametrize("seed", [b"", SEED[:31], SEED + b"x", SEED_TEXT])
def test_a_seed_of_another_shape_is_refused_without_showing_it(seed: bytes) -> None:
    with pytest.raises(UsageError, match="32 bytes") as caught:
        DeviceIdentity.from_seed(seed)
    assert str(seed) not in str(caught.value) or not seed


@given(seed=st.binary(min_size=32, max_size=32), platform=labels.filter(str.strip), family=st.none() | labels)
def test_the_secret_brings_back_the_whole_identity(seed: bytes, platform: str, family: str | None) -> None:
    identity = DeviceIdentity.from_seed(seed, platform=platform, device_family=family)
    secret = identity.secret()
    assert secret.isascii()
    assert len(secret.split()) == 1
    assert DeviceIdentity.from_secret(f" {secret}\n") == identity
    assert secret.split(":")[0] == encode_base64url(seed)


def test_a_bare_seed_is_a_secret_of_this_platform() -> None:
    identity = DeviceIdentity.from_secret(SEED_TEXT)
    assert identity == DeviceIdentity.from_seed(SEED)
    assert identity.secret() == f"{SEED_TEXT}:{default_platform()}"


def test_explicit_labels_win_over_those_in_the_secret() -> None:
    identity = DeviceIdentity.from_secret(f"{SEED_TEXT}:linux:Pi", platform="darwin", device_family="Mac")
    assert (identity.platform, identity.device_family) == ("darwin", "Mac")


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "not a secret",
        SEED_TEXT[:-1],
        SEED_TEXT + "=",
        SEED_TEXT[:-1] + "9",  # the last character has bits that belong to no byte
        SEED_TEXT.replace("A", "+", 1),
        SEED_TEXT + ":linux:Pi:more",
        SEED_TEXT + ":%0A",
        "ä" * 43,
    ],
)
def test_a_damaged_secret_is_an_identity_error_that_does_not_show_it(secret: str) -> None:
    with pytest.raises(IdentityError, match="copied whole") as caught:
        DeviceIdentity.from_secret(secret)
    assert SEED_TEXT[:20] not in "".join(traceback.format_exception(caught.value))


@given(st.binary(max_size=80))
def test_base64url_round_trip(data: bytes) -> None:
    text = encode_base64url(data)
    assert "=" not in text
    assert decode_base64url(text) == data


@given(st.text(max_size=50))
def test_only_what_base64url_produces_is_decoded(text: str) -> None:
    try:
        data = decode_base64url(text)
    except ValueError:
        return
    assert encode_base64url(data) == text


def test_neither_repr_nor_str_shows_the_seed() -> None:
    identity = DeviceIdentity.from_seed(SEED)
    for shown in (repr(identity), str(identity), f"{identity}", repr([identity])):
        assert identity.id in shown
        assert SEED_TEXT not in shown
        assert repr(SEED) not in shown
        assert SEED.hex() not in shown


@pytest.mark.parametrize("used", [False, True], ids=["fresh", "after use"])
def test_pickle_and_copy_keep_the_identity(used: bool) -> None:
    identity = DeviceIdentity.from_seed(SEED, device_family="Pi")
    signature = identity.sign("x") if used else DeviceIdentity.from_seed(SEED).sign("x")
    for other in (pickle.loads(pickle.dumps(identity)), copy.copy(identity), copy.deepcopy(identity)):
        assert other == identity
        assert hash(other) == hash(identity)
        assert other.sign("x") == signature


def test_it_is_immutable_and_computes_its_public_key_once() -> None:
    identity = DeviceIdentity.from_seed(SEED)
    with pytest.raises(dataclasses.FrozenInstanceError):
        identity.platform = "other"  # type: ignore[misc]
    assert identity.public_key is identity.public_key
    assert identity.id is identity.id


def test_importing_the_layer_loads_no_cryptography() -> None:
    code = (
        "import sys, openclaw_client.identity, openclaw_client.policy.credentials;"
        "print('cryptography' in sys.modules);"
        "openclaw_client.identity.DeviceIdentity.from_seed(bytes(32)).id;"
        "print('cryptography' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    # The second line shows that the first could have said otherwise.
    assert done.stdout.split() == ["False", "True"]

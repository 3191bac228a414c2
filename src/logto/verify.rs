//! Proving that tokens say what Logto said, to us, now, for this sign-in. The only maker of [`Verified`].
//!
//! The steps are those of OpenID Connect Core §3.1.3.7, in its order and with its numbers. openidconnect's verifier takes steps
//! 1 to 3, 6 to 9 and 11; what it leaves open is ours: `azp`, times that lie in the future, `nbf`, `at_hash`, `max_age`, the form
//! of `sub`. It stops forged, replayed, swapped and stale ID tokens, access tokens passed off as ID tokens, and another user's
//! userinfo. It does no I/O.

use super::error::{Call, LogtoError};
use super::key::SigningKey;
use super::keys::KeySet;
use super::tokens::Tokens;
use super::userinfo::UnverifiedUserinfo;
use crate::clock::UnixSeconds;
use crate::secret::SecretText;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use openidconnect::core::{CoreGenderClaim, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm};
use openidconnect::{
    AccessToken, AccessTokenHash, AdditionalClaims, ClaimsVerificationError, ClientId, IdToken,
    IdTokenClaims, IdTokenVerifier, IssuerUrl, JwsSigningAlgorithm as _, Nonce, SignatureVerificationError,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fmt;
use std::ops::Deref;
use std::str::FromStr as _;
use std::time::{Duration, UNIX_EPOCH};
use subtle::ConstantTimeEq as _;

/// How far Logto's clock and ours may be apart.
const LEEWAY: Duration = Duration::from_secs(60);
/// Oldest ID token a sign-in may yield: it is made at the token call, so its age is clock difference alone.
const OLDEST: Duration = Duration::from_secs(600);
/// Longest subject identifier, in characters (OpenID Connect Core §2).
const LONGEST_SUBJECT: usize = 255;
/// Claims that are about the token, not about the user. They never reach headers or sessions.
const TOKEN_CLAIMS: &[&str] = &[
    "iss", "aud", "azp", "exp", "iat", "nbf", "jti", "nonce", "at_hash", "c_hash", "s_hash", "sid",
];
/// Claims that only the signed token may make.
const SIGNED_ONLY: &[&str] = &["sub", "acr", "amr", "auth_time"];

/// Something that was proved. Only this module can make one.
#[derive(Clone)]
pub struct Verified<T>(T);

impl<T> Verified<T> {
    /// Gives up the proof and keeps the value.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: fmt::Debug> fmt::Debug for Verified<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Verified").field(&self.0).finish()
    }
}

/// What a finished sign-in yields.
#[derive(Clone)]
pub struct SignedIn {
    /// The user's id at Logto, 1 to 255 characters.
    pub subject: String,
    /// The Logto session, for back-channel logout; only where the application has "session required" on.
    pub sid: Option<String>,
    /// The claims about the user, `sub` among them: the ID token's, overlaid with those of userinfo. Claims about the token
    /// itself (`iss`, `aud`, `exp`, `nonce`, …) are not in here.
    pub claims: Map<String, Value>,
    /// Only when Logto issued one.
    pub refresh_token: Option<SecretText>,
    /// For userinfo and Logto's Account API.
    pub access_token: SecretText,
    /// The ID token as it came.
    pub id_token: SecretText,
    /// Life of the access token, seconds, when Logto said.
    pub expires_in: Option<u64>,
}

/// Says who, never what: claims are personal, tokens secret.
impl fmt::Debug for SignedIn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SignedIn")
            .field("subject", &self.subject)
            .finish_non_exhaustive()
    }
}

/// What an ID token is measured against.
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a IssuerUrl,
    pub(super) client_id: &'a str,
    pub(super) nonce: &'a str,
    pub(super) access_token: &'a SecretText,
    /// Given when the authentication request carried `max_age`.
    pub(super) max_age: Option<Duration>,
    pub(super) now: UnixSeconds,
}

/// An ID token that passed.
pub(super) struct IdTokenFacts {
    subject: String,
    sid: Option<String>,
    /// All members of the payload.
    pub(super) claims: Map<String, Value>,
}

/// Why one did not.
pub(super) enum Refusal {
    /// No key of the set fits. A newer set may have it.
    UnknownKey,
    /// The named check failed.
    Check(&'static str),
}

/// The claims that openidconnect's own types leave out. Typed, so that a repeated or odd one is an error.
#[derive(Debug, Clone, Deserialize, Serialize)]
struct FurtherClaims {
    #[serde(default)]
    nbf: Option<serde_json::Number>,
    #[serde(default)]
    sid: Option<String>,
}

impl AdditionalClaims for FurtherClaims {}

type Token =
    IdToken<FurtherClaims, CoreGenderClaim, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm>;
type Claims = IdTokenClaims<FurtherClaims, CoreGenderClaim>;

/// Verifies the ID token of a sign-in.
pub(super) fn id_token(
    raw: &SecretText,
    keys: &KeySet,
    expected: &Expected<'_>,
) -> Result<Verified<IdTokenFacts>, Refusal> {
    let token = Token::from_str(raw.expose()).map_err(|_| Refusal::Check("format"))?;
    let verifier = verifier(keys, expected);
    let nonce_equals = |claimed: Option<&Nonce>| match claimed {
        Some(claimed) if bool::from(claimed.secret().as_bytes().ct_eq(expected.nonce.as_bytes())) => Ok(()),
        _ => Err(String::new()),
    };

    // 1. Encryption is not negotiated; an encrypted token is refused, and so are `crit`, `cty`, and a `typ` other than JWT.
    // 2. `iss` is the issuer, exactly.
    // 3. `aud` has our client id, and nobody else's.
    // 6. to 8. The signature fits, by a key of Logto's and one of that key's algorithms.
    // 9. The present is before `exp`.
    // 11. `nonce` is the one sent.
    let claims = token
        .claims(&verifier, nonce_equals)
        .map_err(|error| refusal(&token, &verifier, &error))?;
    check_the_rest(&token, &verifier, claims, expected).map_err(Refusal::Check)?;

    let subject = claims.subject().as_str().to_owned();
    let length = subject.chars().count();
    if length == 0 || length > LONGEST_SUBJECT || subject.chars().any(char::is_control) {
        return Err(Refusal::Check("sub"));
    }
    let facts = IdTokenFacts {
        subject,
        sid: claims.additional_claims().sid.clone(),
        claims: payload(raw).ok_or(Refusal::Check("format"))?,
    };
    Ok(Verified(facts))
}

/// openidconnect's part of the work, told the time and the algorithms.
fn verifier<'a>(keys: &KeySet, expected: &Expected<'a>) -> IdTokenVerifier<'a, SigningKey> {
    let algorithms: Vec<_> = keys
        .keys()
        .iter()
        .flat_map(SigningKey::algorithms)
        .cloned()
        .collect();
    // Shifting the present by the leeway is what makes `exp` lenient by it.
    let leeway_ago = Duration::from_secs(expected.now.as_u64().saturating_sub(LEEWAY.as_secs()));
    let present = UNIX_EPOCH.checked_add(leeway_ago).unwrap_or(UNIX_EPOCH);
    // A public client's verifier: without a client secret it has nothing to check an HMAC with.
    IdTokenVerifier::new_public_client(
        ClientId::new(expected.client_id.to_owned()),
        expected.issuer.clone(),
        keys.clone(),
    )
    .set_allowed_algs(algorithms)
    .set_time_fn(move || present.into())
}

/// The steps that openidconnect leaves to its caller. Answers with the name of the check that failed.
fn check_the_rest(
    token: &Token,
    verifier: &IdTokenVerifier<'_, SigningKey>,
    claims: &Claims,
    expected: &Expected<'_>,
) -> Result<(), &'static str> {
    let now = i64::try_from(expected.now.as_u64()).unwrap_or(i64::MAX);
    let leeway = seconds(LEEWAY);

    // 4. and 5. An authorized party, where one is named, is us.
    if claims
        .authorized_party()
        .is_some_and(|party| party.as_str() != expected.client_id)
    {
        return Err("azp");
    }

    // 10. Not issued in the future, not long ago, and not for later use (RFC 7519 §4.1.5).
    let issued = claims.issue_time().timestamp();
    if issued > now.saturating_add(leeway) || issued < now.saturating_sub(seconds(OLDEST)) {
        return Err("iat");
    }
    if let Some(not_before) = &claims.additional_claims().nbf {
        let not_before = not_before.as_f64().ok_or("nbf")?;
        let latest = UnixSeconds::plus(expected.now, LEEWAY).as_u64();
        if not_before > latest as f64 {
            return Err("nbf");
        }
    }

    // 12. No `acr` is ever asked for.
    // 13. When `max_age` was asked for, `auth_time` is there and recent enough.
    if let Some(max_age) = expected.max_age {
        let authenticated = claims.auth_time().ok_or("auth_time")?.timestamp();
        let oldest = now.saturating_sub(seconds(max_age)).saturating_sub(leeway);
        if authenticated < oldest || authenticated > now.saturating_add(leeway) {
            return Err("auth_time");
        }
    }

    // §3.1.3.8: an access token hash, where there is one, is that of the access token which came along.
    if let Some(claimed) = claims.access_token_hash() {
        let algorithm = token.signing_alg().map_err(|_| "at_hash")?;
        let key = token.signing_key(verifier).map_err(|_| "at_hash")?;
        let access_token = AccessToken::new(expected.access_token.expose().to_owned());
        let computed = AccessTokenHash::from_token(&access_token, algorithm, key).map_err(|_| "at_hash")?;
        if !bool::from(claimed.as_bytes().ct_eq(computed.as_bytes())) {
            return Err("at_hash");
        }
    }
    Ok(())
}

/// Joins what was proved with userinfo, whose `sub` must be the ID token's (OpenID Connect Core §5.3.2).
pub(super) fn signed_in(
    id_token: Verified<IdTokenFacts>,
    userinfo: Option<UnverifiedUserinfo>,
    tokens: Tokens,
) -> Result<Verified<SignedIn>, LogtoError> {
    let IdTokenFacts {
        subject,
        sid,
        mut claims,
    } = id_token.into_inner();
    claims.retain(|name, _| !TOKEN_CLAIMS.contains(&name.as_str()));
    if let Some(UnverifiedUserinfo(members)) = userinfo {
        if members.get("sub").and_then(Value::as_str) != Some(subject.as_str()) {
            return Err(LogtoError::invalid_token(Call::UserInfo, "sub"));
        }
        let about_the_user = members.into_iter().filter(|(name, _)| {
            !TOKEN_CLAIMS.contains(&name.as_str()) && !SIGNED_ONLY.contains(&name.as_str())
        });
        claims.extend(about_the_user);
    }
    Ok(Verified(SignedIn {
        subject,
        sid,
        claims,
        refresh_token: tokens.refresh_token,
        access_token: tokens.access_token,
        id_token: tokens.id_token,
        expires_in: tokens.expires_in,
    }))
}

/// The payload's members, once the signature over these very bytes was found good.
fn payload(raw: &SecretText) -> Option<Map<String, Value>> {
    let encoded = raw.expose().split('.').nth(1)?;
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(encoded).ok()?;
    serde_json::from_slice(&bytes).ok()
}

fn refusal(
    token: &Token,
    verifier: &IdTokenVerifier<'_, SigningKey>,
    error: &ClaimsVerificationError,
) -> Refusal {
    use SignatureVerificationError as Signature;
    // A rotation may bring another type of key, so an algorithm that no known key has means an unknown key too.
    let key_is_unknown = || {
        token
            .signing_alg()
            .is_ok_and(|algorithm| !algorithm.uses_shared_secret())
            && token.signing_key(verifier).err() == Some(Signature::NoMatchingKey)
    };
    match error {
        ClaimsVerificationError::SignatureVerification(
            Signature::NoMatchingKey | Signature::DisallowedAlg(_),
        ) if key_is_unknown() => Refusal::UnknownKey,
        ClaimsVerificationError::SignatureVerification(
            Signature::NoMatchingKey
            | Signature::DisallowedAlg(_)
            | Signature::UnsupportedAlg(_)
            | Signature::NoSignature,
        ) => Refusal::Check("alg"),
        ClaimsVerificationError::SignatureVerification(Signature::AmbiguousKeyId(_)) => Refusal::Check("kid"),
        ClaimsVerificationError::SignatureVerification(_) => Refusal::Check("signature"),
        ClaimsVerificationError::InvalidIssuer(_) => Refusal::Check("iss"),
        ClaimsVerificationError::InvalidAudience(_) => Refusal::Check("aud"),
        ClaimsVerificationError::Expired(_) => Refusal::Check("exp"),
        ClaimsVerificationError::InvalidNonce(_) => Refusal::Check("nonce"),
        ClaimsVerificationError::InvalidSubject(_) => Refusal::Check("sub"),
        _ => Refusal::Check("header"),
    }
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

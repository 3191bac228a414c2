//! Proving ID tokens: that Logto said this, to us, now, and for this sign-in.
//!
//! The steps are those of OpenID Connect Core §3.1.3.7, in its order and with its numbers. openidconnect's verifier takes steps
//! 1 to 3, 6 to 9 and 11; what it leaves open is ours: `azp`, times that lie in the future, `nbf`, `at_hash`, `max_age`, the form
//! of `sub`. It stops forged, replayed, swapped and stale ID tokens, and access tokens or logout tokens passed off as ID tokens.

use super::super::key::SigningKey;
use super::super::keys::KeySet;
use super::super::strict_json;
use super::{LEEWAY, Refusal, Verified, is_identifier};
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
use std::str::FromStr as _;
use std::time::{Duration, UNIX_EPOCH};
use subtle::ConstantTimeEq as _;

/// Oldest ID token a sign-in may yield: it is made at the token call, so its age is clock difference alone.
const OLDEST: Duration = Duration::from_secs(600);
/// What an ID token is measured against.
pub(in crate::logto) struct Expected<'a> {
    pub(in crate::logto) issuer: &'a IssuerUrl,
    pub(in crate::logto) client_id: &'a str,
    /// The nonce that was sent; `None` for a refreshed token, which may repeat one that is no longer known
    /// (OpenID Connect Core §12.2).
    pub(in crate::logto) nonce: Option<&'a str>,
    pub(in crate::logto) access_token: &'a SecretText,
    /// Given when the authentication request carried `max_age`.
    pub(in crate::logto) max_age: Option<Duration>,
    pub(in crate::logto) now: UnixSeconds,
}

/// An ID token that passed.
pub(in crate::logto) struct IdTokenFacts {
    pub(in crate::logto) subject: String,
    pub(super) sid: Option<String>,
    /// All members of the payload.
    pub(in crate::logto) claims: Map<String, Value>,
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

/// Verifies the ID token of a sign-in or a refresh.
pub(in crate::logto) fn verify(
    raw: &SecretText,
    keys: &KeySet,
    expected: &Expected<'_>,
) -> Result<Verified<IdTokenFacts>, Refusal> {
    let token = Token::from_str(raw.expose()).map_err(|_| Refusal::Check("format"))?;
    let verifier = verifier(keys, expected);
    let nonce_equals = |claimed: Option<&Nonce>| match (expected.nonce, claimed) {
        (None, _) => Ok(()),
        (Some(sent), Some(claimed)) if bool::from(claimed.secret().as_bytes().ct_eq(sent.as_bytes())) => {
            Ok(())
        }
        _ => Err(String::new()),
    };

    // 1. Encryption is not negotiated; an encrypted token is refused, and so are `crit`, `cty`, and a `typ` other than JWT.
    // 2. `iss` is the issuer, exactly.
    // 3. `aud` has our client id, and nobody else's.
    // 6. to 8. The signature fits, by a key of Logto's and one of that key's algorithms.
    // 9. The present is before `exp`.
    // 11. `nonce` is the one sent, where one was.
    let claims = token
        .claims(&verifier, nonce_equals)
        .map_err(|error| refusal(&token, &verifier, &error))?;
    check_the_rest(&token, &verifier, claims, expected).map_err(Refusal::Check)?;

    let subject = claims.subject().as_str().to_owned();
    if !is_identifier(&subject) {
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

/// The payload's members, none of them twice, once the signature over these very bytes was found good.
fn payload(raw: &SecretText) -> Option<Map<String, Value>> {
    let encoded = raw.expose().split('.').nth(1)?;
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(encoded).ok()?;
    strict_json::object(&bytes)
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

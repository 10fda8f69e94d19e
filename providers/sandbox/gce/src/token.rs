//! Tokens: the grant of access tokens, and what a bearer may be.
//!
//! Two kinds of bearer are taken, as Google's APIs do: an access token, got at `POST /token` for a signed assertion (RFC
//! 7523), and an assertion itself, made out for the API or with a scope. An access token is a JWT as well, with its scopes
//! and its end, signed with a secret that is derived from the account's key; so it is good after a restart too, without a
//! list of those that were given.

use std::{
    sync::{Arc, OnceLock},
    time::{SystemTime, UNIX_EPOCH},
};

use axum::{
    Extension, Form, Json, Router,
    extract::{FromRequest as _, State},
    http::StatusCode,
    middleware::Next,
    response::{IntoResponse as _, Response},
    routing::post,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, crypto::verify, decode, encode};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::json;

use super::key::ServiceAccount;
use crate::Cloud;

/// How long an access token is good, in seconds.
const LIFE: u64 = 3600;

/// How far clocks may be apart, in seconds.
const SKEW: u64 = 60;

const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// Where Google gives tokens: some libraries make assertions out for it, wherever they send them. The second is what libcloud knows.
const GOOGLE_TOKEN: [&str; 2] = ["https://oauth2.googleapis.com/token", "https://accounts.google.com/o/oauth2/token"];

/// Says who calls.
#[derive(Clone)]
pub(super) struct Authority {
    cloud: Cloud,
    account: Arc<OnceLock<ServiceAccount>>,
}

/// What a bearer is good for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Grant {
    /// When it ends, in seconds since 1970.
    exp: u64,
    /// Its scopes, separated by spaces; or, of an assertion that was made out for one API, that API's address.
    pub(super) scope: String,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: Option<String>,
    aud: Option<String>,
    scope: Option<String>,
    iat: u64,
    exp: u64,
}

impl Authority {
    pub(super) fn new(cloud: Cloud) -> Self {
        Self { cloud, account: Arc::default() }
    }

    /// The service account, if its key was made.
    fn account(&self) -> Option<&ServiceAccount> {
        if let Some(account) = self.account.get() {
            return Some(account);
        }
        let found = ServiceAccount::find(&self.cloud.folder());
        let found = found.inspect_err(|error| tracing::error!(%error, "the service account's key cannot be read"));
        found.ok().flatten().map(|found| self.account.get_or_init(|| found))
    }

    /// What a bearer is good for, if it is good at all.
    pub(super) fn grant(&self, bearer: &str) -> Option<Grant> {
        let account = self.account()?;
        if let Some(token) = bearer.strip_prefix("ya29.") {
            return opened(account, token);
        }
        let claims = assertion(account, bearer)?;
        let scope = claims.scope.or(claims.aud)?;
        Some(Grant { exp: claims.exp, scope })
    }

    /// Trades an assertion for an access token.
    fn trade(&self, assertion_text: &str) -> Result<(String, u64), &'static str> {
        let account = self.account().ok_or("Invalid grant: account not found")?;
        let claims = assertion(account, assertion_text).ok_or("Invalid JWT Signature.")?;
        let audience = claims.aud.unwrap_or_default();
        // Not what the file says: a client may have read it before the sandbox was started anew.
        let here = format!("http://{}/token", self.cloud.config().listen);
        if audience != here && !GOOGLE_TOKEN.contains(&audience.as_str()) {
            return Err("Invalid JWT: Failed audience check.");
        }
        let scope = claims
            .scope
            .filter(|scope| !scope.trim().is_empty())
            .ok_or("Invalid OAuth scope or ID token audience provided.")?;
        let grant = Grant { exp: now() + LIFE, scope };
        sealed(account, &grant).map(|token| (format!("ya29.{token}"), LIFE)).ok_or("The token could not be signed.")
    }
}

/// The claims of an assertion that the account's key signed and that is good now.
fn assertion(account: &ServiceAccount, text: &str) -> Option<Claims> {
    // Not by `decode`: libcloud pads the parts that it signs, which no JWT should have and Google takes.
    let (message, signature) = text.rsplit_once('.')?;
    let (head, claims) = message.split_once('.')?;
    let head: Header = part(head)?;
    let signature = signature.trim_end_matches('=');
    let signed = head.alg == Algorithm::RS256
        && verify(signature, message.as_bytes(), &account.verifier(), head.alg).is_ok_and(|good| good);
    if !signed || head.kid.is_some_and(|kid| kid != account.key_id) {
        return None;
    }
    let claims: Claims = part(claims)?;
    let ours = claims.iss == account.email && claims.sub.as_ref().is_none_or(|sub| *sub == account.email);
    let now = now();
    let timely =
        claims.iat <= now + SKEW && claims.exp > now.saturating_sub(SKEW) && claims.exp <= claims.iat + LIFE + SKEW;
    (ours && timely).then_some(claims)
}

fn part<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok()?).ok()
}

/// An access token that grants this.
fn sealed(account: &ServiceAccount, grant: &Grant) -> Option<String> {
    let key = EncodingKey::from_secret(&account.secret).ok()?;
    encode(&Header::new(Algorithm::HS256), grant, &key).ok()
}

/// What an access token grants, until it ends.
fn opened(account: &ServiceAccount, token: &str) -> Option<Grant> {
    let mut rules = Validation::new(Algorithm::HS256);
    rules.leeway = 0;
    let key = DecodingKey::from_secret(&account.secret).ok()?;
    decode(token, &key, &rules).ok().map(|token| token.claims)
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

pub(super) fn routes() -> Router {
    Router::new().route("/token", post(grant)).route("/o/oauth2/token", post(grant))
}

/// What an assertion was traded for, on its way to the route that answers with it.
#[derive(Clone)]
struct Traded {
    token: String,
    life: u64,
}

#[derive(Deserialize)]
struct Request {
    #[serde(default)]
    grant_type: String,
    #[serde(default)]
    assertion: String,
}

/// Lets requests through whose assertion is good for a token: as at Google, whoever has none is refused before anything
/// else happens.
pub(super) async fn check(State(authority): State<Authority>, request: axum::extract::Request, next: Next) -> Response {
    let refuse = |error: &str, why: &str| {
        tracing::debug!(error, why, "no access token");
        (StatusCode::BAD_REQUEST, Json(json!({ "error": error, "error_description": why }))).into_response()
    };
    let (parts, body) = request.into_parts();
    let sent = axum::extract::Request::from_parts(parts.clone(), body);
    let form = match Form::<Request>::from_request(sent, &()).await {
        Ok(Form(form)) => form,
        Err(rejection) => return refuse("invalid_request", &rejection.body_text()),
    };
    if form.grant_type != GRANT {
        return refuse("unsupported_grant_type", "Invalid grant_type: the sandbox takes JWT bearer grants only.");
    }
    match authority.trade(&form.assertion) {
        Ok((token, life)) => {
            let mut request = axum::extract::Request::from_parts(parts, axum::body::Body::empty());
            request.extensions_mut().insert(Traded { token, life });
            next.run(request).await
        }
        Err(why) => refuse("invalid_grant", why),
    }
}

async fn grant(Extension(Traded { token, life }): Extension<Traded>) -> Response {
    Json(json!({ "access_token": token, "expires_in": life, "token_type": "Bearer" })).into_response()
}

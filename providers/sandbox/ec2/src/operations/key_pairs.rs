//! Key pairs: made here or imported; the public part goes to root's login keys of what is launched with them.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use russh::keys::{
    Algorithm, PrivateKey, PublicKey,
    ssh_key::{LineEnding, private::RsaKeypair},
};
use sha2::{Digest as _, Sha256};

use crate::{
    call::Call,
    ids,
    kinds::KEY_PAIR,
    list::{List, keep_named, one},
    reply::{invalid_value, missing, refuse, unsupported},
    state::{Data, KeyPair, Tags},
    tags,
    xml::Xml,
};
use remint_sandbox_cloud::{ApiError, ApiResult, now};

const LIST: List<KeyPair> = List {
    element: "keySet",
    least: None,
    tags: |state, key| state.own.tags_of(&key.id),
    fields: &[
        ("fingerprint", |_, key| one(&key.fingerprint)),
        ("key-name", |_, key| one(&key.name)),
        ("key-pair-id", |_, key| one(&key.id)),
    ],
};

/// The size of an RSA key, in bits, as EC2 makes them.
const RSA_BITS: usize = 2048;

/// `CreateKeyPair`: the private key is in the answer and nowhere else.
pub(super) async fn create(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let params = &call.params;
    let name = params.need("KeyName")?.to_owned();
    let rsa = params.choice("KeyType", &["rsa", "ed25519"])? != Some("ed25519");
    if params.get("KeyFormat").is_some_and(|format| format != "pem") {
        return Err(unsupported("keys in PPK format"));
    }
    let given = tags::given(params, "key-pair")?;
    // Looked up before, because an RSA key takes a while to make.
    call.read(|state| unused(&state.own, call.region, &name))?;
    let made = tokio::task::spawn_blocking(move || {
        let mut random = rand::rng();
        let key = match rsa {
            true => PrivateKey::from(RsaKeypair::random(&mut random, RSA_BITS)?),
            false => PrivateKey::random(&mut random, Algorithm::Ed25519)?,
        };
        let (private, public) = (key.to_openssh(LineEnding::LF)?, key.public_key().to_openssh()?);
        Ok::<_, russh::keys::ssh_key::Error>((private, public))
    });
    let (private, public) = match made.await {
        Ok(Ok(made)) => made,
        Ok(Err(error)) => return Err(ApiError::internal(error.to_string())),
        Err(error) => return Err(ApiError::internal(error.to_string())),
    };
    let key = keep(call, name, &public, given)?;
    xml.text("keyName", &key.name).text("keyFingerprint", &key.fingerprint).text("keyMaterial", private.as_str());
    xml.text("keyPairId", &key.id);
    call.read(|state| tags::write(xml, state, &key.id));
    Ok(())
}

/// `ImportKeyPair`.
pub(super) fn import(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let name = call.params.need("KeyName")?.to_owned();
    let material: String = call.params.need("PublicKeyMaterial")?.split_ascii_whitespace().collect();
    let given = tags::given(&call.params, "key-pair")?;
    let text = STANDARD.decode(material).ok().and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(bad_key)?;
    let key = keep(call, name, text.trim(), given)?;
    xml.text("keyName", &key.name).text("keyFingerprint", &key.fingerprint).text("keyPairId", &key.id);
    call.read(|state| tags::write(xml, state, &key.id));
    Ok(())
}

/// `DescribeKeyPairs`.
pub(super) fn describe(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let with_public = call.params.flag("IncludePublicKey")?;
    call.read(|state| {
        let mut all: Vec<&KeyPair> = state.own.keys.values().filter(|key| key.region == call.region).collect();
        keep_named(&call.params, "KeyName", &KEY_PAIR, &mut all, |key| &key.name)?;
        keep_named(&call.params, "KeyPairId", &KEY_PAIR, &mut all, |key| &key.id)?;
        LIST.answer(call, state, all, xml, |xml, key| {
            xml.text("keyPairId", &key.id).text("keyName", &key.name).text("keyFingerprint", &key.fingerprint);
            xml.text("keyType", &key.kind).time("createTime", key.created_at);
            xml.maybe("publicKey", with_public.then_some(&key.public_key));
            tags::write(xml, state, &key.id);
        })
    })
}

/// `DeleteKeyPair`: one that is not there is a success.
pub(super) fn delete(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let (name, id) = (call.params.get("KeyName"), call.params.get("KeyPairId"));
    if name.is_none() && id.is_none() {
        return Err(missing("KeyName"));
    }
    let gone = call.change(|state| {
        let is = |key: &&KeyPair| {
            key.region == call.region && name.is_none_or(|n| key.name == n) && id.is_none_or(|id| key.id == id)
        };
        let found = state.own.keys.values().find(is).cloned();
        if let Some(key) = &found {
            state.own.keys.remove(&Data::in_region(call.region, &key.name));
            state.own.tags.remove(&key.id);
        }
        Ok(found)
    })?;
    xml.text("return", true).maybe("keyPairId", gone.map(|key| key.id));
    Ok(())
}

fn keep(call: &Call<'_>, name: String, public: &str, given: Tags) -> ApiResult<KeyPair> {
    let parsed = PublicKey::from_openssh(public).map_err(|_| bad_key())?;
    let blob = parsed.to_bytes().map_err(|_| bad_key())?;
    let (kind, fingerprint) = match parsed.algorithm() {
        Algorithm::Ed25519 => ("ed25519", STANDARD.encode(Sha256::digest(&blob))),
        // EC2's are of another encoding of the key; whoever compares them compares them with what it was told.
        Algorithm::Rsa { .. } => {
            let bytes = md5::compute(&blob).0.map(|byte| hex::encode([byte]));
            ("rsa", bytes.join(":"))
        }
        _ => return Err(bad_key()),
    };
    let key = KeyPair {
        id: ids::fresh("key"),
        region: call.region.to_owned(),
        name,
        kind: kind.to_owned(),
        public_key: public.to_owned(),
        fingerprint,
        created_at: now(),
    };
    call.change(|state| {
        unused(&state.own, call.region, &key.name)?;
        state.own.tag(&key.id, given);
        state.own.keys.insert(Data::in_region(call.region, &key.name), key.clone());
        Ok(key)
    })
}

fn unused(ec2: &Data, region: &str, name: &str) -> ApiResult<()> {
    if name.len() > 255 || !name.is_ascii() {
        return Err(invalid_value("Key pair names are of 255 ASCII characters at most"));
    }
    match ec2.keys.contains_key(&Data::in_region(region, name)) {
        true => Err(refuse("InvalidKeyPair.Duplicate", format!("The keypair '{name}' already exists."))),
        false => Ok(()),
    }
}

fn bad_key() -> ApiError {
    refuse("InvalidKey.Format", "Key is not in valid OpenSSH public key format")
}

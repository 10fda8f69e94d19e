//! The account's service account, and the file with its key.
//!
//! The key is an RSA key that the sandbox makes, as the service's own are, and the file is what a client library reads for
//! `GOOGLE_APPLICATION_CREDENTIALS`. It is kept from start to start; only where tokens are got may change.

use std::{
    fmt, fs, io,
    io::Write as _,
    net::SocketAddr,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use aws_lc_rs::{
    encoding::{AsDer as _, Pkcs8V1Der},
    rsa::{KeyPair, KeySize},
    signature::KeyPair as _,
};
use jsonwebtoken::DecodingKey;
use pem_rfc7468::LineEnding;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::PROJECT;

/// The file's name, in the account's folder.
const FILE: &str = "credentials.json";

/// What the key is in its PEM: PKCS #8.
const LABEL: &str = "PRIVATE KEY";

/// The file, as Google's console writes it.
#[derive(Serialize, Deserialize)]
struct KeyFile {
    r#type: String,
    project_id: String,
    private_key_id: String,
    private_key: String,
    client_email: String,
    client_id: String,
    auth_uri: String,
    token_uri: String,
    auth_provider_x509_cert_url: String,
    client_x509_cert_url: String,
    universe_domain: String,
}

/// The service account that the account's callers act as.
pub struct ServiceAccount {
    /// The file with its key, readable by its owner only.
    pub path: PathBuf,
    /// The name by which Google's APIs call it, from the key file's `client_email`.
    pub email: String,
    pub(super) key_id: String,
    public: Vec<u8>,
    /// What the sandbox's own access tokens are signed with.
    pub(super) secret: [u8; 32],
}

impl fmt::Debug for ServiceAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceAccount").field("path", &self.path).field("email", &self.email).finish_non_exhaustive()
    }
}

impl ServiceAccount {
    /// The service account of an account's folder, made when missing, whose tokens are got at `api`.
    ///
    /// # Errors
    ///
    /// Those of the file; `InvalidData` for one that is no key file.
    pub fn open(folder: &Path, api: SocketAddr) -> io::Result<Self> {
        let path = Self::path_in(folder);
        let token_uri = format!("http://{api}/token");
        let mut file = match read(&path)? {
            Some(file) => file,
            None => {
                fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
                make()?
            }
        };
        if file.token_uri != token_uri {
            file.token_uri = token_uri;
            write(&path, &file)?;
        }
        Self::of(path, file)
    }

    /// Where the key file of an account's folder is.
    pub fn path_in(folder: &Path) -> PathBuf {
        folder.join(FILE)
    }

    /// The same, where it was made already.
    pub(super) fn find(folder: &Path) -> io::Result<Option<Self>> {
        let path = Self::path_in(folder);
        read(&path)?.map(|file| Self::of(path, file)).transpose()
    }

    fn of(path: PathBuf, file: KeyFile) -> io::Result<Self> {
        let broken = |what: &str| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {what}", path.display()));
        let pem = pem_rfc7468::decode_vec(file.private_key.as_bytes()).map_err(|_| broken("the key is not PEM"))?;
        let (LABEL, der) = pem else { return Err(broken("the key is not one of PKCS #8")) };
        let pair = KeyPair::from_pkcs8(&der).map_err(|error| broken(&format!("the key is refused: {error}")))?;
        let secret = Sha256::new_with_prefix(b"access tokens").chain_update(&der).finalize().into();
        let public = pair.public_key().as_ref().to_vec();
        Ok(Self { path, email: file.client_email, key_id: file.private_key_id, public, secret })
    }

    /// What verifies the signatures of the account's key.
    pub(super) fn verifier(&self) -> DecodingKey {
        DecodingKey::from_rsa_der(&self.public)
    }
}

/// The service account's name.
pub(super) fn email() -> String {
    format!("remint@{PROJECT}.iam.gserviceaccount.com")
}

fn read(path: &Path) -> io::Result<Option<KeyFile>> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(io::Error::from),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Puts the file in its place as a whole: a client may be reading it.
fn write(path: &Path, file: &KeyFile) -> io::Result<()> {
    let next = path.with_extension("json.next");
    let mut out = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&next)?;
    out.write_all(&serde_json::to_vec_pretty(file)?)?;
    fs::rename(&next, path)
}

fn make() -> io::Result<KeyFile> {
    let failed = |_| io::Error::other("an RSA key cannot be made");
    let pair = KeyPair::generate(KeySize::Rsa2048).map_err(failed)?;
    let der: Pkcs8V1Der<'_> = pair.as_der().map_err(failed)?;
    let private_key = pem_rfc7468::encode_string(LABEL, LineEnding::LF, der.as_ref()).map_err(io::Error::other)?;
    let email = email();
    Ok(KeyFile {
        r#type: "service_account".to_owned(),
        project_id: PROJECT.to_owned(),
        private_key_id: hex::encode(&Sha256::digest(pair.public_key().as_ref())[..20]),
        private_key,
        client_id: "100000000000000000001".to_owned(),
        auth_uri: "https://accounts.google.com/o/oauth2/auth".to_owned(),
        // Filled in by whoever knows where the API answers.
        token_uri: String::new(),
        auth_provider_x509_cert_url: "https://www.googleapis.com/oauth2/v1/certs".to_owned(),
        client_x509_cert_url: format!("https://www.googleapis.com/robot/v1/metadata/x509/{email}"),
        client_email: email,
        universe_domain: "googleapis.com".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_is_kept_while_the_place_of_its_tokens_changes() {
        let folder = tempfile::tempdir().unwrap();
        assert!(ServiceAccount::find(folder.path()).unwrap().is_none());
        let first = ServiceAccount::open(folder.path(), "127.0.0.1:7070".parse().unwrap()).unwrap();
        let mode = fs::metadata(&first.path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let moved = ServiceAccount::open(folder.path(), "127.0.0.1:7071".parse().unwrap()).unwrap();
        assert_eq!((&first.key_id, &first.public), (&moved.key_id, &moved.public));
        assert_eq!(read(&moved.path).unwrap().unwrap().token_uri, "http://127.0.0.1:7071/token");
        assert_eq!(ServiceAccount::find(folder.path()).unwrap().unwrap().public, moved.public);
        fs::write(&first.path, "{}").unwrap();
        assert!(ServiceAccount::open(folder.path(), "127.0.0.1:7071".parse().unwrap()).is_err());
    }
}

//! The secret key, and what it seals.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::ObjectId;
use kompira_schema::message;
use zeroize::Zeroizing;

use super::keyfile;

const KEY_CONTEXT: &str = "kompira-fs password v1";
const KEY_ID_CONTEXT: &str = "kompira-fs password key id v1";
const TOKEN_CONTEXT: &str = "kompira-fs token v1";
const EXPORT_AAD: &[u8] = b"kompira-fs/password/v1";
const EXPORT_PREFIX: &str = "kfs1$";
const NONCE_BYTES: usize = 24;
/// First byte of a sealed value; the associated data carries it too.
const SEAL_VERSION: u8 = 1;

/// Where a sealed value belongs: a ciphertext moved to another place does not open.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The object that holds it.
    pub object: ObjectId,
    /// The field, with index or key: `password`, `keys[2]`, `secrets[db]`, `data.token`.
    pub field: &'a str,
}

/// The key in use (rule: `operations/secret-key`). Debug prints its id alone.
pub struct Keys {
    cipher: XChaCha20Poly1305,
    key: Zeroizing<[u8; 32]>,
    token_key: Zeroizing<[u8; 32]>,
    kid: String,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keys({})", self.kid)
    }
}

impl Keys {
    /// Derives the key from the key text.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        let key = Zeroizing::new(blake3::derive_key(KEY_CONTEXT, text.as_bytes()));
        let token_key = Zeroizing::new(blake3::derive_key(TOKEN_CONTEXT, text.as_bytes()));
        let id = blake3::derive_key(KEY_ID_CONTEXT, text.as_bytes());
        let kid = id[..4].iter().map(|byte| format!("{byte:02x}")).collect();
        Self { cipher: XChaCha20Poly1305::new((&*key).into()), key, token_key, kid }
    }

    /// Reads the key file; a file that others can read is refused.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when there is none, [`Kind::Protected`] when its mode is too wide,
    /// [`Kind::Invalid`] when its text is shorter than 8 characters.
    pub fn load(path: &Path) -> Result<Self, Fault> {
        Ok(Self::from_text(&keyfile::read(path)?))
    }

    /// Writes a new key file (mode 0600) with `text` or, without one, with a generated key.
    ///
    /// # Errors
    /// [`Kind::Exists`] when there is one already.
    pub fn create(path: &Path, text: Option<&str>) -> Result<Self, Fault> {
        let generated;
        let text = if let Some(text) = text {
            text
        } else {
            generated = keyfile::generate()?;
            &generated
        };
        keyfile::check(text)?;
        keyfile::write_new(path, text)?;
        Ok(Self::from_text(text))
    }

    /// Names the key without telling it: 8 hexadecimal digits.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Seals a clear text for the store.
    ///
    /// # Errors
    /// [`Kind::Internal`] when the system gives no random bytes.
    pub fn seal(&self, clear: &str, place: Place<'_>) -> Result<Vec<u8>, Fault> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(Fault::internal)?;
        let aad = associated_data(place);
        let payload = Payload { msg: clear.as_bytes(), aad: &aad };
        let cipher = self.cipher.encrypt(&XNonce::from(nonce), payload).map_err(Fault::internal)?;
        let mut sealed = Vec::with_capacity(1 + NONCE_BYTES + cipher.len());
        sealed.push(SEAL_VERSION);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&cipher);
        Ok(sealed)
    }

    /// Opens a sealed value in its place.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] when the key or the place is another, or a bit is.
    pub fn open(&self, sealed: &[u8], place: Place<'_>) -> Result<Zeroizing<String>, Fault> {
        let unreadable =
            || Fault::new(Kind::Corrupt, message!("secrets.unreadable", kid = self.kid));
        let rest = sealed.strip_prefix(&[SEAL_VERSION]).ok_or_else(unreadable)?;
        let (nonce, cipher) = rest.split_first_chunk::<NONCE_BYTES>().ok_or_else(unreadable)?;
        let aad = associated_data(place);
        self.decrypt(*nonce, cipher, &aad).ok_or_else(unreadable)
    }

    /// The `kfs1$…` string of exports. An unchanged value exports unchanged: the nonce is derived
    /// from path, field and clear text.
    ///
    /// # Errors
    /// [`Kind::Internal`] when the cipher refuses (a text beyond 256 GiB).
    pub fn export(&self, clear: &str, path: &str, field: &str) -> Result<String, Fault> {
        let mut hash = blake3::Hasher::new_keyed(&self.key);
        for part in [path, "\0", field, "\0", clear] {
            hash.update(part.as_bytes());
        }
        let mut nonce = [0; NONCE_BYTES];
        nonce.copy_from_slice(&hash.finalize().as_bytes()[..NONCE_BYTES]);
        self.export_with(clear, nonce)
    }

    fn export_with(&self, clear: &str, nonce: [u8; NONCE_BYTES]) -> Result<String, Fault> {
        let payload = Payload { msg: clear.as_bytes(), aad: EXPORT_AAD };
        let cipher = self.cipher.encrypt(&XNonce::from(nonce), payload).map_err(Fault::internal)?;
        let (nonce, cipher) = (URL_SAFE_NO_PAD.encode(nonce), URL_SAFE_NO_PAD.encode(cipher));
        Ok(format!("{EXPORT_PREFIX}{}${nonce}${cipher}", self.kid))
    }

    /// Whether a text of an import is one of our ciphertexts.
    #[must_use]
    pub fn is_exported(text: &str) -> bool {
        text.starts_with(EXPORT_PREFIX)
    }

    /// Opens a `kfs1$…` string; `None` when it was made with another key or is damaged.
    #[must_use]
    pub fn import(&self, text: &str) -> Option<Zeroizing<String>> {
        let mut parts = text.strip_prefix(EXPORT_PREFIX)?.split('$');
        let (kid, nonce, cipher) = (parts.next()?, parts.next()?, parts.next()?);
        if kid != self.kid || parts.next().is_some() {
            return None;
        }
        let nonce: [u8; NONCE_BYTES] = URL_SAFE_NO_PAD.decode(nonce).ok()?.try_into().ok()?;
        self.decrypt(nonce, &URL_SAFE_NO_PAD.decode(cipher).ok()?, EXPORT_AAD)
    }

    /// The keyed hash under which a token is looked up.
    #[must_use]
    pub fn token_hash(&self, token: &str) -> [u8; 32] {
        *blake3::keyed_hash(&self.token_key, token.as_bytes()).as_bytes()
    }

    fn decrypt(
        &self,
        nonce: [u8; NONCE_BYTES],
        cipher: &[u8],
        aad: &[u8],
    ) -> Option<Zeroizing<String>> {
        let clear = self.cipher.decrypt(&XNonce::from(nonce), Payload { msg: cipher, aad }).ok()?;
        String::from_utf8(clear).ok().map(Zeroizing::new)
    }
}

fn associated_data(place: Place<'_>) -> Vec<u8> {
    let mut aad = vec![SEAL_VERSION];
    aad.extend_from_slice(&place.object.0.to_be_bytes());
    aad.extend_from_slice(place.field.as_bytes());
    aad
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Keys {
        Keys::from_text("correct-horse-8")
    }

    // rule: operations/secret-key
    #[test]
    fn the_key_id_and_export_string_are_those_of_the_test_vector() {
        let keys = keys();
        assert_eq!(keys.kid(), "5abc13b1");
        let nonce: [u8; NONCE_BYTES] = std::array::from_fn(|i| i as u8);
        assert_eq!(
            keys.export_with("s3cret-日本", nonce).unwrap(),
            "kfs1$5abc13b1$AAECAwQFBgcICQoLDA0ODxAREhMUFRYX$06iVmsK5cxw_nRkgRngXgw_MVuSmsltL26r8QHg"
        );
    }

    #[test]
    fn a_sealed_value_opens_in_its_place_alone() {
        let keys = keys();
        let place = Place { object: ObjectId(7), field: "password" };
        let sealed = keys.seal("s3cret-日本", place).unwrap();
        assert!(!sealed.windows(6).any(|window| window == b"s3cret"));
        assert_eq!(*keys.open(&sealed, place).unwrap(), "s3cret-日本");
        for elsewhere in [
            Place { object: ObjectId(8), field: "password" },
            Place { object: ObjectId(7), field: "passphrase" },
        ] {
            assert_eq!(keys.open(&sealed, elsewhere).unwrap_err().kind(), Kind::Corrupt);
        }
        let other = Keys::from_text("another-key");
        assert_eq!(other.open(&sealed, place).unwrap_err().kind(), Kind::Corrupt);
    }

    #[test]
    fn damage_to_any_byte_is_noticed() {
        let keys = keys();
        let place = Place { object: ObjectId(7), field: "password" };
        let sealed = keys.seal("s3cret", place).unwrap();
        for index in 0..sealed.len() {
            let mut bad = sealed.clone();
            bad[index] ^= 1;
            assert!(keys.open(&bad, place).is_err(), "byte {index}");
        }
        for length in 0..sealed.len() {
            assert!(keys.open(&sealed[..length], place).is_err(), "length {length}");
        }
    }

    #[test]
    fn an_unchanged_value_exports_unchanged() {
        let keys = keys();
        let text = keys.export("s3cret", "home/web01", "password").unwrap();
        assert_eq!(text, keys.export("s3cret", "home/web01", "password").unwrap());
        assert_ne!(text, keys.export("s3cret", "home/web02", "password").unwrap());
        assert_eq!(**keys.import(&text).as_ref().unwrap(), *"s3cret");
        assert!(Keys::from_text("another-key").import(&text).is_none());
        assert!(keys.import("kfs1$").is_none());
        assert!(keys.import(&format!("{text}$x")).is_none());
    }
}

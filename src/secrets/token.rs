//! API tokens and generated passwords.

use kompira_schema::error::Fault;
use zeroize::Zeroizing;

/// Random bytes of a token (documented form: 40 digits).
const TOKEN_BYTES: usize = 20;
/// Random bytes of the secret of a login.
const SESSION_BYTES: usize = 32;
/// No `0O1lI`: a person copies these from a screen.
const PASSWORD_ALPHABET: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz23456789";
/// Characters of a generated password: 20 of 56 give 116 bits.
const PASSWORD_CHARS: usize = 20;

/// Makes a token: 40 hexadecimal digits. It is shown once; the store keeps its keyed hash
/// ([`super::Keys::token_hash`]).
///
/// # Errors
/// [`kompira_schema::error::Kind::Internal`] when the system gives no random bytes.
pub fn generate() -> Result<Zeroizing<String>, Fault> {
    digits::<TOKEN_BYTES>()
}

/// Makes the secret of a login session: 64 hexadecimal digits.
///
/// # Errors
/// As [`generate`].
pub fn generate_session() -> Result<Zeroizing<String>, Fault> {
    digits::<SESSION_BYTES>()
}

fn digits<const BYTES: usize>() -> Result<Zeroizing<String>, Fault> {
    let mut bytes = Zeroizing::new([0; BYTES]);
    getrandom::fill(&mut *bytes).map_err(Fault::internal)?;
    Ok(Zeroizing::new(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
}

/// Makes a password for a first login.
///
/// # Errors
/// As [`generate`].
pub fn generate_password() -> Result<Zeroizing<String>, Fault> {
    random_text(PASSWORD_ALPHABET, PASSWORD_CHARS)
}

/// Draws `count` characters of `alphabet`, each equally likely.
pub(super) fn random_text(alphabet: &[u8], count: usize) -> Result<Zeroizing<String>, Fault> {
    // Bytes from the largest multiple of the alphabet's size up are thrown away: no bias.
    let limit = 256 - 256 % alphabet.len();
    let mut text = Zeroizing::new(String::with_capacity(count));
    let mut bytes = Zeroizing::new([0u8; 64]);
    while text.len() < count {
        getrandom::fill(&mut *bytes).map_err(Fault::internal)?;
        let usable = bytes.iter().map(|&byte| usize::from(byte)).filter(|&byte| byte < limit);
        let letters = usable.filter_map(|byte| alphabet.get(byte % alphabet.len()));
        let missing = count - text.len();
        text.extend(letters.take(missing).map(|&letter| char::from(letter)));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_40_hexadecimal_digits_and_never_the_same() {
        let (one, two) = (generate().unwrap(), generate().unwrap());
        assert_eq!(one.len(), 40);
        assert_eq!(generate_session().unwrap().len(), 64);
        assert!(one.chars().all(|c| c.is_ascii_hexdigit()));
        assert_ne!(*one, *two);
    }

    #[test]
    fn a_generated_password_has_no_look_alikes() {
        let password = generate_password().unwrap();
        assert_eq!(password.len(), PASSWORD_CHARS);
        assert!(!password.contains(['0', 'O', '1', 'l', 'I']));
    }
}

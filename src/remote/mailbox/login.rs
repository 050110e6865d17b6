//! The words of logging in that both protocols share.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::Md5;
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use super::{Account, Trouble};

/// The secret of an account; none is an empty one.
pub(super) fn secret(account: &Account) -> &str {
    account.secret.as_ref().map_or("", SecretString::expose_secret)
}

/// The answer to a challenge of CRAM-MD5 (RFC 2195), both in base64.
pub(super) fn cram_md5(account: &Account, challenge: &[u8]) -> Result<Zeroizing<String>, Trouble> {
    let bad = || Trouble::Broken("the mail server's challenge cannot be read".to_owned());
    let challenge = STANDARD.decode(challenge.trim_ascii()).map_err(|_| bad())?;
    let mut mac = Hmac::<Md5>::new_from_slice(secret(account).as_bytes()).map_err(|_| bad())?;
    mac.update(&challenge);
    let digest: String =
        mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Zeroizing::new(STANDARD.encode(format!("{} {digest}", account.user))))
}

/// What XOAUTH2 sends, in base64.
pub(super) fn xoauth2(account: &Account) -> Zeroizing<String> {
    let user = &account.user;
    let words = format!("user={user}\x01auth=Bearer {}\x01\x01", secret(account));
    Zeroizing::new(STANDARD.encode(Zeroizing::new(words).as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::super::{Mode, Protocol};
    use super::*;

    // rule: operations/mail-channels
    #[test]
    fn the_answer_to_a_challenge_is_that_of_the_standard() {
        let account = Account {
            protocol: Protocol::Imap,
            host: String::new(),
            port: None,
            tls: false,
            user: "tim".into(),
            secret: Some("tanstaaftanstaaf".to_owned().into()),
            oauth2: false,
            timeout: None,
            folder: String::new(),
            mode: Mode::AllAndDelete,
        };
        let challenge = b"PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+";
        let answer = cram_md5(&account, challenge).unwrap();
        assert_eq!(*answer, "dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw");
        assert!(matches!(cram_md5(&account, b"???"), Err(Trouble::Broken(_))));
        let told = STANDARD.decode(xoauth2(&account).as_bytes()).unwrap();
        assert_eq!(told, b"user=tim\x01auth=Bearer tanstaaftanstaaf\x01\x01");
    }
}

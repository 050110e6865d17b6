//! What others said, for people: without the secrets that they were told (rule:
//! `operations/mail-oauth2`).

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

/// Most characters of what somebody said that are shown.
const SHOWN_MAX: usize = 300;

/// What addresses leave as it is.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Fewer characters of base64 may be anything.
const BASE64_MIN: usize = 6;

/// One short line without control characters and secrets, also where these are encoded for an
/// address, or in base64 alone or amid other text.
#[must_use]
pub fn line(text: &str, secrets: &[&SecretString]) -> String {
    let mut text = Zeroizing::new(text.to_owned());
    for form in secrets.iter().flat_map(|secret| forms(secret.expose_secret())) {
        if text.contains(form.as_str()) {
            text = Zeroizing::new(text.replace(form.as_str(), "***"));
        }
    }
    text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN_MAX).collect()
}

fn forms(secret: &str) -> Vec<Zeroizing<String>> {
    if secret.is_empty() {
        return Vec::new();
    }
    let mut forms = vec![Zeroizing::new(secret.to_owned())];
    for set in [NON_ALPHANUMERIC, UNRESERVED] {
        let upper = Zeroizing::new(utf8_percent_encode(secret, set).to_string());
        forms.push(lower_hex(&upper));
        forms.push(Zeroizing::new(upper.replace("%20", "+")));
        forms.push(Zeroizing::new(lower_hex(&upper).replace("%20", "+")));
        forms.push(upper);
    }
    for before in 0..3 {
        let mut bytes = Zeroizing::new(vec![0; before]);
        bytes.extend_from_slice(secret.as_bytes());
        // Characters that depend on nothing but the secret.
        let (start, end) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
        for engine in [STANDARD, URL_SAFE] {
            let encoded = Zeroizing::new(engine.encode(&*bytes));
            let inside = encoded.get(start..end).filter(|text| text.len() >= BASE64_MIN);
            forms.extend(inside.map(|text| Zeroizing::new(text.to_owned())));
        }
    }
    forms
}

/// `%2F` as `%2f`.
fn lower_hex(text: &str) -> Zeroizing<String> {
    let mut digits = 0;
    let lowered = text.chars().map(|c| {
        let is_digit = digits > 0;
        digits = if c == '%' { 2 } else { digits - i32::from(is_digit) };
        if is_digit { c.to_ascii_lowercase() } else { c }
    });
    Zeroizing::new(lowered.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    // rule: operations/mail-oauth2
    #[test]
    fn secrets_are_hidden_in_any_form() {
        let secret = SecretString::from("to/ken +of~the.test==".to_owned());
        let plain = secret.expose_secret();
        for said in [
            plain.to_owned(),
            "to%2Fken%20%2Bof~the.test%3D%3D".into(),
            "to%2fken+%2bof~the.test%3d%3d".into(),
            "to%2Fken%20%2Bof%7Ethe%2Etest%3D%3D".into(),
        ] {
            assert_eq!(line(&format!("<{said}>\r\n"), &[&secret]), "<***>", "{said}");
        }
        for before in ["", "a", "ab", "user=tim\x01auth=Bearer "] {
            for engine in [STANDARD, URL_SAFE] {
                let encoded = engine.encode(format!("{before}{plain}\x01\x01"));
                let told = line(&encoded, &[&secret]);
                let alone = engine.encode(&plain[3..plain.len() - 3]);
                assert!(told.contains("***") && told.len() <= encoded.len() - 24, "{told}");
                assert!(!told.contains(alone.trim_end_matches('=')), "{told}");
            }
        }
        let empty = SecretString::from(String::new());
        assert_eq!(line("a b", &[&empty]), "a b");
        assert_eq!(line(&"x".repeat(1_000), &[&secret]).len(), SHOWN_MAX);
    }
}

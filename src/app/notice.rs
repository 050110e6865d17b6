//! What the server says when it stands.

use std::fmt::Write as _;

/// What there is to say.
#[derive(Debug, Clone, Default)]
pub struct Notice {
    /// Base URL.
    pub url: String,
    /// Data directory.
    pub data: String,
    /// Mount points.
    pub mounts: Vec<String>,
    /// Generated password of `root`, on the first start.
    pub password: Option<String>,
}

/// The text of the first screen.
#[must_use]
pub fn welcome(notice: &Notice) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        // Writing to a String does not fail.
        let _ = writeln!(text, "  {name:<9} {value}");
    };
    line("URL", &notice.url);
    line("data", &notice.data);
    for mount in &notice.mounts {
        line("mount", mount);
    }
    if let Some(password) = &notice.password {
        line("login", &format!("root / {password}   (shown this once)"));
    }
    let data = quoted(&notice.data);
    let first = match notice.mounts.first() {
        Some(mount) => format!("ls {}", quoted(&format!("{mount}/root"))),
        None => format!("kompira status --data {data}"),
    };
    format!(
        "\nkompira is ready.\n\n{text}\nTry, in another terminal:\n\n  {first}\n  \
         T=$(kompira token create root --data {data})\n  \
         curl -H \"Authorization: Token $T\" \"{}/root?format=json\"\n\nCtrl-C stops it.\n",
        notice.url
    )
}

/// Quotes a word for a shell if it needs that.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_screen_shows_url_data_mount_and_three_lines_to_try() {
        let text = welcome(&Notice {
            url: "http://127.0.0.1:8080".into(),
            data: "/srv/it's here".into(),
            mounts: vec!["/mnt/k".into()],
            password: Some("correct horse".into()),
        });
        for part in [
            "http://127.0.0.1:8080\n",
            "/mnt/k\n",
            "root / correct horse",
            "  ls /mnt/k/root\n",
            r"--data '/srv/it'\''s here')",
            "\"http://127.0.0.1:8080/root?format=json\"\n",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}

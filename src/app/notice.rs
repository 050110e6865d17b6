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
    /// A token of `root`.
    pub token: Option<String>,
    /// The example that was run, and what it printed.
    pub example: Option<(String, String)>,
    /// Directory of the program, when a shell does not find it.
    pub program: Option<String>,
}

/// The text of the first screen.
#[must_use]
pub fn welcome(notice: &Notice) -> String {
    let mut text = String::new();
    // Writing to a String does not fail.
    if let Some((path, console)) = &notice.example {
        let _ = writeln!(text, "\nThe examples are loaded. {path} printed:\n");
        for line in console.lines() {
            let _ = writeln!(text, "  | {line}");
        }
    }
    let _ = writeln!(text, "\nkompira is ready.\n");
    let mut line = |name: &str, value: &str| {
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
    if let Some(token) = &notice.token {
        line("token", token);
    }
    let _ = writeln!(text, "\nTry, in another terminal:\n");
    for line in lines(notice) {
        let _ = writeln!(text, "  {line}");
    }
    let _ = writeln!(text, "\nCtrl-C stops it.");
    text
}

/// What to set up, then three lines to try.
fn lines(notice: &Notice) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(program) = &notice.program {
        lines.push(format!("export PATH=$PATH:{}", quoted(program)));
    }
    lines.push(format!("export KOMPIRA_DATA={}", quoted(&notice.data)));
    let below = if notice.example.is_some() { "root/examples" } else { "root" };
    lines.push(match notice.mounts.first() {
        Some(mount) => format!("ls -la {}", quoted(&format!("{mount}/{below}"))),
        None => "kompira status".to_owned(),
    });
    if let Some((path, _)) = &notice.example {
        lines.push(format!("kompira run {path}"));
    }
    let token = match &notice.token {
        Some(token) => token.clone(),
        None => "$(kompira token create root)".to_owned(),
    };
    lines.push(format!(
        "curl -H \"Authorization: Token {token}\" \"{}/{below}?format=json\"",
        notice.url
    ));
    lines
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

    // rule: operations/serve
    #[test]
    fn the_first_screen_shows_url_data_mount_and_lines_to_try() {
        let mut notice = Notice {
            url: "http://127.0.0.1:8080".into(),
            data: "/srv/it's here".into(),
            mounts: vec!["/mnt/k".into()],
            password: Some("correct-horse".into()),
            ..Notice::default()
        };
        let text = welcome(&notice);
        for part in [
            "URL       http://127.0.0.1:8080\n",
            "mount     /mnt/k\n",
            "root / correct-horse",
            "  ls -la /mnt/k/root\n",
            r"export KOMPIRA_DATA='/srv/it'\''s here'",
            "Token $(kompira token create root)\" \"http://127.0.0.1:8080/root?format=json\"\n",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        notice.token = Some("abc".into());
        notice.example = Some(("/root/examples/x".into(), "one\ntwo\n".into()));
        let text = welcome(&notice);
        assert!(text.contains("  | one\n  | two\n"), "{text}");
        assert!(text.contains("kompira run /root/examples/x\n"), "{text}");
        assert!(text.contains("Token abc\""), "{text}");
    }
}

//! The address of a remote repository, without its secrets (rule: `tree/repository-address`).

use std::path::Path;

use kompira_schema::error::{Fault, Problem};
use kompira_schema::message;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use zeroize::Zeroizing;

/// Transports that git may use; everything else, as `ext::`, is refused.
pub(super) const SCHEMES: [&str; 5] = ["http", "https", "ssh", "git", "file"];

/// What may stand in the user's part of a URL as it is.
const USER: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Most characters of an address.
const CHARS_MAX: usize = 4096;

/// What a Repository object says about its remote side.
#[derive(Debug, Default)]
pub(super) struct Given<'a> {
    pub(super) url: &'a str,
    pub(super) port: Option<u16>,
    pub(super) username: &'a str,
    pub(super) password: &'a str,
}

/// Where to, as git is told.
#[derive(PartialEq, Eq)]
pub(super) struct Remote {
    /// Without a password.
    pub(super) url: String,
    /// Port of the short form, which has no place for one.
    pub(super) port: Option<u16>,
    pub(super) username: String,
    /// Empty: none.
    pub(super) password: Zeroizing<String>,
}

impl Remote {
    /// Whether it is a path of this machine.
    pub(super) fn is_file(&self) -> bool {
        self.url.starts_with("file://")
    }

    /// Whether it is asked over the web, where git wants user and password.
    pub(super) fn is_web(&self) -> bool {
        self.url.starts_with("http")
    }
}

/// Checks an address and takes user, password and port apart from it. The fields of the object
/// count more than what the URL says.
///
/// # Errors
/// A validation failure of `URL`.
pub(super) fn read(given: &Given<'_>) -> Result<Remote, Fault> {
    let url = given.url;
    let odd = |c: char| c.is_control() || c.is_whitespace();
    if url.is_empty() || url.chars().count() > CHARS_MAX || url.contains(odd) {
        return Err(bad());
    }
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let scheme = scheme.to_ascii_lowercase();
            if !SCHEMES.contains(&scheme.as_str()) {
                return Err(bad());
            }
            if scheme == "file" { file(given, rest) } else { full(given, &scheme, rest) }
        }
        None => short(given),
    }
}

/// `file:///srv/flows.git`.
fn file(given: &Given<'_>, rest: &str) -> Result<Remote, Fault> {
    let path = rest.strip_prefix("localhost").unwrap_or(rest);
    if !path.starts_with('/') {
        return Err(bad());
    }
    Ok(Remote {
        url: format!("file://{path}"),
        port: None,
        username: given.username.to_owned(),
        // Nobody asks for it, but nothing must tell it either.
        password: Zeroizing::new(given.password.to_owned()),
    })
}

/// `https://user:password@host:port/path` and its like.
fn full(given: &Given<'_>, scheme: &str, rest: &str) -> Result<Remote, Fault> {
    let (place, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (account, host) = place.rsplit_once('@').unwrap_or(("", place));
    let (user, password) = account.split_once(':').unwrap_or((account, ""));
    let clear = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let (host, port) = match host.rsplit_once(':') {
        // A colon within brackets belongs to an IPv6 address.
        Some((host, port)) if !port.contains(']') => {
            (host, Some(port.parse::<u16>().map_err(|_| bad())?))
        }
        _ => (host, None),
    };
    if !is_host(host) {
        return Err(bad());
    }
    let username = pick(given.username, clear(user));
    let password = Zeroizing::new(pick(given.password, clear(password)));
    let port = given.port.or(port).filter(|&port| port > 0);
    let mut url = format!("{scheme}://");
    // A web server asks; the user may be a token, which nobody must read in the URL.
    if !username.is_empty() && scheme == "ssh" {
        url.extend([&utf8_percent_encode(&username, USER).to_string(), "@"]);
    }
    url.push_str(host);
    if let Some(port) = port {
        url.push_str(&format!(":{port}"));
    }
    url.push_str(path);
    Ok(Remote { url, port: None, username, password })
}

/// `user@host:path`, over ssh.
fn short(given: &Given<'_>) -> Result<Remote, Fault> {
    let (place, path) = given.url.split_once(':').ok_or_else(bad)?;
    let (user, host) = place.rsplit_once('@').ok_or_else(bad)?;
    let user = pick(given.username, user.to_owned());
    let plain = |text: &str| {
        !text.is_empty() && !text.starts_with('-') && !text.contains(['/', '@', ':', '\\', '\''])
    };
    if !plain(&user) || !is_host(host) || path.is_empty() || path.starts_with([':', '-']) {
        return Err(bad());
    }
    Ok(Remote {
        url: format!("{user}@{host}:{path}"),
        port: given.port.filter(|&port| port > 0),
        username: user,
        password: Zeroizing::new(given.password.to_owned()),
    })
}

fn pick(field: &str, url: String) -> String {
    if field.is_empty() { url } else { field.to_owned() }
}

fn is_host(host: &str) -> bool {
    let legal = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']');
    !host.is_empty() && !host.starts_with('-') && host.chars().all(legal)
}

fn bad() -> Fault {
    let message = message!("git.bad_url", schemes = SCHEMES.join(", "));
    Fault::invalid(vec![Problem { at: "URL".into(), message }])
}

/// A URL without its account: another account is the same repository.
pub(super) fn without_account(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.split_once('@').map_or(url, |(_, rest)| rest).to_owned();
    };
    let (place, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = place.rsplit_once('@').map_or(place, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

/// Whether an address leads into this directory of this machine. git undoes the escapes of a URL,
/// and tries some names besides.
pub(super) fn is_within(url: &str, dir: &Path) -> bool {
    let Some(path) = url.strip_prefix("file://") else { return false };
    let Ok(dir) = dir.canonicalize() else { return false };
    let plain = percent_decode_str(path).decode_utf8_lossy();
    [path, &plain].into_iter().any(|path| {
        ["", ".git", "/.git", ".git/.git"].into_iter().any(|end| {
            let found = Path::new(&format!("{path}{end}")).canonicalize();
            found.is_ok_and(|found| found.starts_with(&dir))
        })
    })
}

/// Takes secrets out of what git says: the password, as it is and as a URL writes it, and whatever
/// stands before the `@` of a URL of the web, or of another with a colon there.
pub(super) fn redact(text: &str, password: &str) -> String {
    const MASK: &str = "***";
    let mut text = text.to_owned();
    if !password.is_empty() {
        let escaped = utf8_percent_encode(password, USER).to_string();
        for secret in [password, escaped.as_str()] {
            text = text.replace(secret, MASK);
        }
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once("://") {
        out.extend([before, "://"]);
        let before = before.to_ascii_lowercase();
        let web = before.ends_with("http") || before.ends_with("https");
        let end = after.find(['/', ' ', '\'', '"', '\n']).unwrap_or(after.len());
        let (place, tail) = after.split_at(end);
        match place.rsplit_once('@') {
            // The user may be a token.
            Some((_, host)) if web => out.extend([MASK, "@", host]),
            Some((account, host)) if account.contains(':') => {
                let user = account.split(':').next().unwrap_or_default();
                out.extend([user, ":", MASK, "@", host]);
            }
            _ => out.push_str(place),
        }
        rest = tail;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(url: &str) -> Given<'_> {
        Given { url, ..Given::default() }
    }

    // rule: tree/repository-address
    #[test]
    fn only_known_transports_are_taken() {
        for url in [
            "https://host/flows.git",
            "http://host:8080/flows.git",
            "ssh://git@host/flows.git",
            "git://host/flows.git",
            "file:///srv/flows.git",
            "git@host:flows.git",
            "git@host:/srv/flows.git",
            "ssh://git@[::1]:22/flows.git",
        ] {
            assert_eq!(read(&given(url)).map_err(drop).unwrap().url, url);
        }
        for url in [
            "",
            "ext::sh -c id",
            "ext::sh",
            "fd::17",
            "ftp://host/x",
            "file://host/x",
            "file:x",
            "/srv/flows.git",
            "../flows.git",
            "-oProxyCommand=id",
            "--upload-pack=id",
            "git@-oProxyCommand=id:x",
            "-x@host:y",
            "git@host::x",
            "git@host:-x",
            "ssh://-oProxyCommand=id/x",
            "https://ho st/x",
            "https://host/x\ny",
            "https://",
            "https://host:port/x",
        ] {
            assert!(read(&given(url)).is_err(), "{url}");
        }
    }

    // rule: tree/repository-address
    #[test]
    fn fields_count_more_than_the_url_and_a_password_never_stays_in_it() {
        let read = |given: &Given<'_>| read(given).map_err(drop).unwrap();
        let found = read(&given("https://sato:se%2Fcret@host/x.git"));
        assert_eq!(found.url, "https://host/x.git");
        assert_eq!((found.username.as_str(), found.password.as_str()), ("sato", "se/cret"));
        let found = read(&Given {
            url: "https://sato:old@host:1/x.git",
            port: Some(8443),
            username: "ab c",
            password: "new",
        });
        assert_eq!(found.url, "https://host:8443/x.git");
        assert_eq!((found.username.as_str(), found.password.as_str()), ("ab c", "new"));
        let found = read(&Given { username: "ab c", ..given("https://host/x.git") });
        assert_eq!((found.url.as_str(), found.username.as_str()), ("https://host/x.git", "ab c"));
        let found = read(&given("https://token-4711@host/x.git"));
        assert_eq!(
            (found.url.as_str(), found.username.as_str()),
            ("https://host/x.git", "token-4711")
        );
        let found = read(&Given { username: "ab c", ..given("ssh://host/x.git") });
        assert_eq!(found.url, "ssh://ab%20c@host/x.git");
        let found = read(&Given { password: "x", ..given("ssh://git@host/x.git") });
        assert_eq!(found.url, "ssh://git@host/x.git");
        let short = Given { port: Some(2222), ..given("git@host:x.git") };
        let found = read(&short);
        assert_eq!((found.url.as_str(), found.port), ("git@host:x.git", Some(2222)));
        let found = read(&Given { port: Some(0), ..given("https://host/x") });
        assert_eq!(found.url, "https://host/x");
    }

    // rule: tree/repository-secrets
    #[test]
    fn what_git_says_tells_no_secret() {
        let said = "fatal: unable to access 'https://sato:p%40ss@host/x/': p@ss p%40ss";
        assert_eq!(redact(said, "p@ss"), "fatal: unable to access 'https://***@host/x/': *** ***");
        assert_eq!(redact("ssh://u:other@h/x and y@z", ""), "ssh://u:***@h/x and y@z");
        assert_eq!(
            redact("'HTTPS://token@h': ssh://git@h/x", ""),
            "'HTTPS://***@h': ssh://git@h/x"
        );
        assert_eq!(redact("no secret", ""), "no secret");
    }

    // rule: tree/repository
    #[test]
    fn another_account_is_the_same_repository() {
        for (url, bare) in [
            ("https://sato@host/x.git", "https://host/x.git"),
            ("https://host/a@b/x.git", "https://host/a@b/x.git"),
            ("ssh://git@host:22/a@b", "ssh://host:22/a@b"),
            ("file:///srv/a@b/x.git", "file:///srv/a@b/x.git"),
            ("git@host:a@b", "host:a@b"),
        ] {
            assert_eq!(without_account(url), bare);
        }
    }

    // rule: tree/repository-address
    #[test]
    fn a_path_is_looked_at_as_git_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        std::fs::create_dir_all(data.join("x/.git")).unwrap();
        std::fs::create_dir_all(dir.path().join("out")).unwrap();
        std::os::unix::fs::symlink(data.join("x"), dir.path().join("link.git")).unwrap();
        let asked =
            |path: &str| is_within(&format!("file://{}/{path}", dir.path().display()), &data);
        for path in ["data", "data/x", "out/../data/x", "d%61ta/x", "link.git", "link"] {
            assert!(asked(path), "{path}");
        }
        for path in ["out", "nowhere"] {
            assert!(!asked(path), "{path}");
        }
        assert!(!is_within("https://host/data/x", &data));
    }
}

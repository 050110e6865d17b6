//! Providers of the tests' own.

use super::*;
use crate::remote::trial::{Authority, Giver, wait};

fn provider(token_endpoint: &str) -> Provider {
    Provider {
        client_id: "kompira & co".into(),
        client_secret: Some("client-secret".to_owned().into()),
        token_endpoint: token_endpoint.to_owned(),
    }
}

fn refresh(token_endpoint: &str) -> Result<Tokens, String> {
    let token = "refresh-1".to_owned().into();
    let grant = Grant::Refresh(&token);
    wait(ask(&Network::default(), &provider(token_endpoint), grant))
}

/// What a provider that answers so gives.
fn given(status: u16, body: &str) -> Result<Tokens, String> {
    let body = body.to_owned();
    refresh(&Giver::start(move |_| (status, body.clone())).url())
}

// rule: operations/mail-oauth2
#[test]
fn a_refresh_token_gets_an_access_token() {
    let giver = Giver::start(|_| {
        let body = r#"{"access_token":"a-2","refresh_token":"r-2","expires_in":"120"}"#;
        (200, body.to_owned())
    });
    let tokens = refresh(&giver.url()).unwrap();
    assert_eq!(tokens.access.expose_secret(), "a-2");
    assert_eq!(tokens.refresh.unwrap().expose_secret(), "r-2");
    assert_eq!(tokens.lasts, Duration::from_secs(120));
    let heard = giver.heard();
    let mut form: Vec<_> = heard[0].iter().map(|(name, text)| format!("{name}={text}")).collect();
    form.sort();
    let wanted = [
        "client_id=kompira & co",
        "client_secret=client-secret",
        "grant_type=refresh_token",
        "refresh_token=refresh-1",
    ];
    assert_eq!(form, wanted);
}

// rule: operations/mail-oauth2
#[test]
fn what_a_provider_leaves_out_is_made_up_for() {
    for (more, lasts) in [
        ("", LASTS),
        (r#","expires_in":30.5"#, Duration::from_millis(30_500)),
        (r#","expires_in":-1"#, Duration::ZERO),
        (r#","expires_in":1e300"#, LASTS_MAX),
        (r#","expires_in":"soon""#, LASTS),
    ] {
        let tokens = given(200, &format!(r#"{{"access_token":"a","token_type":"Bearer"{more}}}"#));
        let tokens = tokens.unwrap();
        assert_eq!(tokens.lasts, lasts, "{more}");
        assert!(tokens.refresh.is_none());
    }
}

// rule: operations/mail-oauth2
#[test]
fn a_provider_that_gives_nothing_says_why_without_secrets() {
    let long = format!(r#"{{"access_token":"{}"}}"#, "x".repeat(ANSWER_BYTES_MAX));
    for (status, body, why) in [
        (400, r#"{"error":"invalid_grant"}"#, "invalid_grant"),
        (
            401,
            r#"{"error":"no","error_description":"refresh-1 of\nclient-secret is void"}"#,
            "no (*** of *** is void)",
        ),
        (200, "<html>", "its answer (status 200) cannot be read"),
        (200, "{}", "its answer holds no access token"),
        (200, r#"{"access_token":"a\r\nb"}"#, "its answer holds no access token"),
        (200, r#"{"access_token":"a","token_type":"mac"}"#, "its token is of an unknown type"),
        (200, r#"{"access_token":"a","refresh_token":"b c"}"#, "its refresh token cannot be used"),
        (500, r#"{"access_token":"a"}"#, "it answers with status 500"),
        (307, "", "it answers with a redirect"),
        (200, &long, "its answer is longer than 256 KB"),
    ] {
        let told = given(status, body).unwrap_err();
        assert_eq!(told, format!("the OAuth2 provider gives no token: {why}"));
    }
}

// rule: operations/mail-oauth2
#[test]
fn secrets_leave_this_machine_encrypted_or_not_at_all() {
    for (url, why) in [
        ("http://mail.example.com/token", "https://"),
        ("ftp://127.0.0.1/token", "https://"),
        ("", "no token_endpoint"),
        ("token", "token_endpoint: "),
    ] {
        let told = refresh(url).unwrap_err();
        assert!(told.contains(why), "{told}");
    }
    assert!(endpoint("http://[::1]:1/token").is_ok());
    assert!(endpoint("https://mail.example.com/token").is_ok());
    let giver = Giver::start(|_| (200, r#"{"access_token":"a"}"#.to_owned()));
    let (known, unknown) = (Authority::new(), Authority::new());
    let port = known.front("127.0.0.1", giver.port);
    let provider = provider(&format!("https://127.0.0.1:{port}/token"));
    let token = "refresh-1".to_owned().into();
    wait(ask(&known.network(), &provider, Grant::Refresh(&token))).unwrap();
    let told = wait(ask(&unknown.network(), &provider, Grant::Refresh(&token))).unwrap_err();
    assert!(told.contains("signed by no authority"), "{told}");
    assert_eq!(giver.heard().len(), 1);
}

// rule: http/oauth2
#[test]
fn the_address_to_approve_at_keeps_what_the_endpoint_asks_for() {
    let scope = ["https://mail.example.com/".to_owned(), "offline_access".to_owned()];
    // Verifier and challenge of RFC 7636, appendix B.
    let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".to_owned().into();
    let mut approval = Approval {
        auth_endpoint: "https://example.com/auth?prompt=consent#top",
        client_id: "me & you",
        redirect: "http://localhost:8080/-/oauth2",
        scope: &scope,
        state: "abc",
        verifier: &verifier,
    };
    assert_eq!(
        approval.url().unwrap(),
        "https://example.com/auth?prompt=consent&response_type=code&client_id=me+%26+you\
         &redirect_uri=http%3A%2F%2Flocalhost%3A8080%2F-%2Foauth2\
         &scope=https%3A%2F%2Fmail.example.com%2F+offline_access&state=abc\
         &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256"
    );
    for bad in ["", "javascript:alert(1)", "mailto:x@example.com", "/auth"] {
        approval.auth_endpoint = bad;
        assert!(approval.url().is_err(), "{bad}");
    }
}

// rule: http/oauth2
#[test]
fn the_address_that_a_browser_was_sent_back_to_is_read() {
    for text in
        ["http://localhost/?code=a%2Fb&state=s#x", " ?state=s&code=a%2Fb ", "state=s&code=a%2Fb"]
    {
        let returned = Returned::read(text);
        assert_eq!(returned.state.as_deref(), Some("s"), "{text}");
        assert_eq!(returned.code.unwrap().expose_secret(), "a/b");
        assert_eq!(returned.error, None);
    }
    assert_eq!(Returned::read("http://x/?error=denied").error.as_deref(), Some("denied"));
}

//! What goes back: JSON, failures, headers (rule: http/errors).

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use kompira_schema::error::{Fault, Kind, Message, Problem};
use serde_json::{Map, Value as Json};

use super::table::Act;

/// Header by which a client of ours asks for code and full message of a failure.
pub const CLIENT_HEADER: &str = "x-kompira-client";
/// Header that carries the code of a failure, as in `KF1004`.
pub const CODE_HEADER: &str = "x-kompira-code";
/// Seconds after which an overloaded server may be asked again.
const RETRY_SECONDS: u64 = 2;

/// Why a request failed.
#[derive(Debug, Clone)]
pub enum Failure {
    /// As the one failure table has it.
    Fault(Fault),
    /// The resource does not take this verb; which it takes.
    Verb(Vec<Act>),
    /// No form of the answer suits the client.
    NotAcceptable,
    /// The body is no JSON by its content type.
    NotJson,
    /// Validation of a request, by field.
    Fields(Vec<(String, String)>),
    /// There is no such page of the list.
    Page,
    /// The token is unknown or malformed.
    Token,
    /// The user is inactive or gone.
    Inactive,
    /// User name or password is wrong, or too many were wrong before.
    Login,
    /// A login by cookie wants to change something without the token that only our pages know.
    Csrf,
    /// Who began an approval is not logged in where it ends.
    NotHere,
    /// Too many requests; the seconds after which there is room again.
    Rate(u64),
    /// What failed is this one of several operations, from 0.
    Operation(usize, Box<Self>),
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl Failure {
    /// One problem of one field.
    #[must_use]
    pub fn field(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self::Fields(vec![(name.into(), text.into())])
    }

    /// The same of one of several operations.
    #[must_use]
    pub fn of_operation(self, at: usize) -> Self {
        Self::Operation(at, Box::new(self))
    }

    /// The status of the answer.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Fault(fault) => StatusCode::from_u16(fault.kind().status())
                .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            Self::Verb(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
            Self::NotJson => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Fields(_) => StatusCode::BAD_REQUEST,
            Self::Page => StatusCode::NOT_FOUND,
            Self::Token | Self::Inactive | Self::Login | Self::NotHere => StatusCode::UNAUTHORIZED,
            Self::Csrf => StatusCode::FORBIDDEN,
            Self::Rate(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Operation(_, inner) => inner.status(),
        }
    }

    fn body(&self, full: bool) -> Map<String, Json> {
        match self {
            Self::Fault(fault) => fault_body(fault, full),
            Self::Verb(_) => detail("Method not allowed."),
            Self::NotAcceptable => detail("Could not satisfy the request Accept header."),
            Self::NotJson => detail("Send JSON with the content type application/json."),
            Self::Fields(fields) => by_field(fields.iter().cloned()),
            Self::Page => detail("Invalid page."),
            Self::Token => detail("Invalid token."),
            Self::Inactive => detail("User inactive or deleted."),
            Self::Login => detail("Wrong user name or password."),
            Self::Csrf => detail("CSRF Failed: CSRF token missing or incorrect."),
            Self::NotHere => detail(&text(&kompira_schema::message!("oauth2.not_here"))),
            Self::Rate(_) => detail("Too many requests."),
            Self::Operation(at, inner) => {
                let mut body = inner.body(full);
                body.insert("operation".to_owned(), (*at).into());
                body
            }
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Fault(fault) => fault.kind().code(),
            Self::Verb(_) => Kind::NoMethod.code(),
            Self::Fields(_) => Kind::Invalid.code(),
            Self::Page => Kind::NotFound.code(),
            Self::Token | Self::Inactive | Self::Login | Self::NotHere => {
                Kind::Unauthenticated.code()
            }
            Self::Csrf => Kind::Denied.code(),
            Self::Rate(_) => Kind::TooMany.code(),
            Self::NotAcceptable | Self::NotJson => Kind::BadRequest.code(),
            Self::Operation(_, inner) => inner.code(),
        }
    }

    /// Body and headers. `full` adds code and message, for clients of ours.
    #[must_use]
    pub fn answer(&self, full: bool) -> Response {
        let code = self.code();
        let mut body = self.body(full);
        if full {
            body.insert("code".into(), code.into());
        }
        let status = self.status();
        let mut response = json(status, &Json::Object(body));
        let headers = response.headers_mut();
        headers.insert(CODE_HEADER, HeaderValue::from_static(code));
        if let Self::Verb(verbs) = self {
            headers.insert(header::ALLOW, allow(verbs));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Token"));
        }
        if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
            let seconds = match self {
                Self::Rate(seconds) => *seconds,
                _ => RETRY_SECONDS,
            };
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// `GET, HEAD, OPTIONS` and the like.
#[must_use]
pub fn allow(verbs: &[Act]) -> HeaderValue {
    let mut words: Vec<&str> = Vec::new();
    for verb in verbs {
        words.push(verb.word());
        if *verb == Act::Get {
            words.push("HEAD");
        }
    }
    words.push("OPTIONS");
    HeaderValue::from_str(&words.join(", ")).unwrap_or(HeaderValue::from_static("OPTIONS"))
}

fn detail(text: &str) -> Map<String, Json> {
    Map::from_iter([("detail".to_owned(), Json::from(text))])
}

/// The key and the text of a problem. The key is the plain name of the field; a place inside the
/// value, `[2]` or `[key]`, begins the text.
pub(super) fn placed(problem: &Problem) -> (String, String) {
    let told = text(&problem.message);
    match problem.at.find('[') {
        Some(end) if end > 0 => {
            let (field, place) = problem.at.split_at(end);
            (field.to_owned(), format!("{place}: {told}"))
        }
        _ => (problem.at.clone(), told),
    }
}

fn by_field(fields: impl Iterator<Item = (String, String)>) -> Map<String, Json> {
    let mut body = Map::new();
    for (name, text) in fields {
        let name = if name.is_empty() { "non_field_errors".to_owned() } else { name };
        let list = body.entry(name).or_insert_with(|| Json::Array(Vec::new()));
        if let Json::Array(list) = list {
            list.push(Json::from(text));
        }
    }
    body
}

fn fault_body(fault: &Fault, full: bool) -> Map<String, Json> {
    let told = text(fault.told());
    if !fault.problems().is_empty() {
        let mut body = by_field(fault.problems().iter().map(placed));
        if full {
            body.insert("message".into(), told.into());
        }
        return body;
    }
    // What documented clients expect word for word.
    let documented = match fault.kind() {
        Kind::NotFound => Some("Not found."),
        Kind::Unauthenticated => Some("Authentication credentials were not provided."),
        Kind::Denied => Some("You do not have permission to perform this action."),
        Kind::Timeout => Some("Request timed out."),
        Kind::Internal => Some("Internal error."),
        _ => None,
    };
    let mut body = detail(documented.unwrap_or(&told));
    if full {
        body.insert("message".into(), told.into());
    }
    body
}

/// The English text of a message; the API speaks one language, pages and commands the reader's.
#[must_use]
pub fn text(message: &Message) -> String {
    kompira_schema::catalogue::render(message, kompira_schema::catalogue::Lang::En)
}

/// A JSON answer.
#[must_use]
pub fn json(status: StatusCode, body: &Json) -> Response {
    json_text(status, body.to_string().into())
}

/// A JSON answer that is rendered already.
#[must_use]
pub fn json_text(status: StatusCode, body: Bytes) -> Response {
    let mut response = (status, Body::from(body)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::VARY, HeaderValue::from_static("Accept, Cookie"));
    response
}

/// `204`.
#[must_use]
pub fn nothing() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use kompira_schema::error::Problem;
    use kompira_schema::message;

    async fn body(response: Response) -> String {
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    // rule: http/errors
    #[tokio::test]
    async fn documented_failures_answer_word_for_word() {
        for (kind, status, text) in [
            (Kind::NotFound, 404, "Not found."),
            (Kind::Unauthenticated, 401, "Authentication credentials were not provided."),
            (Kind::Denied, 403, "You do not have permission to perform this action."),
            (Kind::Timeout, 408, "Request timed out."),
        ] {
            let answer = Failure::from(Fault::new(kind, message!("internal"))).answer(false);
            assert_eq!(answer.status().as_u16(), status);
            assert_eq!(answer.headers()[CODE_HEADER], kind.code());
            assert_eq!(body(answer).await, format!(r#"{{"detail":"{text}"}}"#));
        }
        let secret = Fault::internal("the table of secrets is at /root");
        let answer = Failure::from(secret).answer(true);
        assert!(!body(answer).await.contains("secrets"));
    }

    // rule: http/errors
    #[tokio::test]
    async fn problems_stand_flat_under_their_fields() {
        let problem = |at: &str| Problem { at: at.into(), message: message!("internal") };
        let fault =
            Fault::invalid(vec![problem("name"), problem("job"), problem("name"), problem("")]);
        let answer = Failure::from(fault).answer(false);
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
        let body: Json = serde_json::from_str(&body(answer).await).unwrap();
        assert_eq!(body["name"].as_array().unwrap().len(), 2);
        assert_eq!(body["job"].as_array().unwrap().len(), 1);
        assert_eq!(body["non_field_errors"].as_array().unwrap().len(), 1);
        assert!(body.get("detail").is_none());
    }

    // rule: http/verbs
    #[test]
    fn a_refused_verb_says_which_are_taken() {
        let answer = Failure::Verb(vec![Act::Get, Act::Post]).answer(false);
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(answer.headers()[header::ALLOW], "GET, HEAD, POST, OPTIONS");
    }
}

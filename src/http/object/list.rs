//! `.children` and `.descendant` (rule: http/lists).

use axum::http::StatusCode;
use kompira_schema::error::Fault;
use kompira_schema::types::Container;
use serde_json::{Value as Json, json};

use super::render::{self, Want};
use crate::http::answer;
use crate::http::answer::Failure;
use crate::http::route::{Answer, Ask};
use crate::tree::query::{Explain, Found, Paged};

pub(in crate::http) fn list(ask: &Ask) -> Answer {
    let view = ask.service.tree.view();
    let id = view.resolve(&ask.target.path)?;
    // Reading the list needs read on where it starts.
    if !view.access(&ask.who, id)?.read {
        return Err(denied().into());
    }
    let deep = ask.target.method.as_deref() == Some("descendant");
    let (paged, number) = match view.type_of(id)?.container {
        Container::Any | Container::OfTypeIn(_) => super::find::find(ask, &view, id, deep)?,
        Container::No | Container::Virtual => {
            let number = ask.query.page()?.number(0, ask.query.page_size())?;
            let explain = Explain { source: "nothing".into(), examined: 0, sorted: false };
            let found = Found { ids: Vec::new(), total: 0 };
            (Paged { found, next: None, explain }, number)
        }
    };
    let want = Want::of(&ask.query);
    let found = &paged.found;
    let results = found.ids.iter().map(|&id| render::listed(&view, &ask.who, id, &want));
    let results = results.collect::<Result<_, _>>()?;
    let mut envelope = match ask.query.get("after") {
        None => envelope(ask, found.total, number, results),
        Some(_) => {
            let next = paged.next.as_deref();
            let next = next.map(|place| link(ask, &ask.query.with("after", place)));
            json!({"count": found.total, "next": next, "previous": null, "results": results})
        }
    };
    if ask.query.switch("explain")
        && let Some(envelope) = envelope.as_object_mut()
    {
        let Explain { source, examined, sorted } = &paged.explain;
        let told = json!({"source": source, "examined": examined, "sorted": sorted});
        envelope.insert("explain".into(), told);
    }
    Ok(answer::json(StatusCode::OK, &envelope))
}

fn link(ask: &Ask, query: &str) -> String {
    format!("{}{}?{query}", ask.base(), ask.raw_path)
}

fn denied() -> Fault {
    Fault::new(kompira_schema::error::Kind::Denied, kompira_schema::message!("http.denied_list"))
}

/// The envelope of a list (rule: http/paging).
pub(in crate::http) fn paged(
    ask: &Ask,
    count: usize,
    results: impl FnOnce(std::ops::Range<usize>) -> Result<Vec<Json>, Failure>,
) -> Result<Json, Failure> {
    let size = ask.query.page_size();
    let number = ask.query.page()?.number(count, size)?;
    let from = (number - 1).saturating_mul(size);
    let to = from.saturating_add(size).min(count);
    Ok(envelope(ask, count, number, results(from..to)?))
}

fn envelope(ask: &Ask, count: usize, number: usize, results: Vec<Json>) -> Json {
    let to = number.saturating_mul(ask.query.page_size());
    let link = |page: usize| link(ask, &ask.query.with_page(page));
    let next = (to < count).then(|| link(number + 1));
    let previous = (number > 1).then(|| link(number - 1));
    json!({"count": count, "next": next, "previous": previous, "results": results})
}

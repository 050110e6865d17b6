//! Markdown: CommonMark with tables, strike-through, task lists and footnotes (rule: `tree/wiki`).

use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, TagEnd, html};

use super::html::is_harmless;

pub(super) fn render(text: &str) -> String {
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_FOOTNOTES;
    let mut dropped = Vec::new();
    let events = Parser::new_ext(text, options).filter_map(move |event| match event {
        // HTML of the page is shown as the text it is.
        Event::Html(raw) | Event::InlineHtml(raw) => Some(Event::Text(raw)),
        Event::Start(Tag::HtmlBlock) => Some(Event::Start(Tag::Paragraph)),
        Event::End(TagEnd::HtmlBlock) => Some(Event::End(TagEnd::Paragraph)),
        Event::Start(Tag::Link { dest_url, .. }) if !is_harmless(&dest_url) => {
            dropped.push(TagEnd::Link);
            None
        }
        Event::Start(tag @ Tag::Link { .. }) => {
            dropped.push(TagEnd::Paragraph);
            Some(Event::Start(tag))
        }
        Event::End(TagEnd::Link) => {
            (dropped.pop() != Some(TagEnd::Link)).then_some(Event::End(TagEnd::Link))
        }
        Event::Start(Tag::Image { link_type, dest_url, title, id }) => {
            let dest_url = if is_harmless(&dest_url) { dest_url } else { CowStr::Borrowed("") };
            Some(Event::Start(Tag::Image { link_type, dest_url, title, id }))
        }
        other => Some(other),
    });
    let mut out = String::with_capacity(text.len() * 3 / 2);
    html::push_html(&mut out, events);
    out
}

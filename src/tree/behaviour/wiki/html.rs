//! Safe HTML: elements that this module names, text that is escaped, links with known schemes.

/// Schemes that a link or image may have; a target without a scheme is a path.
pub(super) const SCHEMES: [&str; 6] = ["http", "https", "ftp", "ftps", "mailto", "tel"];

/// HTML in the making. Nothing that a page says becomes markup by itself.
#[derive(Debug, Default)]
pub(super) struct Html(String);

impl Html {
    pub(super) fn done(self) -> String {
        self.0
    }

    pub(super) fn text(&mut self, text: &str) {
        escape(text, &mut self.0);
    }

    /// `<tag>`; the name is one of ours.
    pub(super) fn open(&mut self, tag: &'static str) {
        self.0.push('<');
        self.0.push_str(tag);
        self.0.push('>');
    }

    pub(super) fn close(&mut self, tag: &'static str) {
        self.0.push_str("</");
        self.0.push_str(tag);
        self.0.push('>');
    }

    /// `<tag>text</tag>`.
    pub(super) fn element(&mut self, tag: &'static str, text: &str) {
        self.open(tag);
        self.text(text);
        self.close(tag);
    }

    pub(super) fn line(&mut self) {
        self.0.push('\n');
    }

    /// A link, if its target is harmless; otherwise its label alone. `label` writes the label.
    pub(super) fn link(&mut self, target: &str, label: impl FnOnce(&mut Self)) {
        if !is_harmless(target) {
            return label(self);
        }
        self.0.push_str("<a href=\"");
        escape(target, &mut self.0);
        self.0.push_str("\" rel=\"nofollow noopener\">");
        label(self);
        self.0.push_str("</a>");
    }

    /// An image, if its source is harmless; otherwise its text alone.
    pub(super) fn image(&mut self, source: &str, alt: &str) {
        if !is_harmless(source) {
            return self.text(alt);
        }
        self.0.push_str("<img src=\"");
        escape(source, &mut self.0);
        self.0.push_str("\" alt=\"");
        escape(alt, &mut self.0);
        self.0.push_str("\">");
    }
}

fn escape(text: &str, into: &mut String) {
    for next in text.chars() {
        match next {
            '&' => into.push_str("&amp;"),
            '<' => into.push_str("&lt;"),
            '>' => into.push_str("&gt;"),
            '"' => into.push_str("&quot;"),
            '\'' => into.push_str("&#39;"),
            '\n' | '\t' => into.push(next),
            // Other control characters mean nothing in a page.
            _ if next.is_control() => {}
            _ => into.push(next),
        }
    }
}

/// Whether a browser may follow it: a path, or an address with a scheme of the list.
pub(super) fn is_harmless(target: &str) -> bool {
    let plain = target.trim();
    if plain.chars().any(|next| next.is_control() || next.is_whitespace()) {
        return false;
    }
    match plain.split_once([':', '/', '?', '#']) {
        Some((scheme, _)) if plain.as_bytes().get(scheme.len()) == Some(&b':') => {
            SCHEMES.iter().any(|known| known.eq_ignore_ascii_case(scheme))
        }
        _ => true,
    }
}

/// The address that stands at the beginning of `text`, without the punctuation behind it.
pub(super) fn bare_address(text: &str) -> Option<&str> {
    let known = ["http://", "https://", "ftp://", "ftps://", "mailto:"];
    let scheme = known.iter().find(|scheme| text.starts_with(**scheme))?;
    let end = text.find(|next: char| next.is_whitespace() || "<>\"|]}".contains(next));
    let address = text.get(..end.unwrap_or(text.len()))?;
    let address = address.trim_end_matches(['.', ',', ';', ':', '!', '?', ')', '\'', '*', '_']);
    (address.len() > scheme.len()).then_some(address)
}

impl Html {
    /// Adds what was written apart.
    pub(super) fn append(&mut self, other: Self) {
        self.0.push_str(&other.0);
    }
}
